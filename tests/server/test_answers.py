"""Answers to questions: taken once, by the question that they are for."""

from __future__ import annotations

import itertools
import threading

import pytest

from wrapperkernel.server.answers import Answers
from wrapperkernel.wire import Message

NUMBERS = itertools.count()


def question(session: str = "s", identity: bytes = b"i") -> Message:
    header = {"msg_type": "input_request", "msg_id": f"q{next(NUMBERS)}", "session": "kernel"}
    return Message(header, {"session": session}, {}, {}, identities=(identity,))


def answer(value: object, to: Message | None = None, session: str = "s", identity: bytes = b"i") -> Message:
    header = {"msg_type": "input_reply", "msg_id": f"a{next(NUMBERS)}", "session": session}
    parent = {"msg_id": to.msg_id} if to is not None else {}
    return Message(header, parent, {}, {"value": value}, identities=(identity,))


@pytest.fixture
def answers() -> Answers:
    return Answers()


def test_an_answer_is_taken_once(answers: Answers) -> None:
    asked = question()
    answers.open(asked)
    assert answers.take(asked) is None
    answers.put(answer("Ada", asked))
    answers.wait(60)
    assert answers.take(asked) == "Ada"
    assert answers.take(asked) is None


def test_an_answer_that_names_no_question_is_taken(answers: Answers) -> None:
    asked = question()
    answers.open(asked)
    answers.put(answer("Ada"))
    assert answers.take(asked) == "Ada"


def test_who_waits_is_woken(answers: Answers) -> None:
    asked = question()
    answers.open(asked)
    thread = threading.Timer(0.01, answers.put, (answer("Ada"),))
    thread.start()
    answers.wait(60)
    assert answers.take(asked) == "Ada"
    thread.join()


@pytest.mark.row("N2")
def test_answers_of_others_are_dropped(answers: Answers) -> None:
    asked = question()
    answers.open(asked)
    answers.put(answer("Eve", identity=b"other"))
    answers.put(answer("Eve", session="other"))
    assert answers.take(asked) is None
    answers.put(answer("Ada"))
    assert answers.take(asked) == "Ada"


@pytest.mark.row("N4")
def test_a_late_answer_to_an_earlier_question_is_dropped(answers: Answers) -> None:
    earlier, asked = question(), question()
    answers.open(earlier)
    answers.close()
    answers.put(answer("between"))
    answers.open(asked)
    answers.put(answer("late", earlier))
    assert answers.take(asked) is None
    answers.put(answer("Ada", asked))
    assert answers.take(asked) == "Ada"


def test_what_is_no_text_is_made_one_and_other_messages_are_dropped(answers: Answers) -> None:
    asked = question()
    answers.open(asked)
    answers.put(question())
    assert answers.take(asked) is None
    answers.put(answer(7))
    assert answers.take(asked) == "7"
