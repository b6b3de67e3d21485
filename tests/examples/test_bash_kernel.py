"""The bash kernel: what cells print, keep and report, as users of a shell expect it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bashes import bash, begin

from wrapperkernel.examples.bash_kernel import BashKernel
from wrapperkernel.examples.bash_kernel.handover import quoted, restored_traps
from wrapperkernel.testing import KernelClient, KernelHarness, KernelProcess


@pytest.fixture(scope="module")
def shell() -> Iterator[KernelHarness]:
    """A bash kernel in memory; each test leaves it as it found it."""
    with KernelHarness(
        BashKernel,
        answers=iter(lambda: "Ada", None),
        environment={"HISTFILE": "/dev/null"},
        runs_startup_file=False,
    ) as harness:
        yield harness


@pytest.fixture
def kernel_and_client() -> Iterator[tuple[KernelProcess, KernelClient]]:
    with bash() as both:
        yield both


@pytest.mark.parametrize(
    ("code", "stdout", "stderr"),
    [
        ("echo hello", "hello\n", ""),
        ("printf 'no newline'", "no newline", ""),
        ("echo out; echo err >&2", "out\n", "err\n"),
        ("for i in 1 2 3; do\n  echo $i\ndone | tac", "3\n2\n1\n", ""),
        ("cat <<EOF\na $((1 + 1))\n\tb\nEOF", "a 2\n\tb\n", ""),
        ("f() {\n  echo \"f $1\"\n}\nf 'x  y'\nunset -f f", "f x  y\n", ""),
        ("a=(1 'b c' 3); echo ${#a[@]} \"${a[1]}\"; unset a", "3 b c\n", ""),
        ("declare -A m=([k]=v); echo ${m[k]}; unset m", "v\n", ""),
        ("alias hi='echo hi'\nhi there\nunalias hi", "hi there\n", ""),
        ("shopt -s extglob\n[[ aab == +(a)b ]] && echo yes", "yes\n", ""),
        ("(sleep 0 & wait; echo done)", "done\n", ""),
        ("diff <(echo a) <(echo a) && echo same", "same\n", ""),
        ("echo $LINENO\necho $LINENO", "1\n2\n", ""),
        ("echo 'it''s' \"a\\\"b\" $'tab\\there'", 'its a"b tab\there\n', ""),
        ("echo one\r\necho two\r\n", "one\ntwo\n", ""),
        ("echo '!x' !! \"a!b\"", "!x !! a!b\n", ""),
        ("# only a comment", "", ""),
        ("echo \u00e9\u20ac\U0001d41a", "\u00e9\u20ac\U0001d41a\n", ""),
        ("printf '\\e[31mred\\e[0m 50%%\\r100%%\\n'", "\x1b[31mred\x1b[0m 50%\r100%\n", ""),
        ("test -t 0 && test -t 1 && test -t 2 && echo terminals", "terminals\n", ""),
        ("echo $COLUMNS; stty size", "80\n24 80\n", ""),
        ("[[ $- == *i* ]] && echo interactive", "interactive\n", ""),
        ("return 0; echo not reached", "", ""),
        ("exec 3>&1; echo three >&3; exec 3>&-", "three\n", ""),
        ("(exit 3); echo $?", "3\n", ""),
        ("trap 'echo bye' EXIT; trap - EXIT; (trap 'echo sub' EXIT)", "sub\n", ""),
        ("set -x; : a; { set +x; } 2>/dev/null", "", "+++ : a\n"),
        ("read -r x <<< 'from here'; echo \"$x\"", "from here\n", ""),
        ("read -p 'Name? ' x; echo \"<$x>\"", "<Ada>\n", ""),
        ("read -s -p 'Secret? ' x; echo \"<$x>\"", "<Ada>\n", ""),
        ("head -c 3 /dev/zero", "\0\0\0", ""),
    ],
)
def test_a_cell(shell: KernelHarness, code: str, stdout: str, stderr: str) -> None:
    execution = shell.execute(code)
    assert (execution.stdout, execution.stderr, execution.status) == (stdout, stderr, "ok")


@pytest.mark.parametrize(
    ("code", "evalue", "stderr"),
    [
        ("false", "1", ""),
        ("(exit 3)", "3", ""),
        ("nosuchcommand", "127: command not found", "bash: nosuchcommand: command not found\n"),
        ("/etc/passwd", "126: found, but not executable", "bash: /etc/passwd: Permission denied\n"),
        ("bash -c 'kill -9 $$'", "137: SIGKILL", None),
        ("set -u; echo $undefined; echo no", "1", "bash: undefined: unbound variable\n"),
        ("return 7; echo not reached", "7", ""),
        ("echo $((1/0))", "1", None),
    ],
)
def test_a_cell_that_fails(shell: KernelHarness, code: str, evalue: str, stderr: str | None) -> None:
    execution = shell.execute(code)
    assert execution.status == "error"
    assert (execution.errors[0]["ename"], execution.errors[0]["evalue"]) == ("ExitStatus", evalue)
    if stderr is not None:
        assert execution.stderr == stderr
    assert "no" not in execution.stdout.split()
    shell.execute("set +u")
    assert shell.execute("echo next").stdout == "next\n"


@pytest.mark.parametrize(
    ("code", "evalue", "shown"),
    [
        ("echo one\nif true; then", "line 3: syntax error: unexpected end of file", "----> 2 if true; then"),
        ("echo 'unclosed", "line 1: unexpected EOF while looking for matching `''", "----> 1 echo 'unclosed"),
        ("\n\nfi\necho no", "line 3: syntax error near unexpected token `fi'", "----> 3 fi"),
        ("true &&", "line 2: syntax error: unexpected end of file", "----> 1 true &&"),
        ("a=(1 2", "line 1: unexpected EOF while looking for matching `)'", "----> 1 a=(1 2"),
        ("f() { echo; ", "line 2: syntax error: unexpected end of file", "----> 1 f() { echo; "),
    ],
)
def test_a_cell_that_is_no_bash(shell: KernelHarness, code: str, evalue: str, shown: str) -> None:
    execution = shell.execute(code)
    (error,) = execution.errors
    assert (error["ename"], error["evalue"]) == ("SyntaxError", evalue)
    assert error["traceback"][0] == f"SyntaxError: {evalue}"
    assert shown in error["traceback"]
    assert "no" not in execution.stdout.split()
    assert shell.execute("echo next").stdout == "next\n"


def test_a_status_that_is_that_of_a_syntax_error_alone_is_none(shell: KernelHarness) -> None:
    for code in ("(exit 2)", "grep x /no/such/file", "bash -c fi"):
        assert shell.execute(code).errors[0]["ename"] == "ExitStatus"


@pytest.mark.parametrize(
    ("code", "status", "indent"),
    [
        ("echo a", "complete", None),
        ("if true; then", "incomplete", "    "),
        ("if true; then\n    for i in 1 2; do", "incomplete", "        "),
        ("if true; then\n    echo a", "incomplete", "    "),
        ("f() {", "incomplete", "    "),
        ("case x in", "incomplete", "    "),
        ("echo 'a", "incomplete", ""),
        ("echo a \\", "incomplete", ""),
        ("cat <<E", "incomplete", ""),
        ("fi", "invalid", None),
    ],
)
def test_is_complete(shell: KernelHarness, code: str, status: str, indent: str | None) -> None:
    content = shell.is_complete(code).content
    assert (content["status"], content.get("indent")) == (status, indent)


def test_a_failing_command_need_not_stop_a_notebook() -> None:
    with KernelHarness(BashKernel, runs_startup_file=False, fails_on_status=False) as harness:
        assert harness.execute("false").status == "ok"
        assert harness.execute("echo $?").stdout == "1\n"
        assert harness.execute("fi").errors[0]["ename"] == "SyntaxError"


def test_stderr_can_be_merged_in_order() -> None:
    with KernelHarness(BashKernel, answers=["Ada"], runs_startup_file=False, merges_stderr=True) as harness:
        code = "for i in 1 2 3; do echo out $i; echo err $i >&2; done"
        execution = harness.execute(code)
        assert execution.stdout == "".join(f"out {i}\nerr {i}\n" for i in (1, 2, 3))
        assert execution.stderr == ""
        assert harness.execute("nosuchcommand").stdout == "bash: nosuchcommand: command not found\n"
        assert harness.execute("read -p 'Name? ' x; echo $x").stdout == "Ada\n"


def test_output_can_be_limited(tmp_path: Path) -> None:
    environment = {"TMPDIR": str(tmp_path)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path))
        patch.setattr("tempfile.tempdir", None)
        with KernelHarness(
            BashKernel, runs_startup_file=False, output_limit=0.01, environment=environment
        ) as harness:
            assert harness.execute("seq 1000").stdout == "".join(f"{i}\n" for i in range(1, 1001))
            execution = harness.execute("seq 10000; echo last >&2")
            whole = "".join(f"{i}\n" for i in range(1, 10001))
            (path,) = tmp_path.glob("output-*.txt")
            said = f"\n[output truncated after 0.01 MB; the whole of it is in {path}]\n"
            assert execution.stdout == whole[:10_000] + said
            assert sorted(path.read_text().splitlines()) == sorted([*whole.splitlines(), "last"])
            assert harness.execute("echo next").stdout == "next\n"


def test_what_a_cell_sets_is_there_in_the_next(shell: KernelHarness, tmp_path: Path) -> None:
    for code in (
        f"cd '{tmp_path}'",
        "x=1; export Y=2; arr=(a b); f() { echo in f; }; alias ll='echo listed'; set -o pipefail",
        "trap 'echo trapped' USR1; umask 027; exec 5>file",
    ):
        assert shell.execute(code).status == "ok"
    code = "pwd; echo $x ${arr[1]} $(bash -c 'echo $Y'); f\nll\nkill -USR1 $$\numask; set -o | grep pipefail"
    assert (
        shell.execute(code).stdout == f"{tmp_path}\n1 b 2\nin f\nlisted\ntrapped\n0027\npipefail       \ton\n"
    )
    shell.execute("echo five >&5; exec 5>&-")
    assert (tmp_path / "file").read_text() == "five\n"
    shell.execute("trap - USR1; unset x Y arr; unset -f f; unalias ll; umask 022; set +o pipefail; cd /")


def test_the_last_status_is_the_users(shell: KernelHarness) -> None:
    shell.execute("(exit 42)")
    assert shell.execute("echo $?").stdout == "42\n"
    assert shell.execute("echo $?").stdout == "0\n"


def test_nothing_of_ours_is_in_the_shell(shell: KernelHarness) -> None:
    """No variable, function, alias, trap or line of history; and the environment is the user's."""
    assert shell.execute("declare -F; alias; trap -p; history").stdout == ""
    fresh = "env -i PATH=\"$PATH\" TERM=x bash --norc -ic 'compgen -v' 2>/dev/null"
    known, environment, names = (
        set(shell.execute(code).stdout.split()) for code in (fresh, "compgen -e", "compgen -v")
    )
    # Those that bash itself sets where it runs cells, on a terminal, and x, which other tests set.
    of_bash = {"BASH_LINENO", "BASH_SOURCE", "COLUMNS", "FUNCNAME", "HISTFILESIZE", "HISTSIZE", "LINES"}
    assert names - known - environment - of_bash <= {"COPROC", "MAILCHECK", "PIPESTATUS", "_", "x"}
    told = {"HISTFILE", "GIT_PAGER", "LC_ALL", "MANPAGER", "PAGER", "SYSTEMD_PAGER", "TERM"}
    assert environment - set(os.environ) <= told | {"OLDPWD", "PWD", "SHLVL", "_"}


def test_prompts_are_the_users_and_never_printed(shell: KernelHarness) -> None:
    before = shell.execute('echo "$PS1"').stdout
    shell.execute("old=$PS1; PS1='a\\nb$ '; PS0=zero; PROMPT_COMMAND='echo never'")
    assert shell.execute('echo "$PS1|$PS0|$PROMPT_COMMAND"').stdout == "a\\nb$ |zero|echo never\n"
    assert shell.execute("PS1=$old; unset PS0 PROMPT_COMMAND old").stderr == ""
    assert shell.execute('echo "$PS1"; echo "${PS0-none}"').stdout == before + "none\n"
    shell.execute("old=$PS1; unset PS1")
    assert shell.execute('echo "${PS1-none}"').stdout == "none\n"
    assert shell.execute("PS1=$old; unset old").status == "ok"


def test_debug_and_error_traps(shell: KernelHarness) -> None:
    shell.execute("trap 'echo \"E $?\"' ERR")
    assert shell.execute("false; true").stdout == "E 1\n"
    assert shell.execute("trap -p ERR").stdout == "trap -- 'echo \"E $?\"' ERR\n"
    shell.execute("trap - ERR")
    shell.execute("trap 'echo dbg' DEBUG")
    assert shell.execute("echo hi").stdout.startswith("dbg\nhi\n")
    shell.execute("trap - DEBUG")
    assert shell.execute("echo hi; false").stdout == "hi\n"


def test_options_that_print(shell: KernelHarness) -> None:
    shell.execute("set -xv")
    seen = shell.execute("echo hi")
    assert (seen.stdout, seen.stderr) == ("hi\n", "+++ echo hi\n")
    shell.execute("set +xv")
    assert shell.execute("echo hi").stderr == ""


def test_input_that_cannot_be_had(shell: KernelHarness) -> None:
    execution = shell.execute("read -p 'Name? ' x; echo \"$? [$x]\"", allow_stdin=False)
    assert execution.status == "ok"
    assert execution.stdout == "1 []\n"
    assert execution.stderr.startswith("Name? bash: input was asked for")  # bash prompts on stderr
    assert shell.execute("printf 'Q? '; read x", allow_stdin=False).stdout == "Q? "


def test_a_question_is_asked_once_and_its_prompt_is_not_printed(shell: KernelHarness) -> None:
    asked = len(shell.questions)
    execution = shell.execute('for n in 1 2; do read -p "$n? " x; echo "<$x>"; done')
    assert shell.questions[asked:] == [
        {"prompt": "1? ", "password": False},
        {"prompt": "2? ", "password": False},
    ]
    assert (execution.stdout, execution.stderr) == ("<Ada>\n<Ada>\n", "")
    shell.execute("read -s -p 'PW: ' x")
    assert shell.questions[-1] == {"prompt": "PW: ", "password": True}
    code = 'python3 -c \'import getpass; print(input("A? ")); print(getpass.getpass("B? "))\''
    assert shell.execute(code).stdout.split() == ["Ada", "Ada"]
    assert [question["prompt"] for question in shell.questions[-2:]] == ["A? ", "B? "]


def test_an_answer_is_never_run(shell: KernelHarness) -> None:
    """What a program leaves unread is gone before the next cell."""
    assert shell.execute("head -c 1; echo").stdout == "A\n"
    assert shell.execute("echo next").stdout == "next\n"


def test_a_silent_cell_prints_nothing(shell: KernelHarness) -> None:
    execution = shell.execute("echo hidden; echo too >&2", silent=True)
    assert (execution.stdout, execution.stderr, execution.status) == ("", "", "ok")
    assert shell.execute("echo shown").stdout == "shown\n"


def test_a_setting_lets_a_last_command_fail() -> None:
    with KernelHarness(BashKernel, fails_on_status=False, runs_startup_file=False) as harness:
        assert harness.execute("false").status == "ok"
        assert harness.execute("echo $?").stdout == "1\n"


def test_a_nul_is_refused(shell: KernelHarness) -> None:
    assert shell.execute("echo a\0b").errors[0]["ename"] == "ValueError"


def test_a_full_disk_is_an_error_of_the_cell(shell: KernelHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.execute("kept=1")

    def no_room(*arguments: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", no_room)
        error = shell.execute("echo x").errors[0]
    assert error["ename"] == "HandoverError"
    assert "No space left" in error["evalue"]
    assert shell.execute("echo $kept; unset kept").stdout == "1\n"


def test_a_program_that_is_missing() -> None:
    with KernelHarness(BashKernel, program=["no-such-bash"]) as harness:
        for _ in range(2):
            error = harness.execute("echo x").errors[0]
            assert error["ename"] == "ChildNotFound"
            assert "BashKernel.program" in error["evalue"]


# --- the user's start-up file ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bashrc", "code", "stdout"),
    [
        ("alias hi='echo hi'; X=1; echo printed; echo too >&2", "hi $X", "hi 1\n"),
        ("PS1='$(date)\\e]0;t\\a> '; PS0=x; PROMPT_COMMAND='echo pc'; set -o vi", "echo ok", "ok\n"),
        ("read -p 'a question ' x", 'echo "[$x]"', "[]\n"),
        ("false", "echo $?", "0\n"),
        ("trap 'echo dbg' DEBUG; trap - DEBUG; set -x; set +x", "echo ok", "ok\n"),
    ],
)
def test_any_bashrc(tmp_path: Path, bashrc: str, code: str, stdout: str) -> None:
    (tmp_path / ".bashrc").write_text(bashrc + "\n")
    with bash(env={"HOME": str(tmp_path)}) as (_, client):
        execution = client.execute(code)
        assert (execution.stdout, execution.stderr, execution.status) == (stdout, "", "ok")


def test_a_bashrc_that_ends_bash_is_said(tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text("exit 3\n")
    with bash(env={"HOME": str(tmp_path)}) as (_, client):
        error = client.execute("echo x").errors[0]
        assert error["ename"] == "ChildDied"
        assert "status 3 while it started" in error["evalue"]
        assert client.execute("echo y").stdout == "y\n"


def test_almost_no_environment() -> None:
    empty: dict[str, Any] = dict.fromkeys(["HOME", "TERM", "LANG", "LC_ALL", "SHELL", "USER"])
    with bash(env=empty) as (_, client):
        assert client.execute("x=é; echo ${#x} $TERM").stdout == "1 xterm-256color\n"


# --- over sockets ---------------------------------------------------------------------------------------


def test_output_comes_while_the_cell_runs(kernel_and_client: tuple[KernelProcess, KernelClient]) -> None:
    _, client = kernel_and_client
    cell = begin(client, "echo first; read -r x; echo $x", allow_stdin=True)
    question = client.receive("stdin")
    client.answer(question, "second")
    assert client.reply(cell)["content"]["status"] == "ok"
    [*rest, _] = client.iopub_until_idle(cell)
    assert [message["content"]["text"] for message in rest] == ["second\n"]


def test_output_between_cells_comes_under_the_cell_that_started_it(
    kernel_and_client: tuple[KernelProcess, KernelClient], tmp_path: Path
) -> None:
    _, client = kernel_and_client
    (tmp_path / "go").touch()
    code = f"( while [[ -e {tmp_path}/go ]]; do read -t 0.01 <> <(:); done; echo late ) & disown; echo now"
    cell = client.execute(code)
    assert cell.stdout == "now\n"
    (tmp_path / "go").unlink()
    late = client.iopub_until(
        cell.request["header"]["msg_id"], lambda message: message["msg_type"] == "stream", "late output"
    )
    assert late[-1]["content"]["text"] == "late\n"


def test_a_question_whose_reader_has_gone_is_withdrawn(
    kernel_and_client: tuple[KernelProcess, KernelClient],
) -> None:
    _, client = kernel_and_client
    cell = client.execute_request("read -t 0.3 -p 'quick? ' x; echo \"[$x]\"", allow_stdin=True)
    question = client.receive("stdin")
    assert question["content"]["prompt"] == "quick? "
    execution = client.finish_execution(cell)
    assert (execution.stdout, execution.status) == ("[]\n", "ok")
    client.answer(question, "echo late")
    assert client.execute("echo next").stdout == "next\n"


# --- the pure parts -------------------------------------------------------------------------------------


def test_quoting() -> None:
    assert quoted("it's") == "'it'\\''s'"


def test_traps_on_one_line_each() -> None:
    printed = "trap -- 'echo a\necho b' DEBUG\ntrap -- '' ERR\n"
    assert restored_traps(printed) == [
        "\\builtin trap -- 'echo a'$'\\n''echo b' DEBUG",
        "\\builtin trap -- '' ERR",
    ]
    assert restored_traps("") == []
