"""The hypervisor image itself: built by make when it is out of date."""

from launcher import packages
from launcher.common import BUILD, ROOT, UserError, locked, run_quietly

IMAGE = BUILD / "plastron.elf"


def build():
    packages.install("build")
    if not (ROOT / "Makefile").exists():
        raise UserError("this folder has no Makefile: it is not a complete copy of Plastron")
    with locked("make"):
        run_quietly(["make", "-C", str(ROOT), "--no-print-directory", "-j2", "build/plastron.elf"],
                    "building Plastron")
    return IMAGE
