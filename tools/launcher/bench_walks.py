"""`plastron bench walks`: what one TLB miss costs in page-table entries, formula and count.

The machine test `walks` puts one load between two breakpoints of the emulator; its debugger lists
the processor's memory accesses in between, each entry of a page table with its kind.
"""

import re
from dataclasses import dataclass

from launcher import table, testmachine
from launcher.common import UserError, relative, say
from launcher.testconf import read

NAME = "walks"
WALKS = 6
SCRIPT = "c\n" + "trace-mem on\nc\ntrace-mem off\nc\n" * WALKS
ENTRY = re.compile(r"\[CPU0 RD\]: PHY .*; (EPT )?(P[TD]E|PDPTE|PML[45]E)$")
CASE = re.compile(r"^(L\d.*), (\d MiB|\d KiB):")
# A machine, and what each case of the test is there.
MACHINES = (
    ("bare", "corei7_skylake_x", {"L1": "no hypervisor", "L2 without EPT": None,
                                  "L2 with EPT": "one level of EPT (bare emulator)"}),
    ("plastron", "corei7_skylake_x", {"L1": "L1 on EPT", "L2 without EPT": "shadow on EPT",
                                      "L2 with EPT": "EPT on EPT"}),
    ("plastron", "core2_penryn_t9600", {"L1": "L1 on shadow", "L2 without EPT": "shadow on shadow"}),
)


@dataclass
class Walk:
    """The entries read for one load: the guest's own, and those of EPT in the last of the EPT walks."""
    case: str
    page: str
    guest: int = 0
    ept: int = 0
    total: int = 0

    def add(self, is_ept):
        self.total += 1
        if is_ept:
            self.ept += 1
        else:
            self.guest += 1
            self.ept = 0

    def formula(self):
        if self.ept:
            return f"({self.guest}+1)({self.ept}+1)-1 = {(self.guest + 1) * (self.ept + 1) - 1}"
        return f"{self.guest}"


def read_trace(text):
    """The walks in what a run of the test printed."""
    walks = []
    for line in text.splitlines():
        if found := CASE.match(line):
            walks.append(Walk(found[1], found[2]))
        elif (found := ENTRY.search(line)) and walks:
            walks[-1].add(bool(found[1]))
    return walks


def _measure(mode, model, version):
    conf = read(testmachine.TESTS / NAME / "test.conf")
    conf.model = model
    elf = testmachine.image(NAME)
    done = testmachine.run_mode(NAME, f"{mode}-{model}", testmachine.boot_for(mode, elf, conf), conf,
                                version, SCRIPT)
    if done.result.ended != "shutdown":
        raise UserError(f"walks, {mode} on {model}: ended by {done.result.ended}\n{done.console_tail()}")
    walks = read_trace(done.text())
    if not walks:
        raise UserError(f"walks, {mode} on {model}: nothing was walked\n{done.console_tail()}")
    say(f"trace: {relative(done.folder / 'console')}")
    return walks


def run(version):
    rows = []
    for mode, model, names in MACHINES:
        say(f"walks: {mode}, {model}")
        rows += [[names[walk.case], walk.page, walk.formula(), str(walk.total)]
                 for walk in _measure(mode, model, version) if names.get(walk.case)]
    table.show(["memory", "pages", "formula", "counted"], rows)
