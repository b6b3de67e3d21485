"""The replay guard: what it notices, and how much it remembers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from wrapperkernel.wire import ReplayGuard
from wrapperkernel.wire.replay import REMEMBERED


def test_a_digest_is_new_once() -> None:
    guard = ReplayGuard()
    assert guard.add(b"one")
    assert not guard.add(b"one")
    assert guard.add(b"two")


def test_the_latest_65536_are_remembered_and_no_more() -> None:
    guard = ReplayGuard()
    digests = [str(number).encode() for number in range(2**16 + 1)]
    assert REMEMBERED == 2**16
    assert all(map(guard.add, digests))
    assert not any(map(guard.add, digests[1:])), "the latest are all remembered"
    assert guard.add(digests[0]), "the oldest made room"
    assert guard.add(digests[1]), "and then the next"


def test_threads_that_add_the_same_digest_do_not_both_pass() -> None:
    guard = ReplayGuard()
    digests = [str(number).encode() for number in range(2000)]
    with ThreadPoolExecutor(4) as pool:
        new = sum(pool.map(lambda _: sum(map(guard.add, digests)), range(4)))
    assert new == len(digests)
