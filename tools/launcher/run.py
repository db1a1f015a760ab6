"""`plastron run`: boots the machine and shows what its levels say."""

import sys
from pathlib import Path

from launcher import bochs, grub, images, packages
from launcher.cli import Parser
from launcher.common import BUILD, ROOT, UserError, relative, run_quietly, say, slot
from launcher.console import Console
from launcher.machine import Machine, Spec

L0_IMAGE = BUILD / "plastron.elf"


def _parser():
    parser = Parser(prog="plastron run", description="Boot Plastron with a guest on it.")
    parser.add_argument("image", nargs="?", metavar="IMAGE",
                        help="a hypervisor or kernel: Multiboot1/2 ELF, Linux bzImage or vmlinux")
    parser.add_argument("--module", action="append", default=[], metavar="FILE",
                        help="a module for it (for Linux: its initramfs); may be repeated")
    parser.add_argument("--append", default="", metavar="ARGS", help="its command line")
    parser.add_argument("--options", default="", metavar="ARGS", help="options for Plastron itself")
    parser.add_argument("--cpus", type=int, default=1, metavar="N")
    parser.add_argument("--memory", type=int, metavar="M", help="of the machine, in MiB")
    parser.add_argument("--cpu-model", default="corei7_skylake_x", metavar="NAME")
    parser.add_argument("--accel", choices=("auto", "bochs", "kvm"), default="auto")
    parser.add_argument("--timeout", type=int, default=600, metavar="S")
    parser.add_argument("--bochs", metavar="VERSION", help="3.0 or 2.7")
    parser.add_argument("--bare", action="store_true", help="without Plastron, for comparison")
    return parser


def build_l0():
    """Build Plastron; make does nothing if it is up to date."""
    packages.install("build")
    if not (ROOT / "Makefile").exists():
        raise UserError("this folder has no Makefile: it is not a complete copy of Plastron")
    run_quietly(["make", "-C", str(ROOT), "--no-print-directory", "build/plastron.elf"],
                "building Plastron")
    return L0_IMAGE


def compose(image, arguments, modules, options, bare):
    """What GRUB starts: the guest on Plastron, or alone."""
    if not bare:
        return grub.Boot("multiboot2", build_l0(), options, [(image.path, arguments), *modules])
    if image.grub_command is None:
        raise UserError("GRUB cannot start a vmlinux: with --bare, give the bzImage")
    return grub.Boot(image.grub_command, image.path, arguments, modules)


def main(arguments):
    options = _parser().parse_args(arguments)
    image = images.recognise(options.image)
    for module in options.module:
        images.read_file(module, "module")
    packages.install("image")
    emulator = bochs.find(options.bochs)
    bochs.check_model(emulator, options.cpu_model)
    with slot(BUILD / "run") as folder:
        boot = compose(image, options.append, [(name, "") for name in options.module],
                       options.options, options.bare)
        spec = Spec(folder / "boot.iso", options.cpu_model, options.cpus, options.memory or 256)
        grub.make_boot_iso(spec.iso, boot)
        with open(folder / "console.log", "w") as log:
            console = Console(log)
            machine = Machine(folder, console.feed, console.tick)
            argv, env = bochs.command(emulator, folder, spec, machine.com1)
            result = machine.run(argv, env, options.timeout)
            console.close()
        say(f"ended by {result.ended} after {result.seconds:.1f} s; "
            f"log: {relative(folder / 'console.log')}")
    return 0 if result.ended in ("shutdown", "power-off") else 1
