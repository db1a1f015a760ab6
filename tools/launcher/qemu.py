"""QEMU with KVM, on machines whose CPU has VT-x: when it can be used, and its command line."""

import os
import subprocess

from launcher import packages
from launcher.common import UserError


def cpu_has_vmx():
    """A /dev/kvm alone says nothing: it may be there on AMD, or without nesting."""
    with open("/proc/cpuinfo") as info:
        return any(line.startswith("flags") and " vmx" in line for line in info)


def usable():
    return cpu_has_vmx() and os.access("/dev/kvm", os.R_OK | os.W_OK)


def require():
    """Say what is missing for --accel kvm."""
    if not cpu_has_vmx():
        raise UserError("--accel kvm: this machine's CPU shows no VMX (its flags in /proc/cpuinfo "
                        "have no vmx): switch VT-x on in its firmware, or use --accel bochs")
    if not os.path.exists("/dev/kvm"):
        raise UserError("--accel kvm: there is no /dev/kvm: modprobe kvm-intel, or use --accel bochs")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise UserError("--accel kvm: /dev/kvm may not be opened: add yourself to the group kvm, "
                        "or use --accel bochs")
    packages.install("kvm")


def command(folder, spec, com1):
    """(argv, environment) of a PC whose consoles are those machine.py reads."""
    argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-machine", "q35,accel=kvm",
            "-cpu", "host,+vmx", "-smp", str(spec.cpus), "-m", str(spec.memory),
            "-display", "none", "-no-reboot", "-boot", "d", "-cdrom", str(spec.iso),
            "-chardev", "stdio,id=e9,signal=off", "-device", "isa-debugcon,iobase=0xe9,chardev=e9",
            "-chardev", f"serial,id=com1,path={com1}", "-serial", "chardev:com1"]
    return argv, dict(os.environ)


def ending(folder, status):
    """How a run ended, by what QEMU says: it does not tell power-off from reset."""
    if status == 0:
        return "power-off"
    lines = (folder / "stderr").read_text(errors="replace").strip().splitlines()
    return f"QEMU ended with status {status}: {lines[-1] if lines else 'no message'}"


def version():
    done = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True)
    return done.stdout.split("\n")[0]
