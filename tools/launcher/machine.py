"""Runs one emulated or virtual machine: starts it, reads its two consoles, ends it in time.

What the bytes mean is the caller's business, as is the configuration: bochs.py and
qemu.py give the command. A run always ends: by the guest, by its time limit, or by
the person.
"""

import errno
import os
import pty
import select
import signal
import subprocess
import time
import tty
from dataclasses import dataclass
from pathlib import Path

from launcher import grub

CHUNK = 65536
QUIT = b"\x1d"
ACTIVE = set()


def end_all():
    """End every machine of this process, from whichever thread."""
    for machine in list(ACTIVE):
        machine.kill()


@dataclass
class Spec:
    """The machine: what it boots and what it has."""
    iso: Path
    model: str = "corei7_skylake_x"
    cpus: int = 1
    memory: int = 256
    log_errors: bool = True    # of the guest, such as each VM entry that fails


@dataclass
class Limit:
    """A time limit in seconds; with patience above 1 they are seconds of the machine's own CPU
    time, and up to that many times as long by the clock."""
    seconds: float
    patience: int = 1


@dataclass
class Result:
    """How a run ended: by "shutdown", "power-off", "triple fault", "reset", "time limit",
    "quit", "debugger" (its commands were at an end) or something the emulator said."""
    ended: str
    seconds: float


class Machine:
    """A running machine. Consumers get (channel, bytes): channel is "e9" or "com1"."""

    def __init__(self, folder, consumer, tick=None, keyboard=None):
        self.folder = folder
        self.consumer = consumer
        self.tick = tick or (lambda: None)
        self.keyboard = keyboard
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.com1 = os.ttyname(self.slave)
        self.marks = 0
        self.process = None

    def run(self, argv, env, limit, ending):
        """Start the program and feed the consumer until the end.

        ending(folder, status) tells how a program that ended by itself did so.
        """
        began = time.monotonic()
        with open(self.folder / "stderr", "wb") as errors:
            self.process = subprocess.Popen(argv, env=env, cwd=self.folder, stderr=errors,
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            start_new_session=True)
        ACTIVE.add(self)
        try:
            ended = self._watch(limit)
        finally:
            ACTIVE.discard(self)
            self._end()
        ended = ended or ending(self.folder, self.process.returncode)
        return Result(ended, time.monotonic() - began)

    def _is_over(self, limit, began):
        """Whether the limit is reached. A busy host only stretches a limit of CPU time."""
        if time.monotonic() - began < limit.seconds:
            return False
        return (self._cpu_seconds() >= limit.seconds
                or time.monotonic() - began >= limit.seconds * limit.patience)

    def _cpu_seconds(self):
        """CPU time the program has used; of one that has ended, more than any limit."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        except FileNotFoundError:
            return float("inf")
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _watch(self, limit):
        """Until the machine ends (None), or the reason for which it must be ended."""
        stdout = self.process.stdout.fileno()
        sources = [stdout, self.master]
        if self.keyboard is not None:
            sources.append(self.keyboard)
        began = time.monotonic()
        while not self._is_over(limit, began):
            ready, _, _ = select.select(sources, [], [], 0.5)
            if self.keyboard in ready and self._type(sources):
                return "quit"
            if self.master in ready:
                self.consumer("com1", os.read(self.master, CHUNK))
            if stdout in ready:
                data = os.read(stdout, CHUNK)
                if not data:
                    self._drain()
                    return None
                self._e9(data)
                if self.marks > 1:
                    return "reset"
            self.tick()
        return "time limit"

    def _e9(self, data):
        parts = data.split(grub.MARK)
        if self.marks:
            self.consumer("e9", parts[0])
        for part in parts[1:]:
            self.marks += 1
            if self.marks == 1:
                self.consumer("e9", part)

    def _type(self, sources):
        """Pass on what was typed; True if it was the key that quits."""
        data = os.read(self.keyboard, 1024)
        if not data:
            sources.remove(self.keyboard)
        if QUIT in data:
            return True
        os.write(self.master, data)
        return False

    def _drain(self):
        """The rest of the serial line, after the program has ended."""
        os.set_blocking(self.master, False)
        try:
            while data := os.read(self.master, CHUNK):
                self.consumer("com1", data)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EIO):
                raise

    def kill(self):
        if self.process.poll() is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _end(self):
        self.kill()
        self.process.wait()
        self.process.stdout.close()
        os.close(self.slave)
        os.close(self.master)
