"""Recognises kernel images, for clear errors early; L0 has its own loaders and judgement."""

import struct
from dataclasses import dataclass
from pathlib import Path

from launcher.common import UserError, relative

MULTIBOOT1 = 0x1BADB002
MULTIBOOT2 = 0xE85250D6
XEN_PVH_NOTE = 18


@dataclass
class Image:
    """A file that can be started. Kind: multiboot1, multiboot2, bzimage or vmlinux."""
    path: Path
    kind: str
    version: str = ""
    is_both: bool = False    # Multiboot1, too

    @property
    def grub_command(self):
        """Multiboot1 of both: on relocatable Multiboot2 images, such as Xen, GRUB 2.06 breaks its heap."""
        if self.is_both:
            return "multiboot"
        return {"multiboot1": "multiboot", "multiboot2": "multiboot2", "bzimage": "linux",
                "vmlinux": None}[self.kind]


def read_file(path, what):
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{what} {path} does not exist: check the path") from None
    except IsADirectoryError:
        raise UserError(f"{what} {path} is a folder: name the file in it") from None
    except OSError as error:
        raise UserError(f"{what} {path} cannot be read: {error.strerror}") from None
    if not data:
        raise UserError(f"{what} {path} is empty: build it again")
    return data


def _has_header(data, magic, reach, step):
    for offset in range(0, min(len(data), reach) - 12, step):
        first, second, third = struct.unpack_from("<III", data, offset)
        if first != magic:
            continue
        if magic == MULTIBOOT1 and (first + second + third) & 0xFFFFFFFF == 0:
            return True
        if magic == MULTIBOOT2 and len(data) >= offset + 16:
            checksum, = struct.unpack_from("<I", data, offset + 12)
            if (first + second + third + checksum) & 0xFFFFFFFF == 0:
                return True
    return False


def _bzimage_version(data):
    offset, = struct.unpack_from("<H", data, 0x20E)
    text = data[offset + 0x200:offset + 0x300].split(b"\0")[0].decode("ascii", "replace")
    return text.split(" ")[0]


def recognise(path):
    """The Image in a file; an error a person understands if there is none."""
    data = read_file(path, "image")
    path = Path(path)
    if data[:4] == b"\x7fELF":
        if _has_header(data, MULTIBOOT2, 32768, 8):
            return Image(path, "multiboot2", is_both=_has_header(data, MULTIBOOT1, 8192, 4))
        if _has_header(data, MULTIBOOT1, 8192, 4):
            return Image(path, "multiboot1")
        machine, = struct.unpack_from("<H", data, 18)
        if data[4] == 2 and machine == 62 and b"Linux version " in data:
            return Image(path, "vmlinux")
        raise UserError(f"{relative(path)} is an ELF file without a Multiboot1 or Multiboot2 "
                        "header and no Linux kernel: link a header into its first 8 KiB "
                        "(Multiboot2: 32 KiB)")
    if len(data) > 0x264 and data[0x202:0x206] == b"HdrS":
        protocol, = struct.unpack_from("<H", data, 0x206)
        if protocol < 0x20C:
            raise UserError(f"{relative(path)} is a Linux kernel older than boot protocol 2.12: "
                            "use a 64-bit kernel of 3.8 or later")
        if not struct.unpack_from("<H", data, 0x236)[0] & 1:
            raise UserError(f"{relative(path)} is a 32-bit Linux kernel: use a 64-bit one")
        return Image(path, "bzimage", _bzimage_version(data))
    raise UserError(f"{relative(path)} has an unknown format: give a Multiboot1 or Multiboot2 ELF, "
                    "a Linux bzImage, or a vmlinux")
