"""`plastron fuzz`, and the same for a minute as a test: builds and runs the fuzzers of tests/fuzz.

A fuzzer starts from the seeds in the repository (tests/fuzz/seeds/NAME, an input in hexadecimal
digits on each line) and keeps what it finds in build/fuzz/corpus. An input that a fuzzer fails on
stays in build/fuzz/crashes.
"""

import os
import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from launcher import packages
from launcher.cli import Parser
from launcher.common import BUILD, ROOT, UserError, relative, run_quietly
from launcher.testcase import Case, Outcome, folder_for, tail

SOURCES = ROOT / "tests/fuzz"
OUT = BUILD / "fuzz"
CRASHES = OUT / "crashes"
LONGEST = 20            # seconds for one input: more counts as hanging
INTERRUPTED = 72        # libFuzzer's exit status after Ctrl-C
SIGN_OF_LIFE = 30
# What the test runs, with a fixed seed: about a minute of CPU time in all.
RUNS = {"boot": 40000, "changing": 20000, "ept": 120000, "operand": 100000, "program": 8000,
        "vmcs12": 30000, "walk": 240000}
RUNS_OF_OTHERS = 20000
# Programs: a short one reaches little, so they may be long from the start.
LONG = {"changing", "program", "vtlb"}
FRAME = re.compile(r"^\s+#\d+ .*(fuzzer::|libc|_start|__sanitizer)")


def names():
    """Every fuzzer, by its source."""
    return sorted(path.stem for path in SOURCES.glob("*.c")
                  if "\nint LLVMFuzzerTestOneInput(" in path.read_text())


def build():
    run_quietly(["make", "fuzz"], "building the fuzzers", cwd=ROOT)


def _seeds(name):
    """The seeds as a folder of files, which is what a fuzzer reads."""
    folder = OUT / "seeds" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = SOURCES / "seeds" / name
    if source.exists():
        for number, line in enumerate(source.read_text().split()):
            (folder / f"{number:04}").write_bytes(bytes.fromhex(line))
    return folder


def _keep_seeds(name):
    """Write the fewest inputs that reach all that the corpus and the seeds reach as seeds."""
    corpus, kept = OUT / "corpus" / name, OUT / "kept" / name
    corpus.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    run_quietly([str(OUT / name), "-merge=1", "-use_counters=0", str(kept), str(corpus),
                 str(_seeds(name))], f"merging what {name} found")
    found = sorted((path.read_bytes().hex() for path in kept.iterdir()),
                   key=lambda line: (len(line), line))
    (SOURCES / "seeds" / name).write_text("".join(f"{line}\n" for line in found if line))
    print(f"{relative(SOURCES / 'seeds' / name)}: {len(found)} inputs", flush=True)


def command(name, corpus, *options):
    """Run a fuzzer from its seeds; paths are relative to ROOT."""
    corpus.mkdir(parents=True, exist_ok=True)
    CRASHES.mkdir(parents=True, exist_ok=True)
    return [str(OUT / name), f"-artifact_prefix={relative(CRASHES)}/{name}-",
            f"-timeout={LONGEST}", "-max_len=1024", *(["-len_control=0"] if name in LONG else []),
            *options, relative(corpus), relative(_seeds(name))]


def _failure(text):
    """What a fuzzer's output says of an input it fails on: (what happened, how to see it again)."""
    lines = text.splitlines()
    first = next((k for k, line in enumerate(lines) if re.search(
        r"^\S+\.[ch]:\d+: |ERROR: |runtime error: ", line)), max(0, len(lines) - 30))
    kept = [line for line in lines[first:first + 60] if not FRAME.match(line)]
    written = re.search(r"Test unit written to (\S+)", text)
    return "\n".join(kept[:30]), written and written[1]


def _again(name, unit):
    return f"{relative(OUT / name)} {unit}"


class _Running:
    """One fuzzer at work; its output is in a file."""

    def __init__(self, name, seconds):
        self.name = name
        self.log = OUT / f"{name}.log"
        argv = command(name, OUT / "corpus" / name, f"-max_total_time={seconds}")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT,
                                            stdin=subprocess.DEVNULL)

    def progress(self):
        found = re.findall(r"^(#\d+)\s.*?cov: (\d+).*?exec/s: (\d+)",
                           self.log.read_text(errors="replace"), re.M)
        return f"{self.name}: {found[-1][0][1:]} inputs, {found[-1][2]} a second" if found else ""

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()


def _run_one(name, seconds):
    """True if it found nothing."""
    running = _Running(name, seconds)
    said = time.monotonic()
    try:
        while running.process.poll() is None:
            time.sleep(0.2)
            if time.monotonic() - said > SIGN_OF_LIFE:
                said = time.monotonic()
                print(f"... {running.progress() or name}", flush=True)
    finally:
        running.end()
    if running.process.returncode in (0, INTERRUPTED):
        print(f"ok   {running.progress() or name}", flush=True)
        return True
    what, unit = _failure(running.log.read_text(errors="replace"))
    print(f"FAIL {name}\n{what}\nall of it: {relative(running.log)}", flush=True)
    if unit:
        print(f"again: {_again(name, unit)}", flush=True)
    return False


def main(arguments):
    parser = Parser(prog="plastron fuzz", description="Run the fuzzers: all, or those named.")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--time", type=int, default=3600, metavar="S",
                        help="seconds in all (an hour, if not given)")
    parser.add_argument("--keep-seeds", action="store_true",
                        help="run nothing; make the seeds anew, of what was found so far")
    options = parser.parse_args(arguments)
    chosen = list(dict.fromkeys(options.names)) or names()
    for name in chosen:
        if name not in names():
            raise UserError(f"there is no fuzzer {name}: there are {', '.join(names())}")
    if options.time < 1:
        raise UserError("--time is a number of seconds, 1 or more")
    packages.install("build", "fuzz")
    build()
    if options.keep_seeds:
        for name in chosen:
            _keep_seeds(name)
        return 0
    workers = min(os.cpu_count() or 1, len(chosen))
    seconds = max(1, options.time * workers // len(chosen))
    print(f"{', '.join(chosen)}: {seconds} s each, {workers} at a time", flush=True)
    with ThreadPoolExecutor(workers) as pool:
        good = list(pool.map(lambda name: _run_one(name, seconds), chosen))
    return 0 if all(good) else 1


def _test_one(name):
    folder = folder_for("fuzz", name)
    corpus = folder / "corpus"
    shutil.rmtree(corpus, ignore_errors=True)
    began = time.monotonic()
    argv = command(name, corpus, "-seed=1", f"-runs={RUNS.get(name, RUNS_OF_OTHERS)}")
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", stdin=subprocess.DEVNULL)
    (folder / "output").write_text(done.stdout)
    if done.returncode == 0:
        return Outcome(f"fuzz/{name}", None, time.monotonic() - began)
    what, unit = _failure(done.stdout)
    why = f"it fails on {unit}; again: {_again(name, unit)}" if unit else "it failed"
    return Outcome(f"fuzz/{name}", why, time.monotonic() - began, tail(what))


def _test(parts, report):
    began = time.monotonic()
    try:
        build()
    except UserError as error:
        report(Outcome("fuzz/build", "the fuzzers cannot be built", time.monotonic() - began,
                       str(error)))
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for outcome in pool.map(_test_one, [name for name in names()
                                            if parts is None or name in parts]):
            report(outcome)


def cases():
    yield Case("fuzz", "the fuzzers, a few seconds each, with a fixed seed", _test,
               tuple(names()))
