"""Completion and inspection in bash: as TAB gives it, with no side effect, and while a cell runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bashes import bash, begin

from wrapperkernel.examples.bash_kernel import BashKernel
from wrapperkernel.testing import KernelHarness


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name in ("plain.txt", "with blank.txt", "$dollar", "sub/inner", "\u00e9t\u00e9"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.fixture(scope="module")
def shell(folder: Path) -> Iterator[KernelHarness]:
    with KernelHarness(BashKernel, runs_startup_file=False, directory=str(folder)) as harness:
        harness.execute(
            "my_function() { echo inside; }; alias my_alias='ls -l'; declare -ir my_number=42\n"
            "declare -A my_table=([k]=v); export MY_EXPORT=1\n"
            "_complete_thing() { COMPREPLY=($(compgen -W 'one other two' -- \"$2\")); }\n"
            "complete -F _complete_thing thing; complete -W 'red green' colour"
        )
        yield harness


def completed(shell: KernelHarness, code: str, cursor: int | None = None) -> dict[str, str]:
    """Return what the code becomes with each match, and the match's type."""
    cursor = len(code) if cursor is None else cursor
    content = shell.complete(code, cursor).content
    assert content["status"] == "ok"
    types = content["metadata"]["_jupyter_types_experimental"]
    assert [each["text"] for each in types] == content["matches"]
    start, end = content["cursor_start"], content["cursor_end"]
    return {code[:start] + each["text"] + code[end:]: each["type"] for each in types}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("my_f", {"my_function": "function"}),
        ("my_a", {"my_alias": "command"}),
        ("unal", {"unalias": "builtin"}),
        ("whil", {"while": "keyword"}),
        ("if basena", {"if basename": "command"}),
        ("echo $my_n", {"echo $my_number": "variable"}),
        ("echo ${my_t", {"echo ${my_table}": "variable"}),
        ('echo "$MY_E', {'echo "$MY_EXPORT': "variable"}),
        ("ls pl", {"ls plain.txt": "file"}),
        ("ls su", {"ls sub/": "directory"}),
        ("ls sub/", {"ls sub/inner": "file"}),
        ("ls with", {"ls with\\ blank.txt": "file"}),
        ("ls 'with", {"ls 'with blank.txt": "file"}),
        ('ls "with b', {'ls "with blank.txt': "file"}),
        ("ls '$d", {"ls '$dollar": "file"}),
        ('ls "\\$d', {'ls "\\$dollar': "file"}),
        ("ls \\$d", {"ls \\$dollar": "file"}),
        ("cat < pl", {"cat < plain.txt": "file"}),
        ("X=pl", {"X=plain.txt": "file"}),
        ("echo \u00e9", {"echo \u00e9t\u00e9": "file"}),
        ("echo \U0001d41a; ls pl", {"echo \U0001d41a; ls plain.txt": "file"}),
        ("thing o", {"thing one": "argument", "thing other": "argument"}),
        ("colour r", {"colour red": "argument"}),
        ("echo $(thing t", {"echo $(thing two": "argument"}),
        ("ls ~roo", {"ls ~root": "user"}),
        ("# com", {}),
        ("nosuchthing_at_all", {}),
    ],
)
def test_a_completion(shell: KernelHarness, code: str, expected: dict[str, str]) -> None:
    assert completed(shell, code) == expected


def test_a_completion_in_the_middle_keeps_what_is_behind(shell: KernelHarness) -> None:
    assert completed(shell, "ls pl | cat", 5) == {"ls plain.txt | cat": "file"}


@pytest.mark.parametrize(
    "code",
    [
        "ls $(touch pwned)",
        "ls $(touch${IFS}pwned)",
        "ls `touch pwned`",
        'ls "$(touch pwned)',
        "thing '$(touch pwned)'",
        "thing $(touch pwned) o",
        "thing 'a[$(touch pwned)]'",
        "$(touch pwned) ",
        "echo ${x[$(touch pwned)]}",
        "colour '`touch pwned`",
    ],
)
def test_nothing_of_the_text_is_run(shell: KernelHarness, folder: Path, code: str) -> None:
    for cursor in range(len(code) + 1):
        shell.complete(code, cursor)
        shell.inspect(code, cursor)
    assert not (folder / "pwned").exists()


def test_completion_leaves_no_trace(shell: KernelHarness) -> None:
    changing = " _=|BASH_LINENO|RANDOM|SECONDS|EPOCH"
    look = f"declare -p | grep -Ev '{changing}'; declare -F; alias; history; jobs"
    before = shell.execute(look).stdout
    shell.execute("(exit 3)")
    completed(shell, "ls pl")
    completed(shell, "my_f")
    inspected(shell, "my_function", 3)
    assert shell.execute("echo $?").stdout == "3\n"
    assert shell.execute(look).stdout == before


def test_what_a_cell_has_just_defined_is_known(shell: KernelHarness) -> None:
    for number in range(3):
        shell.execute(f"brand_new_{number}=1; cd sub")
        assert completed(shell, f"echo $brand_new_{number}") == {f"echo $brand_new_{number}": "variable"}
        assert completed(shell, "ls in") == {"ls inner": "file"}
        shell.execute("cd ..")


def test_while_a_cell_runs() -> None:
    with bash() as (kernel, client):
        client.execute("a_variable=1; a_function() { :; }")
        text = {"code": "echo $a_var", "cursor_pos": 11}
        assert client.exchange("shell", "complete_request", text).content["matches"] == ["a_variable"]
        running = begin(client, "echo started; sleep 100")
        assert client.exchange("shell", "complete_request", text).content["matches"] == ["a_variable"]
        question = {"code": "a_function", "cursor_pos": 3, "detail_level": 0}
        assert client.exchange("shell", "inspect_request", question).content["found"]
        kernel.interrupt()
        assert client.reply(running)["content"]["status"] == "error"


# An optional package of Debian; CI installs it (tests/tools/packages.sh), where a skipped test is a failure.
@pytest.mark.skipif(
    not os.path.isdir("/usr/share/bash-completion"), reason="bash-completion is not installed"
)
def test_options_as_the_installed_completions_know_them(shell: KernelHarness) -> None:
    assert "git checkout" in completed(shell, "git check")


def inspected(shell: KernelHarness, code: str, cursor: int, detail: int = 0) -> dict[str, Any]:
    content: dict[str, Any] = shell.inspect(code, cursor, detail).content
    return content


@pytest.mark.parametrize(
    ("code", "cursor", "parts"),
    [
        ("my_function x", 4, ["my_function: function", "echo inside"]),
        ("my_alias", 8, ["my_alias: alias", "alias my_alias='ls -l'"]),
        ("echo $my_number", 8, ["variable (integer, read-only)", 'my_number="42"']),
        ("echo ${my_table[k]}", 10, ["associative array", '[k]="v"']),
        ("cd /tmp", 1, ["cd: builtin", "Change the shell working directory"]),
        ("while true", 2, ["while: builtin", "Execute commands"]),
        ("ls -l", 1, ["ls: command", "/ls"]),
        ("cd /tmp", 6, ["cd: builtin"]),
    ],
)
def test_an_inspection(shell: KernelHarness, code: str, cursor: int, parts: list[str]) -> None:
    content = inspected(shell, code, cursor)
    assert content["found"]
    for part in parts:
        assert part in content["data"]["text/plain"]
        assert part in content["data"]["text/markdown"].replace("**", "")


def test_detail_shows_all(shell: KernelHarness) -> None:
    few, all_of_it = (inspected(shell, "cd", 1, detail)["data"]["text/plain"] for detail in (0, 1))
    assert len(few.splitlines()) < len(all_of_it.splitlines())
    assert few.endswith("...")


def test_what_is_unknown_is_not_found(shell: KernelHarness) -> None:
    for code in ("", "nosuchthing_at_all", "# comment", "echo $nosuchthing_at_all"):
        assert not inspected(shell, code, len(code))["found"] or code.startswith("echo")
