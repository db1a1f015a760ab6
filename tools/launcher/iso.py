"""`plastron iso`: the stack, or the user's own guest on Plastron, as an image for a real machine."""

from pathlib import Path

from launcher import grub, images, l0, packages, stack
from launcher.cli import Parser
from launcher.common import UserError, relative
from launcher.run import split_module


def _parser():
    parser = Parser(prog="plastron iso", description="Write a bootable image (BIOS) for a CD, a USB "
                    "stick or another virtual machine.")
    parser.add_argument("out", metavar="OUT.iso")
    parser.add_argument("image", nargs="?", metavar="IMAGE", help="without it: a Debian with KVM "
                        "that boots a Debian")
    parser.add_argument("modules", nargs="*", default=[], metavar="'MODULE [ARGS]'",
                        help="modules for IMAGE (for Linux: its initramfs)")
    parser.add_argument("--append", default="", metavar="ARGS", help="the command line of IMAGE")
    parser.add_argument("--options", default="", metavar="ARGS", help="options for Plastron itself")
    return parser


def _guest(options):
    if options.image is None:
        debian = stack.prepare()
        # The emulator's clock rate is not a real machine's.
        words = [word for word in debian.arguments.split() if not word.startswith(stack.CLOCK)]
        return debian.image, " ".join([*words, options.append]).strip(), debian.modules
    image = images.recognise(options.image)
    modules = [split_module(text) for text in options.modules]
    for name, _ in modules:
        images.read_file(name, "module")
    return image.path, options.append, modules


def main(arguments):
    options = _parser().parse_args(arguments)
    out = Path(options.out)
    if out.is_dir() or not out.parent.is_dir():
        raise UserError(f"{out} cannot be written: name a file in a folder that exists")
    packages.install("build", "image", "iso")
    kernel, arguments, modules = _guest(options)
    boot = grub.Boot("multiboot2", l0.build(), options.options, [(kernel, arguments), *modules])
    grub.make_menu_iso(out, boot, "Plastron")
    print(f"{relative(out)}: {out.stat().st_size >> 20} MiB, boots by BIOS; its console is the "
          "first serial port, 115200 baud")
    return 0
