"""One console out of two channels: lines of every level, told apart, and a sign of life.

Port 0xE9 carries L0's lines ("L0| ..."), the serial line carries L1, and L1 passes
on what L2 says with "L2| " before it. Every line is kept in a log file.
"""

import re
import sys
import time

COLOURS = {"L0": "\033[36m", "L1": "\033[0m", "L2": "\033[32m"}
RESET = "\033[0m"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1bc|[\x00-\x08\x0b-\x1a\x1c-\x1f]")
EMULATOR = re.compile(r"^\(\d+\)\.\[\d+\] ")     # an instruction that Bochs's debugger traced
PREFIX = re.compile(r"^(L\d+)\| ?(.*)$")
QUIET_TTY = 2.0
QUIET_PIPE = 15.0


class Console:
    """Shows lines as they come; `lines` keeps (level, text) for the summary."""

    def __init__(self, log, out=sys.stdout, default="L1"):
        self.log = log
        self.out = out
        self.default = default
        self.tty = out.isatty()
        self.partial = {}
        self.lines = []
        self.began = self.last = time.monotonic()
        self.status = False

    def feed(self, channel, data):
        *whole, rest = (self.partial.get(channel, b"") + data).split(b"\n")
        self.partial[channel] = rest
        for line in whole:
            self._line(channel, line)

    def close(self):
        for channel, rest in self.partial.items():
            if rest.strip():
                self._line(channel, rest)
        self.partial.clear()
        self._wipe()

    def tick(self):
        """Called often: show that something goes on when no line came for a while."""
        now = time.monotonic()
        quiet = now - self.last
        if self.tty and quiet > QUIET_TTY:
            self.out.write(f"\r\033[K... {now - self.began:.0f} s, the guest is at work")
            self.out.flush()
            self.status = True
        elif not self.tty and quiet > QUIET_PIPE:
            self._write(f"... {now - self.began:.0f} s, the guest is at work")
            self.last = now

    def _line(self, channel, data):
        line = ESCAPES.sub("", data.decode("utf-8", "replace").replace("\r", ""))
        found = PREFIX.match(line)
        level, text = found.groups() if found else (self.default, line)
        if not text.strip():
            return
        self.log.write(f"{time.monotonic() - self.began:8.2f} {channel:4} {level}| {text}\n")
        self.log.flush()
        if EMULATOR.match(line):
            return
        self.lines.append((level, text))
        self._wipe()
        self._show(channel, level, text)
        self.last = time.monotonic()

    def _show(self, _channel, level, text):
        if self.tty:
            self._write(f"{COLOURS.get(level, RESET)}{level}| {text}{RESET}")
        else:
            self._write(f"{level}| {text}")

    def _wipe(self):
        if self.status:
            self.out.write("\r\033[K")
            self.status = False

    def _write(self, text):
        self.out.write(text + "\n")
        self.out.flush()


class Terminal(Console):
    """The same for a guest somebody types at: its serial line passes through as it is."""

    def feed(self, channel, data):
        if channel == "com1":
            self.out.buffer.write(data)
            self.out.flush()
            self.last = time.monotonic()
        super().feed(channel, data)

    def tick(self):
        """No sign of life: the cursor is the guest's."""

    def _show(self, channel, level, text):
        if channel != "com1":
            self._write(f"\r{COLOURS.get(level, RESET)}{level}| {text}{RESET}\r")
