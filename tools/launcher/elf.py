"""The few facts about ELF files the launcher needs: shared libraries, and where they are."""

import struct

from launcher.common import UserError

PT_LOAD, PT_DYNAMIC = 1, 2
DT_NEEDED, DT_STRTAB = 1, 5


def _segments(data):
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for index in range(count):
        kind, _, at, address, _, length = struct.unpack_from("<IIQQQQ", data, offset + index * size)
        yield kind, at, address, length


def needed(data):
    """Names of the shared libraries a program or library asks for."""
    segments = list(_segments(data))
    tags = []
    for kind, at, _, length in segments:
        if kind == PT_DYNAMIC:
            tags = list(struct.iter_unpack("<qQ", data[at:at + length]))
    strings = next((value for tag, value in tags if tag == DT_STRTAB), 0)
    base = next((at - address for kind, at, address, length in segments
                 if kind == PT_LOAD and address <= strings < address + length), 0)
    for tag, value in tags:
        if tag == DT_NEEDED:
            start = base + strings + value
            yield data[start:data.index(b"\0", start)].decode()


def closure(root, program, folders):
    """Every library a program in `root` needs, as {name: path}."""
    found = {}
    queue = [root / program]
    while queue:
        for name in needed(queue.pop().read_bytes()):
            if name in found:
                continue
            path = next((root / folder / name for folder in folders
                         if (root / folder / name).exists()), None)
            if path is None:
                raise UserError(f"library {name}, which {program} needs, is in none of the Debian "
                                f"packages under {root}: remove that folder and try again")
            found[name] = path
            queue.append(path)
    return found
