"""The vector comparison as a test: entries, exits and instructions against the emulator's.

The work is in tests/vectors/run, whose functions are used here.
"""

import importlib.machinery
import importlib.util
import re
import time

from launcher.common import ROOT, UserError
from launcher.testcase import Case, Outcome

NAME = "vectors"
# How many of each kind of tests/vectors/run, on each of its models.
COUNTS = {
    "corei7_skylake_x": {"entries": 40000, "exits": 4000, "instructions": 6000, "modes": 4000},
    "core2_penryn_t9600": {"entries": 40000, "real": 5000, "instructions": 6000, "modes": 4000},
    "tigerlake": {"entries": 15000},
}
CHECKS = "checks"           # all of them together: is every check of VM entry alive?
SEED = 1


def _program():
    loader = importlib.machinery.SourceFileLoader("vectors_run", str(ROOT / "tests/vectors/run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def _run(version, parts, report):
    program = _program()
    began = time.monotonic()
    try:
        program.build()
    except UserError as error:
        report(Outcome(f"{NAME}/build", "it cannot be built", time.monotonic() - began, str(error)))
        return
    reports = []
    for model, counts in COUNTS.items():
        if parts is not None and model not in parts and CHECKS not in parts:
            continue
        began = time.monotonic()
        try:
            emulator, path = program.execute(model, version, SEED, 0, counts)
            reports.append(path)
            agrees, text = program.compare(emulator, [path])
        except UserError as error:
            agrees, text = False, str(error)
        counted = re.search(r"(\d+) not explained", text)
        why = None if agrees else (f"{counted[1]} vectors differ without an explanation"
                                   if counted else "it did not come to its end")
        report(Outcome(f"{NAME}/{model}", why, time.monotonic() - began, text))
    if len(reports) == len(COUNTS):
        began = time.monotonic()
        agrees, text = program.compare(emulator, reports, "--whole")
        why = None if agrees else "a check or a departure is shown by no vector"
        report(Outcome(f"{NAME}/{CHECKS}", why, time.monotonic() - began, text))


def cases(version):
    yield Case(NAME, "VM entries, VM exits and instructions, the engine's and the emulator's: "
               + ", ".join(COUNTS),
               lambda parts, report: _run(version, parts, report), (*COUNTS, CHECKS), machine=True)
