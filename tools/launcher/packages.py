"""Debian packages on this machine: which ones are needed, for what, and their installation.

Packages whose contents are only carried into a guest never come here: see aptroot.py.
"""

import os
import shutil
import subprocess

from launcher.common import UserError, say, sign_of_life

# group: ((package, what it is needed for), ...)
GROUPS = {
    "build": (
        ("make", "building Plastron"),
        ("gcc", "compiling Plastron"),
        ("binutils", "linking Plastron"),
        ("libc6-dev", "the C headers a compiler brings to freestanding code"),
    ),
    "image": (
        ("grub-common", "grub-mkimage, which puts the boot loader together"),
        ("grub-pc-bin", "GRUB for BIOS, the boot loader"),
        ("xorriso", "writing the ISO file system GRUB boots from"),
    ),
    "iso": (
        ("mtools", "used by grub-mkrescue for bootable images"),
    ),
    "test": (
        ("libcmocka-dev", "the unit tests"),
        ("libzydis-dev", "a decoder of instructions, to compare Plastron's with"),
        ("clang", "the second compiler that must build without warnings"),
        ("shellcheck", "checking the shell scripts"),
    ),
    "fuzz": (
        ("clang", "compiling the fuzzers"),
        ("libclang-rt-dev", "libFuzzer and the sanitizers, of clang's own version"),
    ),
    "bochs": (
        ("bochs", "the emulator, which has VMX in software"),
        ("bochs-term", "a display module for it that needs no X server"),
        ("bochsbios", "its BIOS"),
        ("vgabios", "its VGA BIOS"),
    ),
    "kvm": (
        ("qemu-system-x86", "running Plastron with KVM on this machine's VT-x"),
    ),
}


def installed_version(package):
    """The installed version of a package, or None."""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package],
                          capture_output=True, text=True)
    status, _, version = done.stdout.partition(" ")
    return version if status == "installed" else None


def candidate_version(package):
    """The version this machine's apt would install, or None."""
    done = subprocess.run(["apt-cache", "policy", package], capture_output=True, text=True,
                          env=dict(os.environ, LC_ALL="C"))
    for line in done.stdout.splitlines():
        label, _, version = line.strip().partition(": ")
        if label == "Candidate":
            return None if version == "(none)" else version
    return None


def _apt(*words):
    argv = ["apt-get", *words]
    if os.geteuid():
        argv = ["sudo", "env", "DEBIAN_FRONTEND=noninteractive", *argv]
    with sign_of_life(f"apt-get {words[0]}"):
        return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace",
                              env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))


def install(*groups):
    """Install what the groups list and this machine lacks; say which and why."""
    wanted = {name: why for group in groups for name, why in GROUPS[group]}
    missing = [(name, why) for name, why in wanted.items() if installed_version(name) is None]
    if not missing:
        return
    names = [name for name, _ in missing]
    if shutil.which("apt-get") is None:
        raise UserError("this is not Debian (no apt-get): install by hand: " + " ".join(names))
    if os.geteuid() and shutil.which("sudo") is None:
        raise UserError("packages are missing and there is no sudo; as root: "
                        "apt-get install --no-install-recommends " + " ".join(names))
    say(f"installing {len(missing)} Debian package(s):")
    for name, why in missing:
        say(f"  {name:16} {why}")
    if any(candidate_version(name) is None for name in names):
        _apt("update", "-qq")
    order = ("install", "-qq", "-y", "--no-install-recommends", *names)
    done = _apt(*order)
    if done.returncode:
        # The lists may be older than the mirror's pool.
        _apt("update", "-qq")
        done = _apt(*order)
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-10:])
        raise UserError(f"apt-get could not install {' '.join(names)}:\n{tail}")
