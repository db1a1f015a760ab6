"""The Bochs emulator: which one to use, its configuration file and its command line.

Starting, watching and ending it is machine.py's work. Bochs 3.0 is preferred;
2.7 works on one CPU; 3.1 computes IDIV wrongly and is refused.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from launcher import packages
from launcher.aptroot import AptRoot
from launcher.common import UserError, say, warn

LOG_TAIL = 65536
GOOD_SUITE = "trixie"
GOOD_PACKAGES = ("bochs", "bochs-term", "bochsbios", "vgabios")
MODELS_WITHOUT_VMX = (
    "bx_generic", "pentium", "pentium_mmx", "amd_k6_2_chomper", "athlon_xp", "p2_klamath",
    "p3_katmai", "p4_willamette", "p4_prescott_celeron_336", "athlon64_clawhammer",
    "athlon64_venice", "turion64_tyler", "phenom_8650_toliman", "atom_n270", "ryzen",
    "zambezi", "trinity_apu", "core_duo_t2400_yonah", "i386", "i486dx4")


@dataclass
class Bochs:
    """An emulator that can be started: program, environment, firmware."""
    version: str
    argv: list
    share: Path
    env: dict = field(default_factory=dict)

    @property
    def always_debugger(self):
        return self.version.startswith("2.")

    def firmware(self, *names):
        for folder in (self.share, Path("/usr/share/vgabios"), Path("/usr/share/bochs")):
            for name in names:
                if (folder / name).exists():
                    return folder / name
        raise UserError(f"Bochs's firmware {names[0]} is missing: reinstall bochsbios and vgabios")

    def models(self):
        """The CPU models this emulator knows."""
        done = subprocess.run([*self.argv, "--help", "cpu"], capture_output=True, text=True,
                              env=dict(os.environ, **self.env), stdin=subprocess.DEVNULL)
        _, _, listing = (done.stdout + done.stderr).partition("Supported CPU models:")
        return [line for line in listing.splitlines() if line.replace("_", "").isalnum()]


def _short(version):
    return version.split("+")[0].split("-")[0]


def _private():
    root = AptRoot("bochs-3.0", GOOD_SUITE)
    if not root.ready(GOOD_PACKAGES):
        say("fetching Bochs 3.0 from Debian 13 into build/ (this release of Debian has another)")
        root.fetch(GOOD_PACKAGES)
    lib = root.root / "usr/lib/x86_64-linux-gnu"
    return Bochs("3.0", [str(lib / "ld-linux-x86-64.so.2"), "--library-path",
                         f"{lib}:{lib}/pulseaudio", str(root.root / "usr/bin/bochs-bin")],
                 root.root / "usr/share/bochs",
                 {"LTDL_LIBRARY_PATH": str(lib / "bochs/plugins"),
                  "BXSHARE": str(root.root / "usr/share/bochs")})


def _of_host(version):
    program = shutil.which("bochs-bin") or shutil.which("bochs")
    if not program:
        raise UserError("Debian's package bochs is installed but has no program: reinstall it")
    return Bochs(version, [program], Path("/usr/share/bochs"))


def find(wanted=None):
    """The emulator to use: `wanted` is "2.7", "3.0" or None for the best one."""
    if wanted not in (None, "2.7", "3.0"):
        raise UserError(f"Bochs {wanted} is not supported: use 3.0 or 2.7 (3.1 divides wrongly)")
    offered = packages.installed_version("bochs") or packages.candidate_version("bochs")
    offered = _short(offered) if offered else None
    if wanted == "2.7" and offered != "2.7":
        raise UserError(f"Bochs 2.7 is Debian 12's; this machine has {offered}: use 3.0")
    if (wanted or "3.0") == offered:
        packages.install("bochs")
        return _of_host(offered)
    try:
        return _private()
    except UserError as error:
        if wanted or offered != "2.7":
            raise
        warn(f"Bochs 3.0 cannot be had, using 2.7: {error}")
        packages.install("bochs")
        return _of_host("2.7")


def check_model(emulator, model):
    """Refuse a CPU model that cannot run a hypervisor or does not exist."""
    if model in MODELS_WITHOUT_VMX:
        raise UserError(f"CPU model {model} has no 64-bit VMX: use one that has, for example "
                        "--cpu-model corei7_skylake_x")
    known = emulator.models()
    if known and model not in known:
        raise UserError(f"Bochs {emulator.version} has no CPU model {model}; it has: "
                        + " ".join(name for name in known if name not in MODELS_WITHOUT_VMX))


def configuration(emulator, folder, spec, com1):
    """The text of a bochsrc for the machine that spec describes. Blanks count in quotes alone."""
    bios = emulator.firmware("BIOS-bochs-latest")
    vga = emulator.firmware("VGABIOS-lgpl-latest", "vgabios.bin")
    lines = [
        "plugin_ctrl: unmapped=true, biosdev=true, speaker=false, parallel=false, "
        "extfpuirq=true, serial=true",
        'display_library: rfb, options="timeout=0"',
        f"cpu: model={spec.model}, count={spec.cpus}, ips=100000000, "
        "reset_on_triple_fault=0, ignore_bad_msrs=1",
        f"memory: guest={spec.memory}, host={min(spec.memory, 2048)}",
        f'romimage: file="{bios}", options=fastboot',
        f'vgaromimage: file="{vga}"',
        f'ata0-master: type=cdrom, path="{spec.iso}", status=inserted',
        "boot: cdrom",
        "clock: sync=none, time0=946681200",
        f"com1: enabled=1, mode=term, dev={com1}",
        "port_e9_hack: enabled=1",
        f'log: "{folder / "bochs.log"}"',
        "panic: action=fatal",
        f"error: action={'report' if spec.log_errors else 'ignore'}",
        "info: action=report",
        "debug: action=ignore",
    ]
    return "\n".join(lines) + "\n"


def _wrapped():
    """Words that hide a program's VNC port from outside and end it with its parent."""
    tie = ["setpriv", "--pdeathsig", "KILL"]
    for hide in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"], []):
        words = [*hide, *tie]
        if shutil.which(words[0]) and subprocess.run(
                [*words, "true"], stderr=subprocess.DEVNULL).returncode == 0:
            return words
    return []


def command(emulator, folder, spec, com1, script=None):
    """Write the configuration; return (argv, environment) that start the emulator.

    A script is lines for its debugger, which stops at each `xchg %bx,%bx`.
    """
    text = configuration(emulator, folder, spec, com1)
    argv = [*_wrapped(), *emulator.argv, "-q", "-f", str(folder / "bochsrc")]
    if script or emulator.always_debugger:
        (folder / "commands").write_text(f"{script or 'c'}\nq\n")
        argv += ["-rc", str(folder / "commands")]
    if script:
        text += "magic_break: enabled=1\n"
        if not emulator.always_debugger:
            argv.append("-debugger")
    (folder / "bochsrc").write_text(text)
    return argv, dict(os.environ, **emulator.env)


def ending(folder, _status):
    """What made Bochs stop, from its log."""
    try:
        with open(folder / "bochs.log", "rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - LOG_TAIL))
            text = log.read().decode("ascii", "replace")
    except FileNotFoundError:
        return "the emulator did not start: " + _tail(folder / "stderr")
    found = re.findall(r">>PANIC<< (.*)", text)
    if not found and "dbg: Quit" in text:
        return "debugger"
    if not found:
        return "the emulator ended by itself: " + _tail(folder / "stderr")
    for pattern, name in (("Shutdown port", "shutdown"), ("power off", "power-off"),
                          ("exception with no resolution", "triple fault")):
        if pattern in found[-1]:
            return name
    return f"the emulator stopped: {found[-1]}"


def _tail(path):
    """What the emulator said last, best where it says why it stops."""
    lines = [line for line in path.read_text(errors="replace").splitlines()
             if line.strip() and not line.startswith("=")]
    why = [line.partition(">>PANIC<< ")[2] for line in lines if ">>PANIC<<" in line]
    return (why or lines or ["no message"])[-1]
