"""What a shell cell can show beside text: by our programs, and as for a terminal."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from bashes import bash, begin

from wrapperkernel.child.png import Picture
from wrapperkernel.examples.bash_kernel import BashKernel
from wrapperkernel.testing import KernelHarness

DOT = Picture(1, 1, b"\xff\0\0", depth=3).png()


@pytest.fixture(scope="module")
def shell() -> Iterator[KernelHarness]:
    with KernelHarness(BashKernel, runs_startup_file=False, display_programs="first") as harness:
        yield harness


@pytest.mark.parametrize(
    ("code", "mime", "value"),
    [
        ("echo '<b>x</b>' | displayHTML", "text/html", "<b>x</b>\n"),
        ("displayHTML <<< '<i>y</i>'", "text/html", "<i>y</i>\n"),
        ("echo 'alert(1)' | displayJS", "application/javascript", "alert(1)\n"),
        ("display-html - <<< 1", "text/html", "1\n"),
        ("display-js <<< 1", "application/javascript", "1\n"),
        ("display-markdown <<< '# a'", "text/markdown", "# a\n"),
        ("display-latex <<< '$x$'", "text/latex", "$x$\n"),
        ("display-json <<< '{\"a\": [1]}'", "application/json", {"a": [1]}),
        ("display <<< '<svg></svg>'", "image/svg+xml", "<svg></svg>\n"),
        ("printf 'é' | display --type text/html", "text/html", "é"),
    ],
)
def test_our_programs(shell: KernelHarness, code: str, mime: str, value: object) -> None:
    execution = shell.execute(code)
    assert (execution.stdout, execution.stderr, execution.status) == ("", "", "ok")
    assert execution.display[0]["data"][mime] == value


def test_files_of_any_size_and_name(shell: KernelHarness, tmp_path: Path) -> None:
    large = Picture(700, 700, bytes(range(256)) * 5742 + bytes(48), depth=3)
    (tmp_path / "a ü;:%.png").write_bytes(large.png() + bytes(300_000))
    execution = shell.execute(f"echo before; display '{tmp_path}/a ü;:%.png'; echo behind")
    assert (
        execution.display[0]["data"]["image/png"] == base64.b64encode(large.png() + bytes(300_000)).decode()
    )
    assert [message["msg_type"] for message in execution.messages[2:-1]] == [
        "stream",
        "display_data",
        "stream",
    ]
    (tmp_path / "table.json").write_text('{"b": 2}')
    assert shell.execute(f"display {tmp_path}/table.json").display[0]["data"]["application/json"] == {"b": 2}


def test_updates_results_and_clearing(shell: KernelHarness) -> None:
    execution = shell.execute(
        "echo 1 | display --id a\necho 2 | display --update a\necho 3 | display --result\nclear-output --wait"
    )
    assert execution.display[0]["transient"] == {"display_id": "a"}
    assert execution.contents("update_display_data")[0]["data"]["text/plain"] == "2\n"
    assert execution.results[0]["data"] == {"text/plain": "3\n"}
    assert execution.contents("clear_output") == [{"wait": True}]


def test_progress_is_one_line(shell: KernelHarness) -> None:
    out = shell.execute("for i in 0 1 2; do progress $i 2 copying; done").stdout
    assert out.count("\n") == 1
    assert out.split("\r")[-1] == f"100% [{'#' * 40}] 2/2 copying\n"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("display /no/such/file", "1"),
        ("display /", "1"),
        ("display --nope", "2"),
        ("display --id 'a b' x", "2"),
        ("progress many", "2"),
        ("clear-output now", "2"),
    ],
)
def test_wrong_use_says_so(shell: KernelHarness, code: str, status: str) -> None:
    execution = shell.execute(code)
    assert execution.errors[0]["evalue"] == status
    assert execution.stderr
    assert execution.display == []


def test_what_is_no_display_is_an_error_of_the_text_alone(shell: KernelHarness) -> None:
    execution = shell.execute(r"printf '\e]7771;do=dance;\a'; echo behind")
    assert execution.stdout == "behind\n"
    assert (
        execution.stderr
        == "bash: something cannot be displayed: there is nothing to do that is called 'dance'\n"
    )
    assert execution.status == "ok"


def test_pictures_as_for_a_terminal(shell: KernelHarness) -> None:
    encoded = base64.b64encode(DOT).decode()
    for code in (
        rf"printf '\e]1337;File=inline=1:{encoded}\a'",
        rf"printf '\e_Ga=T,f=100;{encoded}\e\\'",
    ):
        assert shell.execute(code).display[0]["data"]["image/png"] == encoded
    execution = shell.execute(r"printf '\eP0;1q#1;2;100;0;0#1~~\e\\'; echo behind")
    assert execution.display[0]["data"]["image/png"].startswith(base64.b64encode(b"\x89PNG").decode()[:5])
    assert execution.stdout == "behind\n"


def test_a_background_job_shows_under_its_cell(shell: KernelHarness) -> None:
    execution = shell.execute("{ echo 1 | display; } & wait $!")
    assert execution.display[0]["data"] == {"text/plain": "1\n"}


def test_titles_and_switches_are_not_printed(shell: KernelHarness) -> None:
    execution = shell.execute(r"printf '\e]0;title\a\e[?25la\e(Bb\e[31mc\e[0m\e[?25h\n'")
    assert execution.stdout == "ab\x1b[31mc\x1b[0m\n"


def test_a_prompt_with_a_title_leaves_nothing_when_interrupted() -> None:
    with bash() as (kernel, client):
        client.execute(r"PS1='\[\e]0;title\a\]prompt '")
        for _ in range(5):
            running = begin(client, "echo started; sleep 100")
            kernel.interrupt()
            messages = client.iopub_until_idle(running)
            assert [message for message in messages if message["msg_type"] == "stream"] == []
            assert client.reply(running)["content"]["status"] == "error"


@pytest.mark.parametrize(("place", "found"), [("last", "/bin/true-display"), ("off", "")])
def test_the_place_of_the_programs_is_a_setting(place: str, found: str, tmp_path: Path) -> None:
    program = tmp_path / "display"
    program.write_text("#!/bin/sh\necho theirs\n")
    program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    with KernelHarness(
        BashKernel, runs_startup_file=False, display_programs=place, environment=environment
    ) as harness:
        assert harness.execute("display").stdout == "theirs\n"
        assert bool(harness.execute("type -P display-html").stdout) == bool(found)
