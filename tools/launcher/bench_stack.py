"""`plastron bench stack`: the Debian stack in each way to have memory, and what L0 spends on it."""

from launcher import stack, summary, table, teststack
from launcher.common import UserError, relative, say
from launcher.testcase import folder_for
from launcher.testconf import read

# How L2's memory is mapped, the mode of the test, the emulator's CPU model, and Plastron's options.
MODES = (
    ("bare emulator", "bare", "corei7_skylake_x", ""),
    ("EPT on EPT", "plastron", "corei7_skylake_x", ""),
    ("EPT on EPT on EPT", "nested", "corei7_skylake_x", ""),
    ("shadow on EPT", "plastron", "corei7_skylake_x", "nested.ept=off"),
    ("bare emulator without EPT", "bare", "core2_penryn_t9600", ""),
    ("shadow on shadow", "plastron", "core2_penryn_t9600", ""),
)


def _millions(ticks):
    return f"{ticks / 1e6:,.1f}"


def _row(name, figures, facts):
    time, exits = facts.time, facts.exits
    l2 = figures.get("l2_ticks")
    cells = [_millions(l2) if l2 else ""]
    if not time:
        return [name, *cells, "", "", "", ""]
    total = time.get("total") or 1
    return [name, *cells, _millions(time.get("L0", 0)), f"{time.get('L0', 0) / total:.1%}",
            f"{exits['L1'][0]:,}" if "L1" in exits else "",
            f"{exits['L2'][0]:,}" if "L2" in exits else ""]


def run(version):
    debian = stack.prepare()
    rows = []
    for name, mode, model, options in MODES:
        say(f"stack: {name}")
        conf = read(teststack.CONF)
        conf.model, conf.options = model, options
        folder = folder_for("bench", name.replace(" ", "-"))
        lines, result = teststack.run_mode(mode, debian, conf, version, folder)
        facts = summary.read(lines)
        why = summary.failure_of_stack(facts, result, mode == "bare")
        if why:
            raise UserError(f"stack, {name}: {why}; see {relative(folder / 'console')}")
        rows.append(_row(name, teststack.figures_of(lines), facts))
    table.show(["memory", "QEMU's start to end, M ticks", "of all in L0, M ticks", "share",
                "exits of L1", "exits of L2"], rows)
