"""What is no message, on every socket: dropped, logged once, then counted, and never run."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wrapperkernel.testing.client import KernelClient
from wrapperkernel.testing.malformed import malformed_frames
from wrapperkernel.testing.process import KernelProcess

Start = Callable[..., KernelProcess]

KINDS = ("no-delimiter", "short", "unsigned", "bad-signature", "bad-json", "not-an-object", "bad-header")
CHANNELS = ("shell", "control", "stdin")

EVIL = "names = kernel.names\nnames['runs'] = names.get('runs', 0) + 1"
"""A cell that leaves a trace where it is run."""


@pytest.fixture
def kernel(start: Start) -> Iterator[KernelProcess]:
    """A kernel of one's own: what it logs, it logs once."""
    with start() as process:
        yield process


def runs(client: KernelClient) -> int:
    """Ask how often the evil cell was run."""
    return int(client.execute("say(str(kernel.names.get('runs', 0)))").stdout)


def evil(client: KernelClient, number: int = 0) -> dict[str, Any]:
    content = {"code": f"{EVIL} # {number}", "silent": False, "store_history": True, "allow_stdin": False}
    return client.compose("execute_request", content)


def warnings(kernel: KernelProcess, kind: str) -> list[str]:
    return [line for line in kernel.stderr.splitlines() if re.search(rf"\b{kind}\b", line)]


@pytest.mark.row(
    "W3", file="server/channels.py", old="except WireError as error:", new="except KeyError as error:"
)
@pytest.mark.row("W4")
def test_ten_thousand_of_all_kinds_on_all_sockets(kernel: KernelProcess, client: KernelClient) -> None:
    for number in range(480):
        for channel in CHANNELS:
            request = evil(client, len(CHANNELS) * number + CHANNELS.index(channel))
            for frames in malformed_frames(client, request).values():
                client.send_frames(channel, frames)
        if number % 40 == 0:  # between them, good ones are answered
            assert client.exchange("control", "kernel_info_request").status == "ok"
            assert client.execute(f"say('{number}')").stdout == str(number)
    assert runs(client) == 0
    for channel in CHANNELS:
        for kind in KINDS:
            said = warnings(kernel, f"{channel} {kind}")
            assert len(said) == 3, said
            assert "more of these are counted" in said[0]
            assert [line.split(": ")[-1] for line in said[1:]] == ["10 times so far", "100 times so far"]
    assert "Traceback" not in kernel.stderr
    key = str(client.connection["key"])
    assert key not in kernel.stderr
    assert "names['runs']" not in kernel.stderr
    client.exchange("control", "shutdown_request", {"restart": False})
    assert kernel.wait() == 0
    assert [line.split(": ")[-1] for line in warnings(kernel, "shell short")][-1] == "480 times in all"


@pytest.mark.row("W3")
def test_frames_that_are_damaged_at_random(kernel: KernelProcess, client: KernelClient) -> None:
    dice = random.Random(20)

    def damaged(frames: list[bytes]) -> list[bytes]:
        place = dice.randrange(len(frames))
        how = dice.randrange(7)
        if how == 0:
            del frames[place]
        elif how == 1:
            frames.insert(place, frames[dice.randrange(len(frames))])
        elif how == 2:
            frames[place] = frames[place][: dice.randrange(len(frames[place]) + 1)] + b"!"
        elif how == 3:
            other = dice.randrange(len(frames))
            if frames[place] == frames[other]:
                return [b""]
            frames[place], frames[other] = frames[other], frames[place]
        elif how == 4:
            frames[place] = dice.randbytes(dice.randrange(50))
        elif how == 5:
            bit = dice.randrange(8 * len(frames[place]) or 1)
            number = int.from_bytes(frames[place], "big") ^ (1 << bit)
            frames[place] = number.to_bytes(len(frames[place]) + 1, "big")
        else:
            frames = frames[:place] or [b""]
        return frames

    client.checking = False
    for number in range(2000):
        for channel in CHANNELS:
            client.send_frames(channel, damaged(client.frames(evil(client))))
        if number % 200 == 0:
            assert client.exchange("control", "kernel_info_request").status == "ok"
    # The buffers, and what stands before the delimiter, are nobody's signature: those were good messages.
    client.receive_all("shell")
    assert client.execute("say('alive')").stdout == "alive"
    assert "Traceback" not in kernel.stderr


@pytest.mark.row("W4", file="wire/replay.py", old="if digest in self._seen:", new="if False:")
@pytest.mark.parametrize("again", ["shell", "control"])
def test_a_message_that_is_sent_again_is_not_run_again(
    kernel: KernelProcess, client: KernelClient, again: str
) -> None:
    frames = client.frames(evil(client))
    for _ in range(500):
        client.send_frames("shell", frames)
    for _ in range(500):
        client.send_frames(again, frames)
    with kernel.client(identity=b"another") as other:
        other.send_frames("shell", [*frames, b"with a buffer, which nobody signs"])
    assert client.receive("shell")["msg_type"] == "execute_reply"
    assert runs(client) == 1
    assert not client.receive_all("shell")


@pytest.mark.row("W3")
@pytest.mark.parametrize("channel", CHANNELS)
def test_deep_json(kernel: KernelProcess, client: KernelClient, channel: str) -> None:
    delimiter, _, header, parent, metadata, content = client.frames(evil(client))
    for deep in (
        b'{"code": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
        b'{"code":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * 5_000_000,
    ):
        for parts in (
            [header, parent, metadata, deep],
            [deep, parent, metadata, content],
            [header, deep, metadata, content],
            [header, parent, deep, content],
        ):
            client.send_frames(channel, [delimiter, client.signer.sign(parts), *parts])
        assert client.exchange("control", "kernel_info_request").status == "ok"
    assert runs(client) == 0
    assert warnings(kernel, f"{channel} bad-json")


@pytest.mark.row("W3", "E17")
def test_a_message_of_64_megabytes(kernel: KernelProcess, client: KernelClient) -> None:
    big = "x" * (64 << 20)
    assert client.execute(f"size = len('{big}'); say(str(size))").stdout == str(64 << 20)
    frames = client.frames(client.compose("execute_request", {"code": f"{EVIL} # {big}"}))
    client.send_frames("shell", [frames[0], b"0" * 64, *frames[2:]])
    assert runs(client) == 0
    assert len(warnings(kernel, "shell bad-signature")) == 1
    buffers = [big.encode(), b"", big.encode()]
    assert client.exchange("shell", "kernel_info_request", buffers=buffers).status == "ok"


def test_a_message_above_the_limit_ends_its_connection_alone(start: Start) -> None:
    with start("--KernelApp.message_limit=1000000") as kernel, kernel.client() as client:
        client.wait_ready()
        with kernel.client() as greedy:
            greedy.wait_ready()
            greedy.request("shell", "execute_request", {"code": f"{EVIL} # {'x' * 1_000_000}"})
            greedy.request("control", "kernel_info_request", {"x": "x" * 1_000_000})
            greedy.request("stdin", "input_reply", {"value": "x" * 1_000_000})
            assert runs(client) == 0
            # It is connected again, and what it sends then is answered.
            for channel in ("shell", "control"):
                while not greedy.sockets[channel].poll(100):
                    greedy.request(channel, "kernel_info_request")
        assert client.exchange("control", "kernel_info_request").status == "ok"


def test_without_a_key_the_form_is_checked_all_the_same(start: Start) -> None:
    with start(connection={"key": ""}) as kernel, kernel.client() as client:
        client.wait_ready()
        for kind, frames in malformed_frames(client, evil(client)).items():
            if kind not in ("unsigned", "bad-signature"):
                client.send_frames("shell", frames)
        assert runs(client) == 0


@pytest.mark.parametrize(
    "header",
    [
        {"msg_id": 5, "session": "s", "msg_type": "execute_request"},
        {"msg_id": "1", "session": None, "msg_type": "execute_request"},
        {"msg_id": "1", "session": "s", "msg_type": ["execute_request"]},
        {"msg_id": "1", "session": "s"},
    ],
)
def test_headers_that_cannot_be_answered(
    kernel: KernelProcess, client: KernelClient, header: dict[str, Any]
) -> None:
    parts = [json.dumps(part).encode() for part in (header, {}, {}, {"code": EVIL})]
    client.send_frames("shell", [b"<IDS|MSG>", client.signer.sign(parts), *parts])
    assert runs(client) == 0
    assert len(warnings(kernel, "shell bad-header")) == 1


def test_headers_that_are_odd_come_back_as_they_are(client: KernelClient) -> None:
    odd = {"date": 5, "version": None, "username": {"a": [1, 2.5, None]}, "\ud800": "\udfff", "big": 10**400}
    reply = client.reply(client.request("shell", "kernel_info_request", header=odd))
    parent = reply["parent_header"]
    assert parent["big"] == 10**400
    assert parent["username"] == {"a": [1, 2.5, None]}
    assert parent["date"] == 5
