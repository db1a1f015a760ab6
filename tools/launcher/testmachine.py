"""Machine tests: one image run bare, under Plastron and under Plastron in Plastron.

The emulator's VMX is the reference: what the guest prints must be the same in every
mode, and the same as the file `expected` beside its source, if there is one. Lines
that begin with "# " are figures and remarks, which may differ.
"""

import difflib
import os
import re
import time

from launcher import grub, l0
from launcher.accel import BochsAccel
from launcher.common import ROOT, UserError, locked, relative, run_quietly
from launcher.console import EMULATOR, ESCAPES
from launcher.machine import Spec
from launcher.testcase import Case, Outcome, folder_for, tail
from launcher.testconf import read

TESTS = ROOT / "tests/machine"
IMAGES = ROOT / "build/tests/machine"
PREFIXED = re.compile(r"^L\d+\| ")
FIGURE = re.compile(r"^# figure (\S+) (-?\d+)$")
# What these tests' Plastron must do besides: nothing but port 0xE9, which costs no time.
CONSOLE = "console=e9"


class Run:
    """One image in one mode: its console, and what the guest said in it."""

    def __init__(self, name, mode):
        self.mode = mode
        self.folder = folder_for(name, mode)
        self.chunks = {"e9": [], "com1": []}
        self.result = None

    def consume(self, channel, data):
        self.chunks[channel].append(data)

    def text(self, channel="e9"):
        return b"".join(self.chunks[channel]).decode("utf-8", "replace").replace("\r", "")

    def guest_lines(self):
        return [line for line in self.text().splitlines()
                if not PREFIXED.match(line) and not EMULATOR.match(line)]

    def output(self):
        """The lines that must be the same everywhere."""
        return [line for line in self.guest_lines() if not line.startswith("# ")]

    def figures(self):
        found = (FIGURE.match(line) for line in self.guest_lines())
        return {match[1]: int(match[2]) for match in found if match}

    def save(self):
        (self.folder / "console").write_text(self.text())
        (self.folder / "serial").write_text(self.text("com1"))

    def console_tail(self):
        shown = f"--- last lines of its console ({relative(self.folder / 'console')}):\n"
        shown += tail(self.text())
        serial = ESCAPES.sub("", self.text("com1"))
        if serial.strip():
            shown += "\n--- of its serial line:\n" + tail(serial, 8)
        return shown


def boot_for(mode, elf, conf):
    """What GRUB starts in a mode. The image decides what loads it bare."""
    guest = [(elf.path, conf.append), *conf.modules]
    if mode == "bare":
        return grub.Boot(elf.grub_command, elf.path, conf.append, conf.modules)
    plastron, options = l0.IMAGE, f"{CONSOLE} {conf.options}".strip()
    if mode == "plastron":
        return grub.Boot("multiboot2", plastron, options, guest)
    inner = (plastron, f"label=L1 {options}")
    return grub.Boot("multiboot2", plastron, options, [inner, *guest])


def run_mode(name, mode, boot, conf, version, script=None):
    """Run a machine to its end and keep what it printed (and the emulator's debugger, given a script)."""
    run = Run(name, mode)
    spec = Spec(run.folder / "boot.iso", conf.model, conf.cpus, conf.memory)
    grub.make_boot_iso(spec.iso, boot)
    accel = BochsAccel(version, conf.model, conf.cpus, script)
    run.result = accel.run(run.folder, spec, run.consume, conf.limit(mode))
    run.save()
    return run


def _difference(wanted, got, name):
    diff = list(difflib.unified_diff(wanted, got, name, "this run", lineterm="", n=2))
    more = f"\n... {len(diff) - 40} more lines" if len(diff) > 40 else ""
    return "\n".join(diff[:40]) + more


def judge(run, conf, expected, bare):
    """(why it failed or None, what to show)."""
    output = run.output()
    if run.result.ended == "time limit":
        return f"no end within {conf.limit(run.mode).seconds} s", run.console_tail()
    if run.result.ended != "shutdown":
        return f"ended by {run.result.ended}", run.console_tail()
    if not output or output[-1] != "done":
        return "its last line is not \"done\"", run.console_tail()
    for wanted, name in ((expected, "expected"), (bare, "bare")):
        if wanted is not None and wanted != output:
            return f"its output is not that of {name}", _difference(wanted, output, name)
    figures = run.figures()
    for (mode, figure), limit in conf.limits.items():
        if mode != run.mode:
            continue
        if figure not in figures:
            return f"it did not print the figure {figure}, which has a limit", run.console_tail()
        if figures[figure] > limit:
            return f"{figure} is {figures[figure]}, the limit is {limit}", ""
    return None, ""


def _expected(name):
    path = TESTS / name / "expected"
    return path.read_text().splitlines() if path.exists() else None


def image(name):
    """Builds the image of a test, or an example, and returns what the loader sees in it."""
    from launcher.images import recognise

    folder, target = TESTS, name
    if name.startswith("examples/"):
        IMAGES.mkdir(parents=True, exist_ok=True)
        folder, name = ROOT / name, name.partition("/")[2]
        target = f"OUT={os.path.relpath(IMAGES, folder)}"
    with locked("make"):
        run_quietly(["make", "-C", str(folder), "--no-print-directory", target],
                    f"building the image of {name}")
    return recognise(IMAGES / f"{name}.elf")


def _run_case(name, conf, version, parts, report):
    began = time.monotonic()
    expected = _expected(name)
    wanted = [mode for mode in conf.modes if parts is None or mode in parts]
    modes = wanted
    if expected is None and "bare" in conf.modes and "bare" not in wanted:
        modes = ["bare", *wanted]
    bare = None
    try:
        elf = image(conf.image or name)
    except UserError as error:
        report(Outcome(f"{name}/build", "its image cannot be built", time.monotonic() - began,
                       str(error)))
        return
    for mode in modes:
        try:
            run = run_mode(name, mode, boot_for(mode, elf, conf), conf, version)
        except UserError as error:
            report(Outcome(f"{name}/{mode}", "it could not be run", 0, str(error)))
            continue
        why, detail = judge(run, conf, expected, bare)
        if mode == "bare":
            bare = run.output()
        if mode in wanted:
            report(Outcome(f"{name}/{mode}", why, run.result.seconds, detail, run.figures()))


def cases(version):
    """A Case for each folder of tests/machine with an image that fits this emulator."""
    folders = {path.parent for path in (*TESTS.glob("*/main.c"), *TESTS.glob("*/test.conf"))}
    for folder in sorted(folders):
        name = folder.name
        conf = read(folder / "test.conf")
        if conf.bochs and version and conf.bochs != version:
            continue

        def run(parts, report, name=name, conf=conf):
            _run_case(name, conf, version, parts, report)

        yield Case(name, "machine test: " + ", ".join(conf.modes), run, conf.modes,
                   gate=name == "emucheck", machine=True)
