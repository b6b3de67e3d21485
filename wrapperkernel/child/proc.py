"""Files of ``/proc``, where nothing is an error: what they tell about may have gone, or be another user's."""

from __future__ import annotations

import os


def read(path: str) -> bytes:
    """Return what a file holds, or nothing."""
    # Not open(): twice the time, and this is most of what a look at a process costs.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    content = b""
    try:
        while part := os.read(descriptor, 1 << 16):
            content += part
    except OSError:  # it ended while it was read
        return b""
    finally:
        os.close(descriptor)
    return content


def program(pid: int) -> str:
    """Return the name of a process, as the system knows it."""
    return read(f"/proc/{pid}/comm").decode("utf-8", "replace").strip() or "a program"


def link(path: str) -> str:
    """Return where a symbolic link leads, or nothing."""
    try:
        return os.readlink(path)
    except OSError:
        return ""
