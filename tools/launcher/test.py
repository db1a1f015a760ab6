"""`plastron test`: runs the tests, two machine tests side by side, and counts."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from launcher import fuzz, l0, machine, packages, testchecks, testmachine, teststack, testvectors
from launcher.cli import Parser
from launcher.common import UserError, locked, relative
from launcher.testcase import OUTPUT, Outcome

SIDE_BY_SIDE = 2
QUIET = 15.0


def _parser():
    parser = Parser(prog="plastron test", description="Run the tests: all, or those named.")
    parser.add_argument("names", nargs="*", metavar="NAME[/MODE]")
    parser.add_argument("--list", action="store_true", help="show the tests and run none")
    parser.add_argument("--bochs", metavar="VERSION", help="3.0 or 2.7")
    return parser


class Report:
    """Collects outcomes from all threads and shows each as it comes."""

    def __init__(self):
        self.lock = threading.Lock()
        self.outcomes = []
        self.running = {}
        self.interrupted = False
        self.last = time.monotonic()

    def add(self, outcome):
        with self.lock:
            if self.interrupted:    # what was ended in its midst has not failed
                return
            self.outcomes.append(outcome)
            word = "FAIL" if outcome.why else "ok  "
            self._print(f"{word} {outcome.name:28} {outcome.seconds:6.1f} s"
                        + (f"  {outcome.why}" if outcome.why else ""))
            if outcome.why and outcome.detail:
                self._print("\n".join("     " + line for line in outcome.detail.splitlines()))

    def started(self, name):
        with self.lock:
            self.running[name] = time.monotonic()

    def ended(self, name):
        with self.lock:
            self.running.pop(name, None)

    def sign_of_life(self):
        with self.lock:
            now = time.monotonic()
            if now - self.last > QUIET and self.running:
                self._print("... " + ", ".join(f"{name} for {now - began:.0f} s"
                                               for name, began in self.running.items()))

    def _print(self, text):
        print(text, flush=True)
        self.last = time.monotonic()


def _select(cases, names):
    """(case, parts) for the names given; parts is None for all of a case."""
    if not names:
        return [(case, None) for case in cases]
    known = {case.name: case for case in cases}
    chosen = {}
    for name in names:
        head, _, part = name.partition("/")
        if head not in known or (part and part not in known[head].parts):
            raise UserError(f"there is no test {name}: plastron test --list shows them")
        parts = chosen.setdefault(head, [])
        parts += [part] if part else list(known[head].parts)
    return [(known[name], parts if known[name].parts else None) for name, parts in chosen.items()]


def _run_case(case, parts, report):
    report.started(case.name)
    before = len(report.outcomes)
    try:
        case.run(parts, report.add)
    except UserError as error:
        report.add(Outcome(case.name, "it could not be run", 0, str(error)))
    finally:
        report.ended(case.name)
    return not any(outcome.why for outcome in report.outcomes[before:]
                   if outcome.name.split("/")[0] == case.name)


def _run_side_by_side(chosen, report):
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        waiting = [pool.submit(_run_case, case, parts, report) for case, parts in chosen]
        try:
            while not all(future.done() for future in waiting):
                time.sleep(0.2)
                report.sign_of_life()
        except BaseException:
            report.interrupted = True
            for future in waiting:
                future.cancel()
            machine.end_all()
            raise
        for future in waiting:
            future.result()


def _write_figures(report):
    lines = [f"{outcome.name} {name} {value}" for outcome in report.outcomes
             for name, value in outcome.figures.items()]
    if lines:
        OUTPUT.mkdir(parents=True, exist_ok=True)
        (OUTPUT / "figures").write_text("\n".join(sorted(lines)) + "\n")
        print(f"figures: {relative(OUTPUT / 'figures')}")


def _run_all(chosen, report):
    """Checks first, then the emulator's own, then the machines."""
    plain = [(case, parts) for case, parts in chosen if not case.machine]
    gates = [(case, parts) for case, parts in chosen if case.gate]
    machines = [(case, parts) for case, parts in chosen if case.machine and not case.gate]
    for case, parts in plain:
        _run_side_by_side([(case, parts)], report)
    for case, parts in gates:
        if not _run_case(case, parts, report):
            report.add(Outcome("machine tests", "not run: the emulator computes wrongly", 0))
            return
    if any(parts != ["bare"] for _, parts in machines):
        try:
            l0.build()
        except UserError as error:
            report.add(Outcome("build", "Plastron cannot be built", 0, str(error)))
            machines = [(case, ["bare"]) for case, _ in machines if "bare" in case.parts]
    # The longest first, so that nothing long is left for the end.
    machines.sort(key=lambda pair: pair[0].name not in teststack.STACKS)
    _run_side_by_side(machines, report)


def main(arguments):
    options = _parser().parse_args(arguments)
    if not options.list:
        packages.install("build", "image", "test", "fuzz")
    cases = [*testchecks.cases(), *fuzz.cases(), *testmachine.cases(options.bochs),
             *testvectors.cases(options.bochs), *teststack.cases(options.bochs)]
    if options.list:
        for case in cases:
            print(f"{case.name:16} {case.about}")
        return 0
    chosen = _select(cases, options.names)
    report = Report()
    began = time.monotonic()
    with locked("test"):
        _run_all(chosen, report)
        _write_figures(report)
    failed = [outcome.name for outcome in report.outcomes if outcome.why]
    if failed:
        print(f"failed: {' '.join(failed)}; what they left is in {relative(OUTPUT)}")
    print(f"in {time.monotonic() - began:.0f} s")
    print(f"{len(report.outcomes) - len(failed)} passed, {len(failed)} failed")
    sys.stdout.flush()
    return 1 if failed or not report.outcomes else 0
