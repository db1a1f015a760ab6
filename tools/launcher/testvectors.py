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
# Real mode in an L1 of Plastron's, on a model where that is not the processor's.
HOSTED, HOSTED_MODEL, HOSTED_COUNTS = "real_on_plastron", "core2_penryn_t9600", {"real": 3000}
CHECKS = "checks"           # all of them together: is every check of VM entry alive?
SEED = 1


def _program():
    loader = importlib.machinery.SourceFileLoader("vectors_run", str(ROOT / "tests/vectors/run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def _compare(program, name, version, model, counts, report, *options):
    """One run and its verdict; (emulator, report) if it came to its end."""
    began, done = time.monotonic(), None
    try:
        done = program.execute(model, version, SEED, 0, counts, hosted="--hosted" in options)
        agrees, text = program.compare(done[0], [done[1]], *options)
    except UserError as error:
        agrees, text = False, str(error)
    counted = re.search(r"(\d+) not explained", text)
    why = None if agrees else (f"{counted[1]} vectors differ without an explanation"
                               if counted else "it did not come to its end")
    report(Outcome(f"{NAME}/{name}", why, time.monotonic() - began, text))
    return done


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
        done = _compare(program, model, version, model, counts, report)
        if done:
            emulator = done[0]
            reports.append(done[1])
    if parts is None or HOSTED in parts:
        _compare(program, HOSTED, version, HOSTED_MODEL, HOSTED_COUNTS, report, "--hosted")
    if len(reports) == len(COUNTS):
        began = time.monotonic()
        agrees, text = program.compare(emulator, reports, "--whole")
        why = None if agrees else "a check or a departure is shown by no vector"
        report(Outcome(f"{NAME}/{CHECKS}", why, time.monotonic() - began, text))


def cases(version):
    yield Case(NAME, "VM entries, VM exits and instructions, the engine's and the emulator's: "
               + ", ".join((*COUNTS, HOSTED)),
               lambda parts, report: _run(version, parts, report), (*COUNTS, HOSTED, CHECKS),
               machine=True)
