"""The vector comparison as a test: the engine's checks and instructions against the emulator's VMX.

The work is in tests/vectors/run, whose functions are used here.
"""

import importlib.machinery
import importlib.util
import re
import time

from launcher.common import ROOT, UserError
from launcher.testcase import Case, Outcome

NAME = "vectors"
COUNTS = (40000, 10000)     # of each kind in tests/vectors/run
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
    for model in program.MODELS:
        if parts is not None and model not in parts:
            continue
        began = time.monotonic()
        try:
            runs = [program.execute(model, version, SEED, 0, count, kind)
                    for kind, count in zip(program.KINDS, COUNTS)]
            agrees, text = program.compare(runs[0][0], [path for _, path in runs])
        except UserError as error:
            agrees, text = False, str(error)
        counted = re.search(r"(\d+) not explained", text)
        why = None if agrees else (f"{counted[1]} vectors differ without an explanation"
                                   if counted else "it did not come to its end")
        report(Outcome(f"{NAME}/{model}", why, time.monotonic() - began, text))


def cases(version):
    program = _program()
    yield Case(NAME, "VM entries and VMX instructions, the engine's and the emulator's: "
               + ", ".join(program.MODELS),
               lambda parts, report: _run(version, parts, report), program.MODELS, machine=True)
