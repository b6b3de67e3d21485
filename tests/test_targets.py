"""What may be named for registration, and what is read from an author's kernel."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from wrapperkernel import kernelspec, targets
from wrapperkernel.kernelspec import Bundled, SpecError
from wrapperkernel.targets import LeftOut, spec_of

CLASS = """
from wrapperkernel import Kernel

class {name}Kernel(Kernel):
    {facts}

    def do_execute(self, code):
        pass
"""
LANGUAGE = 'language_info = {"name": "toy-lang", "mimetype": "text/plain", "file_extension": ".toy"}'
NO_ENV: dict[str, str] = {}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder from which processes that are started may import."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    return tmp_path


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


# --- bundled kernels --------------------------------------------------------------------------------


def test_a_bundled_kernel_needs_no_import() -> None:
    spec = spec_of("echo", NO_ENV)
    assert (spec.name, spec.origin) == ("echo", "wrapperkernel.examples.echo_kernel")
    assert spec_of("echo", NO_ENV, "Other").name == "other"


def test_a_bundled_kernel_that_lacks_something_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = Bundled("toy", "wrapperkernel.examples", "Toy", "toy", program="no-such-program")
    monkeypatch.setattr(kernelspec, "BUNDLED", (bundled,))
    with pytest.raises(LeftOut, match="toy is left out: its program no-such-program is not found on PATH"):
        spec_of("toy", NO_ENV)


def test_programs_are_looked_for_with_the_kernels_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = Bundled("toy", "wrapperkernel.examples", "Toy", "toy", program="toy-program")
    monkeypatch.setattr(kernelspec, "BUNDLED", (bundled,))
    (tmp_path / "toy-program").touch(mode=0o755)
    monkeypatch.setenv("TOYS", str(tmp_path))
    assert spec_of("toy", {"PATH": "${TOYS}:${PATH}"}).name == "toy"


# --- files ------------------------------------------------------------------------------------------


def test_a_file_is_started_by_its_path(path: Path) -> None:
    file = write(path / "folder" / "toy_kernel.py", CLASS.format(name="Toy", facts=LANGUAGE))
    write(path / "folder" / "resources" / "logo-svg.svg", "<svg/>")
    spec = spec_of(str(file), NO_ENV)
    assert spec.argv == (sys.executable, str(file), "-f", "{connection_file}")
    assert (spec.name, spec.display_name, spec.language) == ("toy", "Toy", "toy-lang")
    assert spec.logos == {"logo-svg.svg": path / "folder" / "resources" / "logo-svg.svg"}


def test_a_relative_path_becomes_an_absolute_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path / "Toy.py", CLASS.format(name="Toy", facts=LANGUAGE))
    monkeypatch.chdir(path)
    spec = spec_of("Toy.py", NO_ENV)
    assert (spec.name, spec.argv[1]) == ("toy", str(path / "Toy.py"))


def test_a_file_finds_what_lies_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "beside.py", 'NAME = "Beside"')
    file = write(
        tmp_path / "toy.py",
        "import beside\n" + CLASS.format(name="Toy", facts="display_name = beside.NAME"),
    )
    assert spec_of(str(file), NO_ENV).display_name == "Beside"


def test_a_file_may_extend_a_kernel_of_its_own(tmp_path: Path) -> None:
    text = CLASS.format(name="Base", facts="") + f"\nclass Toy(BaseKernel):\n    {LANGUAGE}\n"
    assert spec_of(str(write(tmp_path / "toy.py", text)), NO_ENV).language == "toy-lang"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "defines no kernel class"),
        ("from wrapperkernel import Kernel", "defines no kernel class"),
        (CLASS.format(name="A", facts="") + CLASS.format(name="B", facts=""), r"\(AKernel, BKernel\)"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit", "under if __name__ == '__main__'"),
        ("import os; os.abort()", "ends the process when imported|Aborted"),
        (
            CLASS.format(name="A", facts='interrupt_mode = "never"'),
            "the interrupt_mode of .* is 'never'; it must be",
        ),
    ],
)
def test_a_file_that_is_no_kernel_is_refused_in_a_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    file = write(tmp_path / "toy.py", text)
    with pytest.raises(SpecError, match=complaint) as refused:
        spec_of(str(file), NO_ENV)
    assert "\n" not in str(refused.value)


def test_a_file_that_starts_its_kernel_when_imported_is_refused(tmp_path: Path) -> None:
    text = "from wrapperkernel import run\n" + CLASS.format(name="A", facts="") + "\nrun(AKernel)\n"
    with pytest.raises(SpecError, match="under if __name__ == '__main__'"):
        spec_of(str(write(tmp_path / "toy.py", text)), NO_ENV)


def test_an_import_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "IMPORT_LIMIT", 0.1)
    file = write(tmp_path / "toy.py", "import signal; signal.pause()")
    with pytest.raises(SpecError, match=r"took more than 0\.1 s"):
        spec_of(str(file), NO_ENV)


def test_what_an_author_prints_is_no_fact(tmp_path: Path) -> None:
    text = "print('hello')\n" + CLASS.format(name="Toy", facts=LANGUAGE) + "\nprint('{}')\n"
    assert spec_of(str(write(tmp_path / "toy.py", text)), NO_ENV).language == "toy-lang"


@pytest.mark.parametrize("target", ["no/such/file", "nothing.py", "/"])
def test_a_path_without_a_file_is_refused(target: str) -> None:
    with pytest.raises(SpecError, match="there is no file /"):
        spec_of(target, NO_ENV)


def test_a_file_name_that_is_no_kernel_name_needs_a_name(tmp_path: Path) -> None:
    file = write(tmp_path / "my toy.py", CLASS.format(name="Toy", facts=LANGUAGE))
    with pytest.raises(SpecError, match="--name"):
        spec_of(str(file), NO_ENV)
    assert spec_of(str(file), NO_ENV, "toy").origin == str(file)


# --- packages and classes ---------------------------------------------------------------------------


def test_a_class_is_started_by_the_command_run(path: Path) -> None:
    facts = LANGUAGE + '\n    display_name = "The Toy"\n    interrupt_mode = "message"'
    write(path / "toys" / "__init__.py", CLASS.format(name="Toy", facts=facts))
    write(path / "toys" / "logo-32x32.png", "")
    spec = spec_of("toys:ToyKernel", NO_ENV)
    assert spec.argv[1:] == ("-P", "-m", "wrapperkernel", "run", "toys:ToyKernel", "-f", "{connection_file}")
    assert (spec.name, spec.display_name, spec.language) == ("toy", "The Toy", "toy-lang")
    assert (spec.interrupt_mode, list(spec.logos)) == ("message", ["logo-32x32.png"])


@pytest.mark.parametrize("home", ["__init__", "kernel", "__main__"])
def test_a_package_is_started_as_a_module(path: Path, home: str) -> None:
    write(path / "toy_kernel" / "__init__.py", "")
    write(path / "toy_kernel" / "__main__.py", "")
    write(path / "toy_kernel" / f"{home}.py", CLASS.format(name="Toy", facts=LANGUAGE))
    spec = spec_of("toy_kernel", NO_ENV)
    assert spec.argv[1:] == ("-P", "-m", "toy_kernel", "-f", "{connection_file}")
    assert (spec.name, spec.language, spec.origin) == ("toy", "toy-lang", "toy_kernel")


def test_a_module_is_a_package_too(path: Path) -> None:
    write(path / "toys" / "__init__.py", "")
    write(path / "toys" / "first" / "kernel.py", CLASS.format(name="Toy", facts=""))
    spec = spec_of("toys.first.kernel", NO_ENV)
    assert (spec.name, spec.display_name) == ("first", "First")


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("no_such_package", "there is no module no_such_package"),
        ("no_such_package:Class", "No module named 'no_such_package'"),
        ("json", "json has no __main__"),
        ("http.server", "shows no kernel class"),
        ("json:JSONDecoder", "json has no kernel class JSONDecoder"),
        ("json:Nothing.at.all", "json has no kernel class Nothing.at.all"),
    ],
)
def test_what_is_no_kernel_is_refused(target: str, complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint):
        spec_of(target, NO_ENV)


@pytest.mark.parametrize("target", ["", "a b", "a:", ":b", "a:b:c", "1a", "a..b", "-x"])
def test_what_cannot_be_a_name_is_refused(target: str) -> None:
    with pytest.raises(SpecError, match=r"is no bundled kernel \(bash, echo, octave\), file, package or"):
        spec_of(target, NO_ENV)


def test_a_module_that_only_this_folder_shows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client starts the kernel in the folder of a notebook, where that module will not be found."""
    write(tmp_path / "here_only.py", CLASS.format(name="Toy", facts=LANGUAGE))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match="here_only"):
        spec_of("here_only:ToyKernel", NO_ENV)
    path = f"{tmp_path}:${{PYTHONPATH}}"
    assert spec_of("here_only:ToyKernel", {"PYTHONPATH": path}).language == "toy-lang"
