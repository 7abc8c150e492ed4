"""A disk for nbdkit's python plugin: a file, and a log of what was written.

Parameters: `file`, and `log`, to which every write appends its offset (8
octets), its length (4 octets, both big-endian) and its data. It becomes
nbdkit's business alone; the tests read the log.
"""

import builtins
import os

import nbdkit  # pylint: disable=import-error

API_VERSION = 2

PATHS = {}


def config(key, value):
    PATHS[key] = value


def thread_model():
    return nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS


def open(_readonly):  # pylint: disable=redefined-builtin
    return os.open(PATHS["file"], os.O_RDWR)


def close(handle):
    os.close(handle)


def get_size(handle):
    return os.fstat(handle).st_size


def pread(handle, buffer, offset, _flags):
    buffer[:] = os.pread(handle, len(buffer), offset)


def pwrite(handle, buffer, offset, _flags):
    os.pwrite(handle, buffer, offset)
    with builtins.open(PATHS["log"], "ab") as log:
        log.write(offset.to_bytes(8, "big") + len(buffer).to_bytes(4, "big")
                  + bytes(buffer))


def can_flush(_handle):
    return True


def flush(_handle, _flags):
    pass
