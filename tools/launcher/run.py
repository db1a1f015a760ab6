"""`plastron run`: boots the machine, shows what its levels say, and sums up."""

import contextlib
import re
import sys
import termios
import tty
from pathlib import Path

from launcher import accel, grub, images, l0, packages, stack, stack_xen, summary
from launcher.cli import Parser
from launcher.common import BUILD, UserError, relative, say, slot
from launcher.console import Console, Terminal
from launcher.machine import Limit, Spec

L0_MEMORY = 34
GUEST_MEMORY = 64
DEFAULT_MEMORY = 256
STACKS = {"kvm": stack, "xen": stack_xen}


def _parser():
    parser = Parser(prog="plastron run", description="Boot Plastron with a guest on it: without "
                    "IMAGE, a Debian with KVM (L1) that boots a Debian (L2).")
    parser.add_argument("--stack", choices=STACKS, default="kvm",
                        help="without IMAGE: which hypervisor is L1")
    parser.add_argument("image", nargs="?", metavar="IMAGE",
                        help="a hypervisor or kernel: Multiboot1/2 ELF, Linux bzImage or vmlinux")
    parser.add_argument("--module", action="append", default=[], metavar="'FILE [ARGS]'",
                        help="a module for it (for Linux: its initramfs); may be repeated")
    parser.add_argument("--append", default="", metavar="ARGS", help="its command line")
    parser.add_argument("--options", default="", metavar="ARGS", help="options for Plastron itself")
    parser.add_argument("--cpus", type=int, default=1, metavar="N", help="of the machine")
    parser.add_argument("--memory", type=int, metavar="M", help="of the machine, in MiB")
    parser.add_argument("--cpu-model", metavar="NAME", help="a CPU model of Bochs with VMX")
    parser.add_argument("--accel", choices=("auto", "bochs", "kvm"), default="auto",
                        help="auto: KVM if this machine has VT-x, else the emulator")
    parser.add_argument("--bochs", metavar="VERSION", help="3.0 or 2.7")
    parser.add_argument("--debugger", metavar="FILE",
                        help="commands for Bochs's debugger, which also stops at xchg %%bx,%%bx")
    parser.add_argument("--timeout", type=int, metavar="S",
                        help="end the machine after S seconds (default 600; none at a terminal)")
    parser.add_argument("--bare", action="store_true", help="without Plastron, for comparison")
    return parser


def split_module(text):
    """(file, arguments) from one word of the command line."""
    if Path(text).exists():
        return Path(text), ""
    name, _, arguments = text.partition(" ")
    return Path(name), arguments


def _guest(options):
    """The guest: Image, command line, modules, MiB it needs, and what keeps it from using APICv."""
    if options.image is None:
        if options.module:
            raise UserError("--module needs an IMAGE: the built-in stack brings its own")
        built_in = STACKS[options.stack].prepare()
        return (images.recognise(built_in.image), f"{built_in.arguments} {options.append}".strip(),
                built_in.modules, built_in.memory, built_in.without_apicv)
    image = images.recognise(options.image)
    modules = [split_module(text) for text in options.module]
    size = sum(len(images.read_file(name, "module")) for name, _ in modules)
    # The boot loader and the guest each hold a copy for a while.
    need = 2 * ((size + image.path.stat().st_size) >> 20) + GUEST_MEMORY
    without_apicv = stack.WITHOUT_APICV if image.kind == "bzimage" else ""
    return image, options.append, modules, need, without_apicv


def _check_memory(options, need):
    need += 0 if options.bare else L0_MEMORY
    if options.memory is None:
        options.memory = max(need, DEFAULT_MEMORY)
    if options.memory < need:
        raise UserError(f"--memory {options.memory}: at least {need} MiB are needed for this guest")


def compose(image, arguments, modules, options, bare):
    """What GRUB starts: the guest on Plastron, or alone."""
    if not bare:
        return grub.Boot("multiboot2", l0.build(), options, [(image.path, arguments), *modules])
    if image.grub_command is None:
        raise UserError("GRUB cannot start a vmlinux: with --bare, give the bzImage")
    return grub.Boot(image.grub_command, image.path, arguments, modules)


def default_level(options):
    """The level of lines without a prefix: one above the innermost Plastron."""
    labels = re.findall(r"\blabel=L(\d+)", " ".join([options.append, *options.module]))
    return f"L{max([0, *map(int, labels)]) + 1}"


@contextlib.contextmanager
def _keyboard(interactive):
    """Standard input without line editing, as the guest's serial line wants it."""
    if not interactive:
        yield None
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _run(machine, boot, options, folder):
    interactive = options.image is not None and sys.stdin.isatty() and sys.stdout.isatty()
    spec = Spec(folder / "boot.iso", options.cpu_model or accel.DEFAULT_MODEL, options.cpus,
                options.memory)
    grub.make_boot_iso(spec.iso, boot)
    limit = Limit(options.timeout or (10**9 if interactive else 600))
    if interactive:
        say("this terminal is the guest's serial console; Ctrl-] ends the machine")
    with open(folder / "console.log", "w") as log, _keyboard(interactive) as keyboard:
        console = (Terminal if interactive else Console)(log, default=default_level(options))
        result = machine.run(folder, spec, console.feed, limit, console.tick, keyboard)
        console.close()
    return console.lines, result


def main(arguments):
    options = _parser().parse_args(arguments)
    if options.timeout is not None and options.timeout <= 0:
        raise UserError(f"--timeout {options.timeout}: give a number of seconds above 0")
    is_stack = options.image is None
    packages.install("image", "build")
    image, command_line, modules, need, without_apicv = _guest(options)
    _check_memory(options, need)
    machine = accel.choose(options)
    if options.bare and not machine.good_apicv:
        command_line = f"{command_line} {without_apicv}".strip()
    boot = compose(image, command_line, modules, f"console=e9 {options.options}".strip(),
                   options.bare)
    with slot(BUILD / "run") as folder:
        lines, result = _run(machine, boot, options, folder)
        facts = summary.read(lines)
        judge = summary.failure_of_stack if is_stack else summary.failure_of_machine
        failure = judge(facts, result, options.bare)
        print("\n".join(["", *summary.text(facts, result, is_stack)]))
        print(f"  log: {relative(folder / 'console.log')}")
    if result.ended in ("quit", "debugger"):
        print(summary.ENDINGS[result.ended])
        return 0
    if failure:
        print(f"FAIL: {failure}")
        return 1
    print("PASS: L2's user space ran and all levels shut down in order" if is_stack
          else "PASS: the guest ran and switched the machine off")
    return 0
