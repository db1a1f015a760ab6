"""Tests that need no machine: builds, unit tests and scripts that check the sources."""

import re
import shutil
import subprocess
import time

from launcher.common import ROOT
from launcher.testcase import Case, Outcome, folder_for, tail

LIMIT = 600
SCRIPTS = (
    ("layers", ["tools/check_layers"], "src/ keeps to its layers"),
    ("mutants", ["tests/mutants/run", "--check"], "the rules that tests/mutants breaks are there"),
    ("checks-doc", ["tools/gen_checks_doc", "--check"], "docs/entry-checks.md is up to date"),
)


def _command(name, argv, verdict=None, limit=LIMIT, fresh=None):
    """A runner for a command that passes with status 0 and if verdict(output) is None.

    What a former run left in the folder `fresh` is removed first.
    """
    def run(_parts, report):
        began = time.monotonic()
        if fresh:
            shutil.rmtree(ROOT / fresh, ignore_errors=True)
        output = folder_for(name) / "output"
        why = None
        with open(output, "w") as file:
            try:
                done = subprocess.run(argv, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT,
                                      stdin=subprocess.DEVNULL, timeout=limit)
                if done.returncode:
                    why = f"status {done.returncode} of: {' '.join(argv)}"
            except subprocess.TimeoutExpired:
                why = f"no end within {limit} s: {' '.join(argv)}"
        text = output.read_text(errors="replace")
        why = why or (verdict(text) if verdict else None)
        report(Outcome(name, why, time.monotonic() - began, tail(text, 40)))
    return run


def _no_warnings(text):
    found = [line for line in text.splitlines() if "warning:" in line]
    return f"{len(found)} warning(s), the first: {found[0]}" if found else None


def _units_passed(text):
    last = text.strip().splitlines()[-1] if text.strip() else ""
    found = re.fullmatch(r"(\d+) passed, (\d+) failed", last)
    if not found:
        return "its last line is not a count of unit tests"
    if found[2] != "0":
        return f"{found[2]} unit test(s) failed"
    return None if int(found[1]) else "no unit test was run"


def _shell_scripts():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout
    names = listed.splitlines() or ["plastron"]
    for name in names:
        path = ROOT / name
        if path.is_file() and re.match(rb"#!\s*/bin/(ba)?sh", path.read_bytes()[:32]):
            yield name


def cases():
    """The checks that this copy has what they need for."""
    for name, argv, about in SCRIPTS:
        yield Case(name, about, _command(name, argv))
    for compiler in ("gcc", "clang"):
        if shutil.which(compiler):
            name = f"build-{compiler}"
            folder = f"build/test/{name}/out"
            argv = ["make", "-j2", f"CC={compiler}", f"BUILD={folder}", f"{folder}/plastron.elf"]
            yield Case(name, f"Plastron builds without a warning in {compiler}",
                       _command(name, argv, _no_warnings, fresh=folder))
    if shutil.which("shellcheck"):
        yield Case("shellcheck", "the shell scripts are clean",
                   _command("shellcheck", ["shellcheck", *_shell_scripts()]))
    yield Case("unit", "unit tests on this machine", _command("unit", ["make", "unit"],
                                                              _units_passed))
