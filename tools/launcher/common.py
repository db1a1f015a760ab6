"""Paths, the error a person sees, and small helpers that every module uses.

Nothing here knows about emulators, images or tests.
"""

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"


class UserError(Exception):
    """One line that says what is wrong, where, and what to do."""


def say(text):
    print(f"plastron: {text}", file=sys.stderr, flush=True)


def warn(text):
    say(f"warning: {text}")


@contextlib.contextmanager
def sign_of_life(what):
    """Show that something goes on while the body takes long: a counter, or a line now and then."""
    ended = threading.Event()
    tty = sys.stderr.isatty()

    def show():
        began = time.monotonic()
        shown = False
        while not ended.wait(1 if shown and tty else 3 if tty else 15):
            seconds = time.monotonic() - began
            text = f"... {what}: {seconds:.0f} s"
            sys.stderr.write(f"\r{text}" if tty else f"{text}\n")
            sys.stderr.flush()
            shown = True
        if shown and tty:
            sys.stderr.write("\r\033[K")

    shower = threading.Thread(target=show, daemon=True)
    shower.start()
    try:
        yield
    finally:
        ended.set()
        shower.join()


def run_quietly(argv, what, **options):
    """Run a helper program; its output is shown only when it fails."""
    with sign_of_life(what):
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, text=True, errors="replace", **options)
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-15:])
        raise UserError(f"{what} failed (status {done.returncode} of {argv[0]}):\n{tail}")
    return done.stdout


@contextlib.contextmanager
def locked(name):
    """Keep other runs of this command out of one part of build/, and say so where it takes long."""
    BUILD.mkdir(exist_ok=True)
    with open(BUILD / f".lock-{name}", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with sign_of_life(f"waiting until nobody else uses build/ ({name})"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def slot(parent):
    """The first numbered folder under parent that no running command uses."""
    parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, 100):
        folder = parent / str(number)
        folder.mkdir(exist_ok=True)
        lock = open(folder / ".lock", "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        with lock:
            yield folder
        return
    raise UserError(f"a hundred runs are active in {parent}: end some of them")


def relative(path):
    """The shortest way to name a file to the person at the terminal."""
    try:
        shorter = os.path.relpath(path)
    except ValueError:
        return str(path)
    return shorter if len(shorter) < len(str(path)) else str(path)
