"""What a test is to the runner: a name, something to run, and outcomes with the facts to show.

One test may have several outcomes (a machine test has one per mode); each counts by itself.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from launcher.common import BUILD

OUTPUT = BUILD / "test"


@dataclass
class Outcome:
    """How one part of a test ended. `why` is None if it passed."""
    name: str
    why: str | None
    seconds: float
    detail: str = ""                  # shown when it failed
    figures: dict = field(default_factory=dict)


@dataclass
class Case:
    """A test. run(parts, report) runs the parts (None: all) and reports each Outcome."""
    name: str
    about: str
    run: Callable
    parts: tuple = ()
    gate: bool = False                # if it fails, machine tests are pointless
    machine: bool = False             # two of these run side by side


def folder_for(*names):
    """A test's own folder for what it leaves behind."""
    folder = Path(OUTPUT, *names)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def tail(text, count=30):
    return "\n".join(text.rstrip().splitlines()[-count:])
