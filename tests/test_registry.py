"""Folders of kernelspecs: where they are, who owns what, placing and removing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wrapperkernel import registry
from wrapperkernel.kernelspec import KERNEL_JSON, LOGO_FILES, KernelSpec
from wrapperkernel.registry import Registered, Taken, find, place, remove


def spec(name: str = "toy", **changes: object) -> KernelSpec:
    facts: dict[str, object] = {"display_name": "Toy", "language": "toy", "origin": "toy_package"}
    return KernelSpec(
        name=name, argv=("python", "-m", "toy", "-f", "{connection_file}"), **{**facts, **changes}
    )  # type: ignore[arg-type]


def foreign(folder: Path, argv: list[str] | None = None) -> Path:
    """Write a spec as another distribution would, with files that we have no names for."""
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "logo.png").touch()
    (folder / "kernel.js").touch()
    content = {"argv": argv or ["python", "-m", "other_kernel.sub", "-f", "{connection_file}"]}
    (folder / KERNEL_JSON).write_text(json.dumps(content))
    return folder


# --- placing ----------------------------------------------------------------------------------------


def test_placing_makes_the_folder_and_leaves_nothing_else(tmp_path: Path) -> None:
    logo = tmp_path / "logo"
    logo.write_bytes(b"new")
    kernels = tmp_path / "share" / "jupyter" / "kernels"
    folder = place(spec(logos={"logo-32x32.png": logo}), kernels)
    assert folder == kernels / "toy"
    assert {path.name for path in folder.iterdir()} == {KERNEL_JSON, "logo-32x32.png"}
    assert (folder / KERNEL_JSON).stat().st_mode & 0o777 == 0o666 & ~umask()


def test_the_same_kernel_is_placed_anew(tmp_path: Path) -> None:
    place(spec(display_name="Old"), tmp_path)
    place(spec(display_name="New"), tmp_path)
    present = find("toy", tmp_path)
    assert present is not None
    assert present.content["display_name"] == "New"


@pytest.mark.parametrize(
    ("argv", "owner"),
    [
        (["python", "-m", "other_kernel.sub", "-f", "x"], "other_kernel"),
        (["/usr/bin/akernel", "launch"], "akernel"),
        (["python", "-m"], "python"),
        (["python", "/opt/kernel.py"], "python"),
    ],
)
def test_another_distributions_name_is_taken(tmp_path: Path, argv: list[str], owner: str) -> None:
    folder = foreign(tmp_path / "toy", argv)
    with pytest.raises(Taken) as taken:
        place(spec(), tmp_path)
    assert str(taken.value) == f"toy is taken by {owner}; --replace or --name"
    assert (folder / "kernel.js").exists()


def test_another_kernel_of_ours_is_not_overwritten_either(tmp_path: Path) -> None:
    place(spec(origin="one"), tmp_path)
    with pytest.raises(Taken, match="toy is taken by one;"):
        place(spec(origin="two"), tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"argv": 1, "metadata": []}', "\udcff"])
def test_a_kernel_json_that_cannot_be_understood_is_someones(tmp_path: Path, content: str) -> None:
    folder = foreign(tmp_path / "toy")
    (folder / KERNEL_JSON).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(Taken, match="cannot be read"):
        place(spec(), tmp_path)


def test_replacing_leaves_nothing_of_the_old_spec(tmp_path: Path) -> None:
    foreign(tmp_path / "toy")
    folder = place(spec(), tmp_path, replace=True)
    assert [path.name for path in folder.iterdir()] == [KERNEL_JSON]


def test_replacing_a_link_leaves_its_target_alone(tmp_path: Path) -> None:
    source = foreign(tmp_path / "source")
    kernels = tmp_path / "kernels"
    kernels.mkdir()
    (kernels / "toy").symlink_to(source)
    folder = place(spec(), kernels, replace=True)
    assert not folder.is_symlink()
    assert (source / "kernel.js").exists()


def test_names_are_compared_without_regard_to_case(tmp_path: Path) -> None:
    foreign(tmp_path / "ToY")
    with pytest.raises(Taken):
        place(spec(), tmp_path)
    place(spec(), tmp_path, replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_a_folder_without_kernel_json_is_free(tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "logo-32x32.png").touch()
    place(spec(), tmp_path)


def test_a_write_that_fails_leaves_the_old_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(spec(display_name="Old"), tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        place(spec(display_name="New"), tmp_path)
    assert [path.name for path in (tmp_path / "toy").iterdir()] == [KERNEL_JSON]
    present = find("toy", tmp_path)
    assert present is not None
    assert present.content["display_name"] == "Old"


KILLED = """
import os, pathlib, signal, sys
from wrapperkernel import kernelspec, registry

kernels, steps = pathlib.Path(sys.argv[1]), int(sys.argv[2])
replace = os.replace

def counted(source, target):
    global steps
    steps -= 1
    if steps < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

os.replace = counted
registry.place(kernelspec.BUNDLED[1].spec(), kernels, replace=True)
"""


@pytest.mark.row("K5", file="registry.py", old="os.replace(unfinished[name], folder / name)", new="pass")
@pytest.mark.row(
    "K5",
    file="registry.py",
    old="        for name, _ in files:",
    new="        for name, _ in reversed(files):",
)
@pytest.mark.parametrize("steps", range(5))
def test_a_kill_in_the_middle_leaves_the_old_spec_whole(tmp_path: Path, steps: int) -> None:
    folder = foreign(tmp_path / "echo")
    old = (folder / KERNEL_JSON).read_bytes()
    process = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(steps)], check=False)
    named = {path.name for path in folder.iterdir() if not path.name.startswith(".new-")}
    if steps < 4:
        assert process.returncode == -signal.SIGKILL
        assert (folder / KERNEL_JSON).read_bytes() == old
        assert {"images", "kernel.js", KERNEL_JSON} <= named
    else:
        assert process.returncode == 0
        assert json.loads((folder / KERNEL_JSON).read_bytes())["display_name"] == "Echo"
    place(spec("echo"), tmp_path, replace=True)
    assert [path.name for path in folder.iterdir()] == [KERNEL_JSON]  # the next one clears up after the kill


# --- finding and removing ---------------------------------------------------------------------------


def test_a_missing_folder_has_no_specs(tmp_path: Path) -> None:
    assert registry.registered_in(tmp_path / "none") == []
    assert find("toy", tmp_path / "none") is None


def test_removing_takes_the_folder(tmp_path: Path) -> None:
    folder = place(spec(), tmp_path)
    present = find("toy", tmp_path)
    assert present is not None
    assert present == Registered(folder, spec().content())
    remove(present)
    assert list(tmp_path.iterdir()) == []


def test_removing_a_link_leaves_its_target_alone(tmp_path: Path) -> None:
    place(spec(), tmp_path / "source")
    kernels = tmp_path / "kernels"
    kernels.mkdir()
    (kernels / "toy").symlink_to(tmp_path / "source" / "toy")
    present = find("toy", kernels)
    assert present is not None
    remove(present)
    assert list(kernels.iterdir()) == []
    assert (tmp_path / "source" / "toy" / KERNEL_JSON).exists()


# --- what Jupyter sees ------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make Jupyter look into ``first`` and then ``data`` under the returned folder."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "first"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def test_the_search_path_is_jupyters(path: Path) -> None:
    folders = registry.search_path()
    assert folders[0] == path / "first" / "kernels"
    assert registry.user_location().kernels in folders
    assert registry.environment_location().kernels in folders
    assert registry.system_location().kernels in folders


def test_a_link_to_a_searched_folder_is_searched(path: Path) -> None:
    (path / "data" / "kernels").mkdir(parents=True)
    (path / "link").symlink_to(path / "data")
    assert registry.searched(path / "link" / "kernels")
    assert not registry.searched(path / "other" / "kernels")


def test_the_first_spec_of_a_name_hides_the_others(path: Path) -> None:
    hiding = place(spec(), path / "first" / "kernels")
    assert registry.hidden_by("toy", path / "data" / "kernels") == hiding
    assert registry.hidden_by("toy", path / "first" / "kernels") is None
    assert registry.hidden_by("other", path / "data" / "kernels") is None


# --- the default location ---------------------------------------------------------------------------


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let Python seem to be installed under the returned folder, and not to be a virtual environment's."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    return tmp_path


def test_outside_an_environment_the_user(no_environment: Path) -> None:
    location = registry.default_location()
    assert location.kernels == registry.user_location().kernels
    assert location.reason == "--user, as Python runs in no virtual or conda environment"


def test_in_an_environment_with_jupyter_the_environment(
    no_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "base_prefix", "/elsewhere")
    location = registry.default_location()
    assert location.kernels == no_environment / "share" / "jupyter" / "kernels"
    assert location.reason == "--sys-prefix, as jupyter_client is found in this virtual environment"


def test_conda_is_known_by_its_folder(no_environment: Path) -> None:
    (no_environment / "conda-meta").mkdir()
    assert registry.default_location().reason == (
        "--sys-prefix, as jupyter_client is found in this conda environment"
    )


def test_in_an_environment_without_jupyter_the_user(
    no_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "base_prefix", "/elsewhere")
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    location = registry.default_location()
    assert location.kernels == registry.user_location().kernels
    assert location.reason == "--user, as jupyter_client is not found in this virtual environment"


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# --- beside others --------------------------------------------------------------------------------------


def test_a_users_own_files_stay(tmp_path: Path) -> None:
    notes = tmp_path / "mine" / "data" / "notes.txt"
    notes.parent.mkdir(parents=True)
    notes.write_text("mine")
    (tmp_path / "mine" / "more.txt").write_text("mine, too")
    for _ in range(2):
        place(spec("mine"), tmp_path)
    assert notes.read_text() == "mine"
    assert (tmp_path / "mine" / "more.txt").read_text() == "mine, too"


def test_registrations_at_the_same_time_disturb_nobody(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from wrapperkernel.registry import place; from wrapperkernel.targets import spec_of\n"
        "spec = spec_of('echo', {}, 'echo')\n"
        "for _ in range(100): place(spec, Path(sys.argv[1]))"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert sorted(path.name for path in (tmp_path / "echo").iterdir()) == [KERNEL_JSON, *LOGO_FILES]
