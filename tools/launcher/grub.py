"""Bootable ISO images with GRUB: what is on them and what starts it.

Images for people have a menu, from grub-mkrescue. Images for the emulator have the
few GRUB modules they need in one file, which boots in half the time; they print MARK
on port 0xE9 before the kernel starts. It tells what the guest printed from what the
emulator did, and a second one tells a reset.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from launcher.common import UserError, run_quietly

MARK = b"\x02"


@dataclass
class Boot:
    """One kernel with its command line and modules, as (file, arguments)."""
    command: str                      # multiboot2, multiboot or linux
    kernel: Path
    arguments: str = ""
    modules: list = field(default_factory=list)


def _quoted(words):
    """Arguments as GRUB's script language takes them literally."""
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in words.split())


def _place(source, folder, number):
    name = f"{number}-{Path(source).name}".replace("'", "_")
    target = folder / name
    try:
        os.link(Path(source).resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
    return f"'/boot/{name}'"


def _load_lines(boot, folder):
    lines = [f"{boot.command} {_place(boot.kernel, folder, 0)} {_quoted(boot.arguments)}"]
    word = {"multiboot2": "module2", "multiboot": "module", "linux": "initrd"}[boot.command]
    for number, (source, arguments) in enumerate(boot.modules, 1):
        lines.append(f"{word} {_place(source, folder, number)} {_quoted(arguments)}")
    return lines


def _config_for_emulator(loads):
    """Errors go to the serial line, and a machine that cannot boot switches itself off."""
    shutdown = "\n".join(f"outb 0x8900 {byte:#x}" for byte in b"Shutdown")
    return "\n".join([
        "serial --unit=0 --speed=115200", "terminal_output serial", f"outb 0xe9 {MARK[0]:#x}",
        *(f"if ! {line}; then\n{shutdown}\nfi" for line in loads),
        "boot", shutdown]) + "\n"


def _config_for_people(title, loads):
    body = "\n".join(f"\t{line}" for line in loads)
    return ("set timeout=3\nset default=0\n"
            f"menuentry '{title}' {{\n{body}\n}}\n")


def _core(boot, stage):
    """A GRUB for BIOS CD-ROM boot with all it needs inside."""
    start = stage.parent / f"{stage.name}.cfg"
    start.write_text("set root=cd\nnormal (cd)/boot/grub/grub.cfg\n")
    try:
        run_quietly(["grub-mkimage", "-O", "i386-pc-eltorito", "-c", str(start),
                     "-p", "/boot/grub", "-o", str(stage / "boot/grub/core.img"),
                     "biosdisk", "iso9660", "normal", "boot", "test", "iorw", "serial",
                     "terminal", boot.command], "making GRUB's core image")
    finally:
        start.unlink()


def make_boot_iso(out, boot):
    """Write an ISO for the emulator, which starts `boot` at once."""
    with tempfile.TemporaryDirectory(prefix="iso.", dir=Path(out).parent) as name:
        stage = Path(name)
        (stage / "boot/grub").mkdir(parents=True)
        config = _config_for_emulator(_load_lines(boot, stage / "boot"))
        (stage / "boot/grub/grub.cfg").write_text(config)
        _core(boot, stage)
        run_quietly(["xorriso", "-as", "mkisofs", "-quiet", "-R", "-iso-level", "3",
                     "-b", "boot/grub/core.img", "-no-emul-boot", "-boot-load-size", "4",
                     "-boot-info-table", "-o", f"{out}.new", name], "making the boot image")
    os.replace(f"{out}.new", out)


def make_menu_iso(out, boot, title):
    """Write an ISO for a real machine, with a menu of one entry."""
    with tempfile.TemporaryDirectory(prefix="iso.", dir=Path(out).parent) as name:
        stage = Path(name)
        (stage / "boot/grub").mkdir(parents=True)
        loads = _load_lines(boot, stage / "boot")
        (stage / "boot/grub/grub.cfg").write_text(_config_for_people(title, loads))
        run_quietly(["grub-mkrescue", "--locales=", "--fonts=", "--themes=", "-o", f"{out}.new",
                     name], "making the bootable image")
    if not os.path.getsize(f"{out}.new"):
        raise UserError(f"grub-mkrescue wrote an empty image: check the space left for {out}")
    os.replace(f"{out}.new", out)
