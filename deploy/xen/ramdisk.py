"""Writes the initial memory file system of a Linux kernel, bit for bit alike.

The format is cpio's "newc" (Linux: driver-api/early-userspace/buffer-format).
Owners, times and inode numbers are not those of this machine, so that the same
files make the same image anywhere, and no privilege is needed to make one.
"""

import os
import pathlib
import stat

CONSOLE = (5, 1)


class Ramdisk:
    """Files by their path in the image."""

    def __init__(self):
        self.entries = {}

    def directory(self, path, mode=0o755):
        """Adds a folder, and those it is in."""
        path = pathlib.PurePosixPath(path)
        if path == pathlib.PurePosixPath("."):
            return
        self.directory(path.parent)
        self.entries.setdefault(str(path), (stat.S_IFDIR | mode, b"", (0, 0)))

    def _add(self, path, mode, content, device=(0, 0)):
        self.directory(pathlib.PurePosixPath(path).parent)
        self.entries[path] = (mode, content, device)

    def text(self, path, content, mode=0o644):
        self._add(path, stat.S_IFREG | mode, content.encode())

    def file(self, path, source, mode=None):
        """Adds a file; it may be run if the source may."""
        if mode is None:
            mode = 0o755 if os.access(source, os.X_OK) else 0o644
        self._add(path, stat.S_IFREG | mode, pathlib.Path(source).read_bytes())

    def link(self, path, target):
        self._add(path, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, path, number, mode=0o600):
        self._add(path, stat.S_IFCHR | mode, b"", number)

    def write(self, target):
        """Writes all of it, in the order of the names."""
        # To the side first: who is interrupted leaves no half an image.
        partial = pathlib.Path(f"{target}.partial")
        with open(partial, "wb") as out:
            for inode, path in enumerate(sorted(self.entries), start=1):
                mode, content, device = self.entries[path]
                out.write(record(path, inode, mode, content, device))
            out.write(record("TRAILER!!!", 0, 0, b"", (0, 0)))
        partial.rename(target)


def padded(octets):
    return octets + bytes(-len(octets) % 4)


def record(path, inode, mode, content, device):
    """One file: header, name and content, each to a multiple of four."""
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    # Inode, mode, owner, group, links, time, size, the device it is on, the
    # device it is, the name's size, and a checksum that newc does not have.
    fields = (inode, mode, 0, 0, links, 0, len(content), 0, 0, *device,
              len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return padded(header + name) + padded(content)
