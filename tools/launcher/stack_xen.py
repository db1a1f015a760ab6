"""The Xen stack: Xen as L1, a Debian as its dom0, and a Debian as a PVH guest, which is L2.

Xen, its tools, both kernels and busybox are Debian's. Dom0's kernel is given uncompressed: the same
code, without the minute that an emulator takes to unpack it.
"""

import gzip
import lzma
import struct

from launcher import stack
from launcher.aptroot import AptRoot
from launcher.common import BUILD, UserError, locked, say

XEN = "4.17"
TOOLS = f"usr/lib/xen-{XEN}/bin"
PACKAGES = (f"xen-utils-{XEN}", "busybox-static")
EXTRA = (f"xen-hypervisor-{XEN}-amd64", "linux-image-amd64", "linux-image-cloud-amd64")
PROGRAMS = ("xl", "libxl-save-helper", "xenstored", "xenconsoled", "xenconsole", "xen-init-dom0")
MODULES = ("xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-privcmd", "xenfs/xenfs")
XEN_COMMAND_LINE = "console=com1 com1=115200,8n1 dom0_mem=512M dom0_max_vcpus=1 sched=credit noreboot"
DOM0_COMMAND_LINE = ("console=hvc0 nokaslr mitigations=off cryptomgr.notests tsc=reliable lpj=1000000 "
                     "quiet panic=-1")
L2 = """\
name = "l2"
type = "pvh"
kernel = "/l2/vmlinuz"
ramdisk = "/l2/initrd"
extra = "console=hvc0 nokaslr mitigations=off cryptomgr.notests quiet panic=-1"
memory = 128
vcpus = 1
on_reboot = "destroy"
on_crash = "destroy"
"""
MEMORY = 1024


def vmlinux(data):
    """The ELF image that a bzImage's payload unpacks to."""
    sectors = data[0x1F1] or 4
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = (sectors + 1) * 512 + offset
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(data[start:start + length])
    except lzma.LZMAError as error:
        raise UserError(f"Debian's kernel is not packed by XZ as it was: {error}") from None


def _kernel(root, flavour):
    """(release, bzImage) of Debian's flavour: "-cloud-amd64" or "-amd64"."""
    for folder in sorted((root / "lib/modules").glob(f"*{flavour}"), reverse=True):
        if flavour.startswith("-cloud") or "-cloud-" not in folder.name:
            return folder.name, stack.read(root, f"boot/vmlinuz-{folder.name}")
    raise UserError(f"no kernel *{flavour} in {root}: remove that folder and try again")


def _dom0_archive(root, folder, release, l2_kernel):
    archive = stack.base(root, "dom0-init")
    for name in MODULES:
        archive.file(f"lib/modules/{release}/{name.rpartition('/')[2]}.ko",
                     stack.read(root, f"lib/modules/{release}/kernel/drivers/xen/{name}.ko"))
    archive.file(stack.LOADER, stack.read(root, stack.LOADER), 0o755)
    for name in PROGRAMS:
        stack.add_program(archive, root, f"{TOOLS}/{name}", stack.LIBRARIES)
    # The C library loads it by itself when a thread is cancelled.
    archive.file("usr/lib/x86_64-linux-gnu/libgcc_s.so.1",
                 stack.read(root, "lib/x86_64-linux-gnu/libgcc_s.so.1"))
    archive.file("bin/tsc", stack.tsc_program(folder), 0o755)
    archive.file("etc/xen/xl.conf", b'autoballoon="off"\n')
    archive.file("l2/vmlinuz", l2_kernel)
    archive.file("l2/initrd", stack.base(root, "l2-init").bytes())
    archive.file("l2/config", L2.encode())
    return archive


def prepare():
    """Fetch what is missing and write Xen, dom0's kernel and its initramfs; return the Stack."""
    apt = AptRoot("xen", stack.SUITE)
    if not apt.ready((*PACKAGES, *EXTRA)):
        say("fetching Debian packages for Xen, dom0 and L2 into build/ (nothing of it is installed here):")
        say(f"  {' '.join((*PACKAGES, *EXTRA))}")
        apt.fetch(PACKAGES, EXTRA)
    folder = BUILD / "stack-xen"
    xen, dom0, initrd = folder / "xen", folder / "vmlinux", folder / "initrd"
    with locked("stack-xen"):
        folder.mkdir(exist_ok=True)
        xen.write_bytes(gzip.decompress(stack.read(apt.root, f"boot/xen-{XEN}-amd64.gz")))
        release, kernel = _kernel(apt.root, "-amd64")
        dom0.write_bytes(vmlinux(kernel))
        _, l2_kernel = _kernel(apt.root, "-cloud-amd64")
        initrd.write_bytes(_dom0_archive(apt.root, folder, release, l2_kernel).bytes())
    return stack.Stack(xen, XEN_COMMAND_LINE, [(dom0, DOM0_COMMAND_LINE), (initrd, "")], MEMORY,
                       "apicv=0")
