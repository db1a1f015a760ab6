"""The Debian/KVM/Debian stack: L1's kernel and initramfs, with L2's inside it.

Kernel, modules, QEMU, its libraries and firmware, and busybox are Debian's, taken as
they are from the packages; only the two small init scripts and a TSC reader are ours.
"""

from dataclasses import dataclass
from pathlib import Path

from launcher import elf
from launcher.aptroot import AptRoot
from launcher.common import BUILD, ROOT, UserError, locked, run_quietly, say
from launcher.cpio import Archive

SUITE = "bookworm"
PACKAGES = ("qemu-system-x86", "busybox-static")
KERNEL_PACKAGE = "linux-image-cloud-amd64"
SCRIPTS = ROOT / "tools/stack"
LIBRARIES = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")
LOADER = "lib64/ld-linux-x86-64.so.2"
# The build of QEMU with only KVM and the two PC machines, a third of the size.
QEMU = "usr/bin/qemu-system-x86_64-microvm"
FIRMWARE = ("usr/share/qemu/bios-microvm.bin", "usr/share/qemu/linuxboot_dma.bin",
            "usr/share/qemu/pvh.bin", "usr/share/seabios/bios-microvm.bin")
MODULES = ("virt/lib/irqbypass", "arch/x86/kvm/kvm", "arch/x86/kvm/kvm-intel")
L2_ARGUMENTS = ("-M microvm,rtc=on,pic=on,pit=on,isa-serial=on -accel kvm -cpu host -m 128 "
                "-nodefaults -no-user-config -display none -no-reboot -serial stdio "
                "-kernel /l2/vmlinuz -initrd /l2/initrd")
COMMON = ("console=ttyS0,115200 nokaslr mitigations=off no_timer_check cryptomgr.notests quiet "
          "panic=-1")
# What a kernel would measure, slowly, in the emulator: words that begin with one of these.
CLOCK = ("tsc", "lpj")
EMULATOR_CLOCK = "tsc=reliable lpj=1000000 tsc_early_khz=100000"
# Bare, on an emulator whose virtual interrupts do not work (Plastron finds that out itself).
WITHOUT_APICV = "kvm_intel.enable_apicv=0"
L1_COMMAND_LINE = f"{COMMON} {EMULATOR_CLOCK}"
L2_COMMAND_LINE = f"{COMMON} reboot=t"
MEMORY = 512


@dataclass
class Stack:
    """What L0 is given: L1's image, its command line, its modules as (file, arguments), and MiB."""
    image: Path
    arguments: str
    modules: list
    memory: int
    without_apicv: str = WITHOUT_APICV


def read(root, name):
    path = root / name
    # A package's link may be absolute: it is meant for a system with this root.
    while path.is_symlink():
        target = path.readlink()
        path = root / target.relative_to("/") if target.is_absolute() else path.parent / target
    if not path.exists():
        raise UserError(f"{path} is missing: remove {root} and try again")
    return path.read_bytes()


def base(root, init):
    """An archive with busybox, a console and the given first program."""
    archive = Archive()
    for folder in ("dev", "proc", "sys", "tmp"):
        archive.folder(folder)
    archive.node("dev/console", 5, 1)
    busybox = "bin/busybox" if (root / "bin/busybox").exists() else "usr/bin/busybox"
    archive.file("bin/busybox", read(root, busybox), 0o755)
    archive.link("bin/sh", "busybox")
    archive.file("init", (SCRIPTS / init).read_bytes(), 0o755)
    return archive


def kernel_release(root):
    folders = sorted((root / "lib/modules").glob("*"))
    if not folders:
        raise UserError(f"no kernel in {root}: remove that folder and try again")
    return folders[-1].name


def tsc_program(folder):
    program = folder / "tsc"
    run_quietly(["gcc", "-O2", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector",
                 "-Wall", "-Wextra", "-o", str(program), str(SCRIPTS / "tsc.c")],
                "compiling the TSC reader")
    return program.read_bytes()


def add_program(archive, root, name, folders):
    """A program of the packages, with the libraries it needs."""
    archive.file(name, read(root, name), 0o755)
    for library, path in elf.closure(root, name, folders).items():
        if library != Path(LOADER).name:
            archive.file(f"usr/lib/x86_64-linux-gnu/{library}", path.read_bytes(), 0o755)


def _l1_archive(root, folder, kernel):
    archive = base(root, "l1-init")
    release = kernel_release(root)
    for module in MODULES:
        name = module.rpartition("/")[2]
        archive.file(f"lib/modules/{release}/{name}.ko",
                     read(root, f"lib/modules/{release}/kernel/{module}.ko"))
    add_program(archive, root, QEMU, LIBRARIES)
    archive.link("usr/bin/qemu-system-x86_64", Path(QEMU).name)
    archive.file(LOADER, read(root, LOADER), 0o755)
    for name in FIRMWARE:
        if (root / name).is_file():
            archive.file(f"usr/share/qemu/{Path(name).name}", read(root, name))
    archive.file("bin/tsc", tsc_program(folder), 0o755)
    archive.file("l2/vmlinuz", kernel)
    archive.file("l2/initrd", base(root, "l2-init").bytes())
    archive.file("l2/arguments", L2_ARGUMENTS.encode())
    archive.file("l2/command-line", L2_COMMAND_LINE.encode())
    return archive


def prepare():
    """Fetch what is missing and write L1's kernel and initramfs; return the Stack."""
    apt = AptRoot("debian", SUITE)
    if not apt.ready((*PACKAGES, KERNEL_PACKAGE)):
        say("fetching Debian packages for L1 and L2 into build/ (nothing of it is installed here):")
        for name, why in ((KERNEL_PACKAGE, "the kernel of both, with kvm and kvm-intel"),
                          ("qemu-system-x86", "L1's QEMU, which runs L2"),
                          ("busybox-static", "the user space of both")):
            say(f"  {name:24} {why}")
        apt.fetch(PACKAGES, (KERNEL_PACKAGE,))
    folder = BUILD / "stack"
    with locked("stack"):
        folder.mkdir(exist_ok=True)
        kernel = folder / "vmlinuz"
        kernel.write_bytes(read(apt.root, f"boot/vmlinuz-{kernel_release(apt.root)}"))
        initrd = folder / "initrd"
        initrd.write_bytes(_l1_archive(apt.root, folder, kernel.read_bytes()).bytes())
    return Stack(kernel, L1_COMMAND_LINE, [(initrd, "")], MEMORY)
