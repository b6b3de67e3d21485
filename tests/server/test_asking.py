"""Questions to the user over sockets: who is asked, whose answers count, what stands before a question."""

from __future__ import annotations

import time

import pytest

from wrapperkernel.testing.client import KernelClient
from wrapperkernel.testing.process import KernelProcess

# Malformed frames, by what the kernel's log calls them.
MALFORMED = {"short": [b"<IDS|MSG>"], "no-delimiter": [b"x"], "unsigned": [b"<IDS|MSG>", b"", *[b"{}"] * 4]}


def until_read(kernel: KernelProcess, client: KernelClient, kind: str) -> None:
    """Wait until the kernel has read what the client sent on stdin: it says so of something malformed.

    Once of each kind.
    """
    assert f"stdin {kind}" not in kernel.stderr
    client.send_frames("stdin", MALFORMED[kind])
    deadline = time.monotonic() + client.limit
    while f"stdin {kind}" not in kernel.stderr:
        assert time.monotonic() < deadline
        time.sleep(0.002)  # a file tells nobody that it grew


ASK = "say('answer: ' + kernel.stdin.input('?'))"


@pytest.mark.row(
    "N2", file="kernel/request.py", old="identities=request.message.identities,", new="identities=(),"
)
@pytest.mark.row("N3")
def test_only_the_client_of_the_cell_is_asked(kernel: KernelProcess, client: KernelClient) -> None:
    with kernel.client() as other:
        other.wait_ready()
        for asker in (client, other, client):
            cell = asker.execute_request(ASK, allow_stdin=True)
            question = asker.receive("stdin")
            assert question["msg_type"] == "input_request"
            assert question["content"] == {"prompt": "?", "password": False}
            assert question["parent_header"]["msg_id"] == cell
            for each in (client, other):  # what was for another would have come by now
                each.exchange("control", "kernel_info_request")
                assert not each.receive_all("stdin")
            asker.answer(question, "mine")
            assert asker.finish_execution(cell).stdout == "answer: mine"


@pytest.mark.row("N2", "N4")
def test_answers_of_others_do_not_count(kernel: KernelProcess, client: KernelClient) -> None:
    with kernel.client() as other, kernel.client(identity=b"x", session=client.session) as pretender:
        for each in (other, pretender):
            each.wait_ready()
        cell = client.execute_request(ASK, allow_stdin=True)
        question = client.receive("stdin")
        for each, kind in ((other, "short"), (pretender, "no-delimiter")):
            each.answer(question, "theirs")
            until_read(kernel, each, kind)
        client.answer(question, "mine")
        assert client.finish_execution(cell).stdout == "answer: mine"


@pytest.mark.row("N4")
@pytest.mark.parametrize("names_its_question", [True, False])
def test_a_late_answer_is_not_for_the_next_question(
    kernel: KernelProcess, client: KernelClient, names_its_question: bool
) -> None:
    cell = client.execute_request(ASK, allow_stdin=True)
    question = client.receive("stdin")
    client.exchange("control", "interrupt_request")
    assert client.finish_execution(cell).content["ename"] == "KeyboardInterrupt"
    if names_its_question:
        # It comes when the next question is already open.
        again = client.execute_request(ASK, allow_stdin=True)
        next_question = client.receive("stdin")
        client.answer(question, "late")
    else:
        # Who says nothing of the question must be early enough: before the next one is asked.
        client.send("stdin", client.compose("input_reply", {"value": "late"}))
        until_read(kernel, client, "unsigned")
        again = client.execute_request(ASK, allow_stdin=True)
        next_question = client.receive("stdin")
    client.answer(next_question, "in time")
    assert client.finish_execution(again).stdout == "answer: in time"


@pytest.mark.row("N4")
def test_output_leaves_before_the_question(client: KernelClient) -> None:
    cell = client.execute_request("for n in range(100): say(f'{n}\\n')\n" + ASK, allow_stdin=True)
    question = client.receive("stdin")
    text = ""
    while not text.endswith("99\n"):  # while the question is open
        text += client.iopub_until(cell, lambda m: m["msg_type"] == "stream", "output")[-1]["content"]["text"]
    client.answer(question, "")
    assert client.reply(cell)["content"]["status"] == "ok"


@pytest.mark.row("N3")
@pytest.mark.parametrize("answer", ["", "ünïcode \U0001d4b3", "two\nlines", "x" * 1_000_000, "\x00"])
def test_answers_arrive_as_they_are(client: KernelClient, answer: str) -> None:
    code = "answer = kernel.stdin.getpass('?')\nsay(repr((len(answer), answer[:20])))"
    execution = client.execute(code, answers=[answer])
    assert execution.prompts[0]["content"] == {"prompt": "?", "password": True}
    assert execution.stdout == repr((len(answer), answer[:20]))


def test_questions_in_a_row(client: KernelClient) -> None:
    code = "for n in range(200): say(kernel.stdin.input(str(n)) + '\\n')"
    execution = client.execute(code, answers=[str(2 * n) for n in range(200)])
    assert [prompt["content"]["prompt"] for prompt in execution.prompts] == [str(n) for n in range(200)]
    assert execution.stdout == "".join(f"{2 * n}\n" for n in range(200))


@pytest.mark.row("N5")
def test_a_client_that_went_while_it_was_asked_holds_up_nobody_for_ever(
    kernel: KernelProcess, client: KernelClient
) -> None:
    with kernel.client() as lost:
        lost.wait_ready()
        cell = lost.execute_request(ASK, allow_stdin=True)
        lost.receive("stdin")
    behind = client.execute_request("say('behind')", stop_on_error=False)
    client.reply(client.request("shell", "kernel_info_request"))
    client.exchange("control", "interrupt_request")
    client.iopub_until_idle(cell)
    assert client.finish_execution(behind).content["ename"] == "ExecutionAborted"
    assert client.execute("say('next')").stdout == "next"
