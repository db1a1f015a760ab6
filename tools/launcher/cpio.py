"""Writes initramfs archives (cpio, "newc" format) without root rights or other programs."""

import stat


class Archive:
    """An archive in memory. Folders on the way to an entry are made by themselves."""

    def __init__(self):
        self.parts = []
        self.folders = set()
        self.files = set()
        self.number = 0

    def _entry(self, name, mode, data=b"", device=(0, 0)):
        self.number += 1
        raw = name.encode() + b"\0"
        head = "070701" + "".join(f"{value:08x}" for value in (
            self.number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(raw), 0))
        start = head.encode() + raw
        self.parts += [start, b"\0" * (-len(start) % 4), data, b"\0" * (-len(data) % 4)]

    def folder(self, name):
        name = name.strip("/")
        if not name or name in self.folders:
            return
        self.folder(name.rpartition("/")[0])
        self.folders.add(name)
        self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o644):
        """A file; one that is there already stays."""
        name = name.strip("/")
        if name in self.files:
            return
        self.files.add(name)
        self.folder(name.rpartition("/")[0])
        self._entry(name, stat.S_IFREG | mode, data)

    def link(self, name, target):
        name = name.strip("/")
        self.folder(name.rpartition("/")[0])
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def node(self, name, major, minor):
        """A character device."""
        name = name.strip("/")
        self.folder(name.rpartition("/")[0])
        self._entry(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def bytes(self):
        self._entry("TRAILER!!!", 0)
        return b"".join(self.parts)
