"""Paths, the error a person sees, and small helpers that every module uses.

Nothing here knows about emulators, images or tests.
"""

import contextlib
import fcntl
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"


class UserError(Exception):
    """One line that says what is wrong, where, and what to do."""


def say(text):
    print(f"plastron: {text}", file=sys.stderr, flush=True)


def warn(text):
    say(f"warning: {text}")


def run_quietly(argv, what, **options):
    """Run a helper program; its output is shown only when it fails."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, text=True, errors="replace", **options)
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-15:])
        raise UserError(f"{what} failed (status {done.returncode} of {argv[0]}):\n{tail}")
    return done.stdout


@contextlib.contextmanager
def locked(name):
    """Keep other runs of this command out of one part of build/."""
    BUILD.mkdir(exist_ok=True)
    with open(BUILD / f".lock-{name}", "w") as lock:
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
