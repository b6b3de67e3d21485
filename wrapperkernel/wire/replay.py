"""Memory of the signatures seen, so that a message sent again is noticed.

Refuses to know whether a signature is good: whoever adds one has verified it. (Otherwise anybody could
make the guard remember, and so refuse, a signature that its owner has yet to use.)
"""

from __future__ import annotations

from collections import deque
from threading import Lock

REMEMBERED = 2**16


class ReplayGuard:
    """Remember the latest verified digests, ``REMEMBERED`` of them. Any thread may use it (W4)."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._oldest_first: deque[bytes] = deque()
        self._lock = Lock()  # the channels share one guard

    def add(self, digest: bytes) -> bool:
        """Remember a digest; return False if it was seen before."""
        with self._lock:
            if digest in self._seen:
                return False
            if len(self._oldest_first) == REMEMBERED:
                self._seen.remove(self._oldest_first.popleft())
            self._seen.add(digest)
            self._oldest_first.append(digest)
            return True
