"""`plastron bench`: tables of what things cost, bare and on Plastron side by side.

Everything is measured in the emulator, in units that do not depend on the machine that runs it:
instructions (ticks of the TSC), and page-table entries read. A table goes to stdout as Markdown.
"""

from launcher import bench_costs, bench_stack, bench_walks, l0, packages
from launcher.cli import Parser
from launcher.common import UserError, locked

BENCHMARKS = {
    "costs": (bench_costs, "ticks of single operations, bare, on Plastron, and on Plastron on Plastron"),
    "walks": (bench_walks, "page-table entries read for one TLB miss, for each way to have memory"),
    "stack": (bench_stack, "what the Debian stack spends at each level, for each way to have memory"),
}


def _parser():
    about = "; ".join(f"{name}: {what}" for name, (_, what) in BENCHMARKS.items())
    parser = Parser(prog="plastron bench", description=f"Measure (all of them, or those named). {about}.")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--bochs", metavar="VERSION", help="3.0 or 2.7")
    return parser


def main(arguments):
    options = _parser().parse_args(arguments)
    for name in options.names:
        if name not in BENCHMARKS:
            raise UserError(f"there is no benchmark {name}: there are {', '.join(BENCHMARKS)}")
    packages.install("build", "image")
    l0.build()
    with locked("test"):    # their folders are those of the tests
        for name in options.names or BENCHMARKS:
            BENCHMARKS[name][0].run(options.bochs)
    return 0

