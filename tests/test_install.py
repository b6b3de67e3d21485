"""The command that registers kernels: its options, what it says, its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from sysconfig import get_path

import pytest

from wrapperkernel import install, kernelspec
from wrapperkernel.kernelspec import KERNEL_JSON, Bundled

BASH = Bundled("bash", "wrapperkernel.examples.no_such_kernel", "Bash", "bash", program="bash")
ECHO = next(bundled for bundled in kernelspec.BUNDLED if bundled.name == "echo")
OCTAVE = Bundled("octave", ECHO.module + ".octave", "Octave", "octave", program="no-such-octave")
READY_OCTAVE = Bundled("octave", "wrapperkernel.examples", "Octave", "octave")


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


Install = Callable[..., Outcome]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make ``data`` under the returned folder the user's, and the first in which Jupyter looks."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    # What `make demo` has registered in the environment of these tests is none of theirs.
    monkeypatch.setattr("jupyter_core.paths.ENV_JUPYTER_PATH", [str(tmp_path / "environment")])
    monkeypatch.setattr(kernelspec, "BUNDLED", (BASH, ECHO))
    return tmp_path


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Install:
    """Return a function that gives arguments to the command."""

    def install_with(*arguments: str) -> Outcome:
        try:
            status = install.main(arguments)
        except SystemExit as exit:  # argparse's way
            status = int(exit.code or 0)
        return Outcome(status, *capsys.readouterr())

    return install_with


def other_kernel(kernels: Path, name: str, module: str) -> bytes:
    """Write a spec as another distribution does and return its kernel.json."""
    (kernels / name).mkdir(parents=True)
    content = json.dumps({"argv": ["python", "-m", module, "-f", "{connection_file}"]}).encode()
    (kernels / name / KERNEL_JSON).write_bytes(content)
    return content


def read(kernels: Path, name: str) -> dict[str, object]:
    content: dict[str, object] = json.loads((kernels / name / KERNEL_JSON).read_bytes())
    return content


# --- which kernels ----------------------------------------------------------------------------------


def test_without_arguments_every_kernel_that_can_be(run: Install, home: Path) -> None:
    outcome = run("--user")
    kernels = home / "data" / "kernels"
    assert outcome.status == 0
    assert outcome.out.splitlines() == [
        f"registering in {kernels} (--user)",
        f"bash is left out: {BASH.missing()}",
        f"echo: registered in {kernels / 'echo'}; this environment's jupyter will see it",
    ]
    assert [folder.name for folder in kernels.iterdir()] == ["echo"]


def test_nothing_to_register_is_status_3(run: Install, home: Path) -> None:
    outcome = run("--user", "bash")
    assert (outcome.status, outcome.err) == (3, "no kernel could be registered\n")
    assert "bash is left out: " in outcome.out


def test_a_file_under_a_name_of_its_own(run: Install, home: Path) -> None:
    file = home / "toy.py"
    file.write_text(
        "from wrapperkernel import Kernel\nclass Toy(Kernel):\n def do_execute(self, code): pass\n"
    )
    arguments = ["--name", "My-Toy", "--display-name", "The Toy", "--env", "A=b=c", "--env", "D=${E}"]
    assert run("--user", str(file), *arguments).status == 0
    content = read(home / "data" / "kernels", "my-toy")
    assert content["display_name"] == "The Toy"
    assert content["env"] == {"A": "b=c", "D": "${E}"}
    assert content["argv"] == [sys.executable, str(file), "-f", "{connection_file}"]


def test_nothing_is_written_if_one_argument_is_wrong(run: Install, home: Path) -> None:
    outcome = run("--user", "echo", "no_such_package")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert not (home / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--name", "x"], "--name and --display-name need exactly one kernel"),
        (["--display-name", "x", "echo", "bash"], "need exactly one kernel"),
        (["--name", "a b", "echo"], "'a b' cannot name a kernel: use --name with ASCII letters"),
        (["--env", "A", "echo"], "--env 'A' is not KEY=VALUE"),
        (["--env", "=b", "echo"], "--env '=b' is not KEY=VALUE"),
        (["echo", "echo"], "would both be called echo"),
        (["--list", "echo"], "--list takes no kernels"),
        (["--list", "--replace"], "are for registering"),
        (["--uninstall", "echo", "--name", "x"], "are for registering"),
        (["--list", "--uninstall"], "not allowed with"),
        (["--uninstall", "../echo"], "cannot name a kernel"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_misuse_is_status_2(run: Install, home: Path, arguments: list[str], complaint: str) -> None:
    outcome = run("--user", *arguments)
    assert outcome.status == 2
    assert complaint in outcome.err
    assert not (home / "data").exists()


@pytest.mark.row(
    "K4",
    file="install.py",
    old='add_argument_group("where").add_mutually_exclusive_group()',
    new='add_argument_group("where")',
)
@pytest.mark.parametrize("other", [["--prefix", "/x"], ["--sys-prefix"], ["--system"]])
def test_targets_exclude_each_other(run: Install, home: Path, other: list[str]) -> None:
    assert run("--user", *other, "--dry-run").status == 2


# --- other distributions' kernels -------------------------------------------------------------------


def test_a_taken_name_does_not_hinder_the_others(
    run: Install, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernelspec, "BUNDLED", (ECHO, READY_OCTAVE))
    kernels = home / "data" / "kernels"
    before = other_kernel(kernels, "octave", "octave_kernel")
    outcome = run("--user")
    assert (outcome.status, outcome.err) == (0, "octave is taken by octave_kernel; --replace or --name\n")
    assert (kernels / "octave" / KERNEL_JSON).read_bytes() == before
    assert read(kernels, "echo")["display_name"] == "Echo"


def test_only_taken_names_are_status_3(run: Install, home: Path) -> None:
    kernels = home / "data" / "kernels"
    before = other_kernel(kernels, "echo", "echo_kernel")
    for extra in ([], ["--dry-run"]):
        outcome = run("--user", *extra)
        assert outcome.status == 3
        assert "echo is taken by echo_kernel; --replace or --name\n" in outcome.err
        assert (kernels / "echo" / KERNEL_JSON).read_bytes() == before


def test_a_taken_name_is_replaced_if_told_so(run: Install, home: Path) -> None:
    kernels = home / "data" / "kernels"
    other_kernel(kernels, "echo", "echo_kernel")
    outcome = run("--user", "--replace")
    assert outcome.status == 0
    assert f"echo: replaced echo_kernel in {kernels / 'echo'};" in outcome.out
    assert read(kernels, "echo")["display_name"] == "Echo"


def test_beside_a_taken_name_under_another(run: Install, home: Path) -> None:
    other_kernel(home / "data" / "kernels", "echo", "echo_kernel")
    assert run("--user", "echo", "--name", "echo2").status == 0
    assert read(home / "data" / "kernels", "echo2")["language"] == "text"


def test_our_own_is_registered_anew(run: Install, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = home / "data" / "kernels" / "echo"
    assert f"echo: registered in {folder};" in run("--user").out
    assert f"echo: registered anew in {folder};" in run("--user").out
    before = sys.executable
    monkeypatch.setattr(sys, "executable", "/another/python")
    assert f"echo: registered anew (it was started by {before}) in {folder};" in run("--user").out


# --- where ------------------------------------------------------------------------------------------


def test_a_folder_where_jupyter_does_not_look_is_said(run: Install, home: Path) -> None:
    outcome = run("--prefix", str(home / "prefix"))
    assert outcome.status == 0
    needed = home / "prefix" / "share" / "jupyter"
    assert f"will not see it unless JUPYTER_PATH contains {needed}" in outcome.out
    assert (needed / "kernels" / "echo" / KERNEL_JSON).exists()


def test_a_spec_that_hides_ours_is_said(run: Install, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(home / "first"))
    other_kernel(home / "first" / "kernels", "echo", "echo_kernel")
    outcome = run("--user")
    hiding = home / "first" / "kernels" / "echo"
    assert outcome.status == 0
    assert f"this environment's jupyter will not see it, as {hiding} comes first" in outcome.out


def test_an_environment_without_jupyter_is_said(
    run: Install, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "find_spec", lambda name: None)
    assert "a jupyter that looks there will see it (this environment has none)" in run("--user").out


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_dry_run_says_the_same_and_writes_nothing(run: Install, home: Path, dry: list[str]) -> None:
    outcome = run("--user", "echo", *dry)
    assert outcome.status == 0
    assert "this environment's jupyter will see it" in outcome.out
    assert (home / "data").exists() == (not dry)
    if dry:
        folder = home / "data" / "kernels" / "echo"
        assert f"echo: would go to {folder};" in outcome.out
        shown = outcome.out.partition(f"{folder / KERNEL_JSON} would hold ")[2]
        assert json.loads(shown) == ECHO.spec().content()


@pytest.mark.parametrize("prefix", ["file", "/sys/wrapperkernel", "/dev/null"])
def test_a_place_that_cannot_be_written_is_one_sentence(run: Install, home: Path, prefix: str) -> None:
    (home / "file").touch()
    outcome = run("--prefix", str(home / prefix), "echo")
    assert outcome.status == 1
    assert outcome.err.startswith("cannot write /")
    assert outcome.err.endswith("; choose a place with --user, --sys-prefix or --prefix\n")
    assert outcome.err.count("\n") == 1


def test_windows_is_refused_in_one_sentence(run: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    outcome = run("--user")
    monkeypatch.undo()
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err == install.NO_WINDOWS + "\n"


# --- list and uninstall -----------------------------------------------------------------------------


def test_the_list_of_bundled_and_registered_kernels(run: Install, home: Path) -> None:
    kernels = home / "data" / "kernels"
    other_kernel(kernels, "octave", "octave_kernel")
    assert "registered by wrapperkernel:\n  none\n" in run("--user", "--list").out
    run("--user")
    lines = run("--list").out.splitlines()
    assert "  echo: can be registered" in lines
    assert f"  bash: {BASH.missing()}" in lines
    assert (
        f"  echo: {kernels / 'echo'} starts {ECHO.module}; this environment's jupyter will see it"
    ) in lines
    assert not any("octave" in line for line in lines)


def test_the_list_says_whose_python_is_gone(
    run: Install, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/gone/python")
    run("--user")
    assert "will see it; its Python /gone/python is gone\n" in run("--user", "--list").out


def test_uninstall_removes_what_was_registered(run: Install, home: Path) -> None:
    run("--user")
    folder = home / "data" / "kernels" / "echo"
    assert run("--uninstall", "--dry-run").out == f"echo: would remove {folder}\n"
    assert folder.exists()
    outcome = run("--uninstall", "Echo")
    assert (outcome.status, outcome.out) == (0, f"echo: removed {folder}\n")
    assert not folder.exists()
    outcome = run("--uninstall", "--user")
    assert (outcome.status, outcome.err) == (3, "no kernel was removed\n")
    assert "echo: not registered; nothing removed\n" in run("--uninstall", "echo").err


def test_uninstall_leaves_other_distributions_alone(run: Install, home: Path) -> None:
    kernels = home / "data" / "kernels"
    before = other_kernel(kernels, "echo", "echo_kernel")
    outcome = run("--uninstall", "--user", "echo")
    assert outcome.status == 3
    assert f"echo: {kernels / 'echo'} is echo_kernel's; nothing removed\n" in outcome.err
    assert (kernels / "echo" / KERNEL_JSON).read_bytes() == before


# --- as a program -----------------------------------------------------------------------------------

WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("zmq", "traitlets", "pexpect"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
import runpy
sys.argv[0] = "install"
runpy.run_module("wrapperkernel.install", run_name="__main__", alter_sys=True)
"""


def test_only_jupyter_core_is_needed(home: Path) -> None:
    command = [sys.executable, "-c", WITHOUT, "echo", "--user"]
    process = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (0, "")
    assert read(home / "data" / "kernels", "echo")["language"] == "text"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a virtual environment that can import all that is installed here, and return its folder."""
    folder = tmp_path_factory.mktemp("environment").resolve()
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/*/site-packages")
    (packages / "here.pth").write_text(f"import site; site.addsitedir({get_path('purelib')!r})\n")
    return folder


@pytest.mark.row(
    "K4",
    file="registry.py",
    old="    root = Path(prefix).expanduser().absolute()",
    new='    root = Path(prefix, "x").absolute()',
)
@pytest.mark.row(
    "K4",
    file="registry.py",
    old='Location(Path(jupyter_data_dir()) / "kernels", reason)',
    new="Location(Path(jupyter_data_dir()), reason)",
)
@pytest.mark.row(
    "K4",
    file="registry.py",
    old='Location(Path(SYSTEM_JUPYTER_PATH[0]) / "kernels", "--system")',
    new='Location(Path(SYSTEM_JUPYTER_PATH[-1]) / "kernels", "--system")',
)
def test_all_four_targets_are_seen_by_jupyter(environment: Path, tmp_path: Path) -> None:
    places = {
        "user": (["--user"], tmp_path / "home" / "jupyter"),
        "env": ([], environment / "share" / "jupyter"),
        "prefix": (["--prefix", str(tmp_path / "prefix")], tmp_path / "prefix" / "share" / "jupyter"),
        "system": (["--system"], tmp_path / "one" / "jupyter"),
    }
    settings = {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "home"),
        "XDG_DATA_DIRS": f"{tmp_path / 'one'}:{tmp_path / 'two'}",
        "JUPYTER_PLATFORM_DIRS": "1",
        "JUPYTER_PATH": str(tmp_path / "prefix" / "share" / "jupyter"),
    }

    def python(*arguments: str) -> str:
        command = [str(environment / "bin" / "python"), *arguments]
        return subprocess.run(
            command, env=settings, check=True, stdout=subprocess.PIPE, text=True, cwd=tmp_path
        ).stdout

    for name, (arguments, root) in places.items():
        said = python("-m", "wrapperkernel.install", "echo", *arguments, "--name", f"echo-{name}")
        assert f"{root / 'kernels' / f'echo-{name}'}; this environment's jupyter will see it" in said
        if name == "env":
            assert "(--sys-prefix, as jupyter_client is found in this virtual environment)" in said
    listed = json.loads(python("-m", "jupyter_client.kernelspecapp", "list", "--json"))["kernelspecs"]
    for name, (_, root) in places.items():
        assert listed[f"echo-{name}"]["resource_dir"] == str(root / "kernels" / f"echo-{name}")
        assert listed[f"echo-{name}"]["spec"]["argv"][0] == str(environment / "bin" / "python")


def test_who_stops_reading_what_it_says_is_no_failure_of_the_place(home: Path) -> None:
    command = f"{sys.executable} -m wrapperkernel.install echo --dry-run --prefix {home}/p"
    done = subprocess.run(
        ["bash", "-c", f"{command} > >(exec true); wait"], capture_output=True, text=True, timeout=60
    )
    assert "choose a place" not in done.stderr
    assert "Traceback" not in done.stderr
