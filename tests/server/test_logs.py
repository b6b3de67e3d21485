"""The log: messages in readable lines without passwords, events counted instead of repeated."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapperkernel.server.logs import MessageLog, OncePerKind, configure, render
from wrapperkernel.wire.message import Message

REQUEST_ID = "0a1b2c3d-0000-4e4e-8f8f-aabbccddeeff_12345_7"


def message(msg_type: str, content: Any, parent: str | None = None, **parts: Any) -> Message:
    header = {"msg_id": REQUEST_ID, "session": "s", "msg_type": msg_type}
    return Message(header, {} if parent is None else {"msg_id": parent}, {}, content, **parts)


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """The library's logger, as it was again afterwards."""
    logger = logging.getLogger("wrapperkernel")
    before = logger.handlers[:], logger.level, logger.propagate
    yield logger
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


class Entries(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@pytest.fixture
def entries(log: logging.Logger) -> list[str]:
    handler = Entries()
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    return handler.texts


# --- configure --------------------------------------------------------------------------------------


def test_the_log_goes_to_the_stream_with_the_time(log: logging.Logger) -> None:
    stream = io.StringIO()
    assert configure(logging.INFO, stream) is log
    logging.getLogger("wrapperkernel.server").info("here I am")
    log.debug("too much")
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} INFO here I am\n", stream.getvalue())


def test_the_root_logger_is_left_alone(log: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    before = logging.root.handlers[:], logging.root.level
    configure(logging.DEBUG, io.StringIO())
    log.warning("not for others")
    assert (logging.root.handlers[:], logging.root.level) == before
    assert not caplog.records


def test_configured_twice_each_entry_comes_once(log: logging.Logger) -> None:
    first, second, theirs = io.StringIO(), io.StringIO(), io.StringIO()
    log.addHandler(logging.StreamHandler(theirs))
    configure(logging.INFO, first)
    configure(logging.WARNING, second)
    log.warning("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1
    assert theirs.getvalue() == "once\n"


def test_stderr_is_the_default(log: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    configure(logging.INFO)
    log.info("over there")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("over there\n")


def test_a_pipe_that_nobody_reads_holds_up_nobody(log: logging.Logger) -> None:
    """What it does not take is dropped and counted; an entry is cut rather than waited for."""
    reader, writer = os.pipe()
    with open(reader, encoding="utf-8", newline="") as taken, open(writer, "w", encoding="utf-8") as stream:
        configure(logging.INFO, stream)
        for number in range(100):
            log.info("entry %d %s", number, "x" * 5000)
        os.set_blocking(reader, False)
        first = taken.read()
        assert 20_000 < len(first) < 100_000
        log.info("read at last")
        second = taken.read()
        assert re.search(
            r"WARNING nobody read this log; [89]\d entries were dropped\n.*read at last\n$", second
        )
        log.info("another")
        assert "dropped" not in taken.read()


def test_a_stream_that_is_none_or_closed_is_no_error(
    log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)  # as Python has it when descriptor 2 is closed
    configure(logging.INFO)
    log.info("to nobody")
    reader, writer = os.pipe()
    os.close(reader)
    with contextlib.suppress(BrokenPipeError), open(writer, "w", encoding="utf-8") as stream:
        configure(logging.INFO, stream)
        log.info("to nobody")


# --- render ----------------------------------------------------------------------------------------


def test_a_request_shows_its_own_id_and_a_consequence_that_of_its_request() -> None:
    request = message("execute_request", {"code": "é = 1"})
    assert render("←", "shell", request) == ('← shell   execute_request [0a1b…_12345_7] {"code":"é = 1"}')
    status = message("status", {"execution_state": "busy"}, "kernel_12")
    assert render("→", "iopub", status) == '→ iopub   status [kernel_12] {"execution_state":"busy"}'
    starting = message("status", {"execution_state": "starting"})
    assert render("→", "iopub", starting) == '→ iopub   status [-] {"execution_state":"starting"}'


def test_buffers_are_counted() -> None:
    sent = message("comm_msg", {}, buffers=(b"123", memoryview(bytearray(8)).cast("d")))
    assert render("→", "iopub", sent).endswith("{} + 2 buffers of 11 bytes")


def test_a_long_content_is_shortened_in_the_middle() -> None:
    line = render("→", "iopub", message("stream", {"name": "stdout", "text": "a" * 5000 + "b" * 5000}))
    assert len(line) < 1100
    assert '{"name":"stdout","text":"aaa' in line
    assert line.endswith('bbb"}')
    assert line.count("…") == 1


@pytest.mark.parametrize("content", [{"x": object()}, {1: 0, "1": 0}])
def test_content_that_is_no_json_is_said(content: Any) -> None:
    assert "(no JSON: " in render("→", "iopub", message("display_data", content))


def test_deep_content_is_no_error() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert "(no JSON: " in render("→", "iopub", message("display_data", {"deep": deep}))


@given(
    direction=st.sampled_from("←→"),
    msg_type=st.text(),
    msg_id=st.text() | st.integers(),
    content=st.dictionaries(st.text(), st.text() | st.binary() | st.floats()),
)
def test_whatever_a_client_sends_is_one_printable_line(
    direction: str, msg_type: str, msg_id: Any, content: dict[str, Any]
) -> None:
    header = {"msg_id": msg_id, "msg_type": msg_type}
    line = render(direction, "shell", Message(header, header, {}, content))
    assert line.isprintable()
    assert len(line.splitlines()) == 1


# --- messages and passwords ----------------------------------------------------------------------------


SECRET = "correct horse battery staple"


def question(password: Any) -> Message:
    return message("input_request", {"prompt": "? ", "password": password}, REQUEST_ID)


def answer(value: Any) -> Message:
    return message("input_reply", {"value": value})


def test_what_is_sent_and_received_is_logged(log: logging.Logger, entries: list[str]) -> None:
    messages = MessageLog(log)
    messages.received("shell", message("kernel_info_request", {}))
    messages.sent("shell", message("kernel_info_reply", {"status": "ok"}, REQUEST_ID))
    assert [entry.split()[:3] for entry in entries] == [
        ["←", "shell", "kernel_info_request"],
        ["→", "shell", "kernel_info_reply"],
    ]


def test_nothing_is_rendered_where_nothing_is_logged(log: logging.Logger, entries: list[str]) -> None:
    log.setLevel(logging.INFO)
    messages = MessageLog(log)
    messages.sent("iopub", message("stream", {"text": object()}))
    messages.received("shell", message("execute_request", {"code": object()}))
    assert entries == []


def test_the_answer_to_a_plain_question_is_shown(log: logging.Logger, entries: list[str]) -> None:
    messages = MessageLog(log)
    messages.sent("stdin", question(password=False))
    messages.received("stdin", answer("forty-two"))
    assert entries[-1].endswith('{"value":"forty-two"}')


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
def test_the_answer_to_a_request_for_a_password_is_not(
    log: logging.Logger, entries: list[str], level: int
) -> None:
    messages = MessageLog(log)
    log.setLevel(level)
    messages.sent("stdin", question(password=True))
    log.setLevel(logging.DEBUG)
    messages.received("stdin", answer(SECRET))
    assert entries[-1].endswith('input_reply [0a1b…_12345_7] {"value":"••••"}')
    assert SECRET not in "".join(entries)


def test_a_late_answer_to_it_is_not_shown_either(log: logging.Logger, entries: list[str]) -> None:
    messages = MessageLog(log)
    messages.sent("stdin", question(password=True))  # interrupted
    messages.sent("stdin", question(password=False))
    messages.received("stdin", answer(SECRET))
    messages.received("stdin", answer("forty-two"))
    assert SECRET not in "".join(entries)


@pytest.mark.parametrize(
    "content", [{"value": [SECRET]}, {"valeu": SECRET}, {"value": "", "x": {"y": SECRET}}]
)
def test_nor_one_of_another_form(log: logging.Logger, entries: list[str], content: dict[str, Any]) -> None:
    messages = MessageLog(log)
    messages.sent("stdin", question(password=1))
    messages.received("shell", message("input_reply", content))
    assert SECRET not in "".join(entries)
    assert SECRET not in render("←", "stdin", message("input_reply", content))


# --- counted events ----------------------------------------------------------------------------------------


def test_the_first_of_each_kind_is_logged_and_the_others_counted(
    log: logging.Logger, entries: list[str]
) -> None:
    counted = OncePerKind(log)
    for number in range(1234):
        counted.warning("bad-signature", f"a message with a wrong signature ({number})")
    counted.warning("short", "a message of two frames")
    assert entries == [
        "a message with a wrong signature (0) (bad-signature; more of these are counted)",
        "bad-signature: 10 times so far",
        "bad-signature: 100 times so far",
        "bad-signature: 1000 times so far",
        "a message of two frames (short; more of these are counted)",
    ]
    counted.close()
    assert entries[5:] == ["bad-signature: 1234 times in all"]
    counted.close()
    assert len(entries) == 6


@given(kinds=st.lists(st.sampled_from("abc"), max_size=150))
def test_the_last_word_about_each_kind_is_its_number(kinds: list[str]) -> None:
    logger, handler = logging.Logger("apart"), Entries()
    logger.addHandler(handler)
    counted = OncePerKind(logger)
    for kind in kinds:
        counted.warning(kind, "first")
    counted.close()
    for kind in set(kinds):
        number = kinds.count(kind)
        last = [text for text in handler.texts if text.startswith(f"{kind}: ")][-1:]
        assert number == 1 or f" {number} times" in last[0]


def test_threads_count_together(log: logging.Logger, entries: list[str]) -> None:
    counted = OncePerKind(log)

    def count() -> None:
        for _ in range(250):
            counted.warning("replay", "again")

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    counted.close()
    assert sorted(entries)[-1] == "replay: 1000 times so far"
    assert len(entries) == 4


def test_a_text_with_percent_signs_is_text(log: logging.Logger, entries: list[str]) -> None:
    OncePerKind(log).warning("%s", json.dumps({"100%": "%d"}))
    assert entries == ['{"100%": "%d"} (%s; more of these are counted)']
