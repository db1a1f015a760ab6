"""`plastron bench costs`: the machine test `costs` as a table."""

from launcher import table, testmachine
from launcher.common import UserError, say
from launcher.testconf import read

NAME = "costs"
NAMES = {"bare": "bare emulator", "plastron": "on Plastron", "nested": "on Plastron on Plastron"}


def run(version):
    conf = read(testmachine.TESTS / NAME / "test.conf")
    elf = testmachine.image(NAME)
    columns = {}
    for mode in conf.modes:
        say(f"costs: {NAMES[mode]}")
        done = testmachine.run_mode(NAME, mode, testmachine.boot_for(mode, elf, conf), conf, version)
        columns[mode] = done.figures()
        if not columns[mode]:
            raise UserError(f"costs, {NAMES[mode]}: ended by {done.result.ended} without a figure\n"
                            + done.console_tail())
    rows = [[name, *(f"{column.get(name, 0):,}" for column in columns.values())]
            for name in columns[conf.modes[0]]]
    table.show(["ticks", *(NAMES[mode] for mode in columns)], rows)
