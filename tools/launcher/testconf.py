"""Reads tests/*/test.conf: key=value lines, "#" comments; unknown keys are errors.

Keys: modes, timeout, timeout_MODE, memory, cpus, model, bochs, append, module (may be repeated),
options, image, limit_MODE_FIGURE. The figure's name may hold underscores, the mode's may not.
"""

from dataclasses import dataclass, field
from pathlib import Path

from launcher.common import UserError, relative
from launcher.machine import Limit

# Several things may run on the machine that tests: limits are of CPU time.
PATIENCE = 5
MODES = ("bare", "plastron", "nested")


@dataclass
class Conf:
    """One test's settings."""
    modes: tuple = MODES
    timeout: int = 60
    timeouts: dict = field(default_factory=dict)
    memory: int = 256
    cpus: int = 1
    model: str = "corei7_skylake_x"
    bochs: str = ""
    image: str = ""         # for a folder without a main.c: of another test, or examples/NAME
    append: str = ""
    options: str = ""
    modules: list = field(default_factory=list)
    limits: dict = field(default_factory=dict)

    def limit(self, mode):
        return Limit(self.timeouts.get(mode, self.timeout), PATIENCE)


def _set(conf, key, value, folder):
    head, _, rest = key.partition("_")
    mode, _, figure = rest.partition("_")
    if key == "modes":
        conf.modes = tuple(value.split())
        if not conf.modes or set(conf.modes) - set(MODES):
            raise ValueError(f"modes are some of: {' '.join(MODES)}")
    elif key in ("timeout", "memory", "cpus"):
        setattr(conf, key, int(value))
    elif key in ("model", "bochs", "append", "options", "image"):
        setattr(conf, key, value)
    elif key == "module":
        name, _, arguments = value.partition(" ")
        conf.modules.append((folder / name, arguments))
    elif head == "timeout" and rest in MODES:
        conf.timeouts[rest] = int(value)
    elif head == "limit" and mode in MODES and figure:
        conf.limits[mode, figure] = int(value)
    else:
        raise ValueError(f"there is no key {key}")


def read(path):
    """The Conf in a file; a missing file means the defaults."""
    conf = Conf()
    path = Path(path)
    if not path.exists():
        return conf
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        try:
            if not equals:
                raise ValueError("a line is key=value")
            _set(conf, key.strip(), value.strip(), path.parent)
        except ValueError as error:
            raise UserError(f"{relative(path)}:{number}: {error}") from None
    return conf
