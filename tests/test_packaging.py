"""The library installed as people install it: wheel, sdist, editable, pipx; beside PyPI's kernels."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest

from wrapperkernel.kernelspec import BUNDLED, KERNEL_JSON
from wrapperkernel.testing.process import start_kernel

ROOT = Path(__file__).resolve().parent.parent
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
DEPENDENCIES = {"jupyter_core", "platformdirs", "pexpect", "ptyprocess", "pyzmq", "traitlets"}
# pip and pipx must not take the library, or anything else, from where the tests run.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def call(*command: str | Path, cwd: Path, status: int = 0, **variables: str) -> str:
    """Run a command that must end with ``status`` and return what it printed, stderr included."""
    process = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**ENVIRONMENT, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert process.returncode == status, f"{command} ended with {process.returncode}:\n{process.stdout}"
    return process.stdout


# --- environments -----------------------------------------------------------------------------------


def required(*names: str) -> dict[str, Distribution]:
    """Return these distributions, and all that they need, as far as they are installed here."""
    found: dict[str, Distribution] = {}
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "_", waiting.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # needed on another platform, or by another Python
            continue
        needs = [need for need in found[name].requires or () if "extra ==" not in need.replace('"', "'")]
        waiting += [match[0] for need in needs if (match := re.match(r"[\w.-]+", need))]
    return found


def link(folder: Path, distributions: dict[str, Distribution]) -> Path:
    """Fill a folder with links to distributions that are installed here, and return it.

    An environment that looks there has them without any download.
    """
    folder.mkdir()
    for found in distributions.values():
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            (folder / top).symlink_to(Path(str(found.locate_file(top))))
    return folder


class Environment:
    """A new virtual environment without pip, which sees the libraries in given folders."""

    def __init__(self, folder: Path, *seen: Path) -> None:
        self.folder = folder.resolve()
        self.python = self.folder / "bin" / "python"
        venv.create(self.folder, symlinks=True)
        (packages,) = self.folder.glob("lib/*/site-packages")
        (packages / "seen.pth").write_text("".join(f"{path}\n" for path in seen))

    def pip_install(self, *what: str | Path) -> None:
        """Install without asking any index; the build backend is that of the tests' environment."""
        backend = self.folder / "backend"
        if not backend.exists():
            link(backend, required("setuptools"))
        options = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
        pip = [sys.executable, "-m", "pip", "--python", self.python, "install", *options]
        call(*pip, *what, cwd=self.folder, PYTHONPATH=str(backend))

    def run(self, *arguments: str | Path, status: int = 0, **variables: str) -> str:
        """Run Python with these arguments."""
        return call(self.python, *arguments, cwd=self.folder, status=status, **variables)

    @property
    def kernels(self) -> Path:
        """The environment's folder of kernelspecs."""
        return self.folder / "share" / "jupyter" / "kernels"


def check_kernel(kernels: Path, folder: Path) -> None:
    """Start the echo kernel as its kernel.json says, in a folder of no meaning, and let it say something."""
    content = json.loads((kernels / "echo" / KERNEL_JSON).read_bytes())
    assert content["argv"][0].startswith(str(folder))
    assert (kernels / "echo" / "logo-64x64.png").exists()
    with (
        start_kernel(content["argv"], cwd="/", env={"PYTHONPATH": None}) as kernel,
        kernel.client() as client,
    ):
        client.wait_ready()
        assert client.execute("hello").stdout == "hello"


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the library's dependencies and nothing else."""
    distributions = {name: distribution(name) for name in DEPENDENCIES}
    return link(tmp_path_factory.mktemp("libraries") / "packages", distributions)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the tree: builds leave folders in it."""
    folder = tmp_path_factory.mktemp("source") / "wrapperkernel"
    shutil.copytree(ROOT, folder, ignore=NOT_COPIED)
    return folder


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build an sdist, and a wheel from it, and return both."""
    folder = tmp_path_factory.mktemp("built")
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source, cwd=folder)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


# --- what is in the files ---------------------------------------------------------------------------


def test_the_wheel_holds_the_package_and_nothing_outside_it(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as wheel:
        names = wheel.namelist()
    outside = {name for name in names if not name.startswith("wrapperkernel/")}
    assert {Path(name).parts[0].rpartition(".")[2] for name in outside} == {"dist-info"}  # no share/jupyter
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "wrapperkernel").rglob("*.py")}
    examples = {
        f"wrapperkernel/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "examples").rglob("*.py")
    }
    logos = {path.relative_to(ROOT).as_posix() for path in (ROOT / "wrapperkernel" / "logos").glob("*/*")}
    assert len(logos) == 9
    programs = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "wrapperkernel" / "child" / "programs").iterdir()
    }
    others = {"wrapperkernel/py.typed", "wrapperkernel/examples/bash_kernel/companion.sh"}
    assert set(names) - outside == sources | examples | logos | programs | others


def test_the_sdist_holds_what_a_wheel_is_built_from(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "examples/echo_kernel.py"} <= names
    assert "wrapperkernel/logos/echo/logo-svg.svg" in names
    assert {"wrapperkernel/child/programs/display", "examples/bash_kernel/companion.sh"} <= names


# --- ways to install --------------------------------------------------------------------------------


@pytest.fixture(params=["wheel", "sdist", "editable"])
def installed(
    request: pytest.FixtureRequest, tmp_path: Path, libraries: Path, source: Path, built: tuple[Path, Path]
) -> Environment:
    """Return an environment into which the library was installed in one of the ways that pip knows."""
    what = {"wheel": [built[0]], "sdist": [built[1]], "editable": ["--editable", source]}
    environment = Environment(tmp_path / "environment", libraries)
    environment.pip_install(*what[request.param])
    return environment


def test_a_kernel_is_registered_and_starts(installed: Environment, tmp_path: Path) -> None:
    said = installed.run("-m", "wrapperkernel.install", "echo", JUPYTER_DATA_DIR=str(tmp_path / "data"))
    assert "(--user, as jupyter_client is not found in this virtual environment)" in said
    check_kernel(tmp_path / "data" / "kernels", installed.folder)
    script = call(installed.folder / "bin" / "wrapperkernel", "install", "echo", "--sys-prefix", cwd=tmp_path)
    assert f"echo: registered in {installed.kernels / 'echo'};" in script
    check_kernel(installed.kernels, installed.folder)


def test_programs_for_children_can_be_run(installed: Environment) -> None:
    look = (
        "import os; from wrapperkernel.child.kernel import _PROGRAMS as folder;"
        "print(*(os.access(f'{folder}/{name}', os.X_OK) for name in os.listdir(folder)))"
    )
    assert set(installed.run("-c", look).split()) == {"True"}


def test_pipx(built: tuple[Path, Path], tmp_path: Path) -> None:
    """pipx's environment has the dependencies alone, and no Jupyter looks into it."""
    variables = {
        "PIPX_HOME": str(tmp_path / "pipx"),
        "PIPX_BIN_DIR": str(tmp_path / "bin"),
        "PIPX_MAN_DIR": str(tmp_path / "man"),
        "PIPX_COMPLETION_DIR": str(tmp_path / "completion"),
        "PIPX_DISABLE_SHARED_LIBS_AUTO_UPGRADE": "1",
        "JUPYTER_DATA_DIR": str(tmp_path / "data"),
    }
    call(sys.executable, "-m", "pipx", "install", "--backend", "pip", built[0], cwd=tmp_path, **variables)
    said = call(tmp_path / "bin" / "wrapperkernel", "install", "echo", cwd=tmp_path, **variables)
    assert "(--user, as jupyter_client is not found in this virtual environment)" in said
    check_kernel(tmp_path / "data" / "kernels", tmp_path / "pipx")
    (packages,) = (tmp_path / "pipx" / "venvs").glob("wrapperkernel/lib/*/site-packages")
    names = {path.name.partition("-")[0] for path in packages.glob("*.dist-info")}
    assert names - {"pip"} == {"wrapperkernel", *DEPENDENCIES}


# --- beside PyPI's kernels --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory, built: tuple[Path, Path]) -> Environment:
    """Return an environment with Jupyter, the library, and kernels of PyPI that have our names."""
    folder = tmp_path_factory.mktemp("beside")
    wheels = folder / "wheels"
    kernels = ["bash_kernel", "filetype", "echo_kernel", "octave_kernel"]  # bash_kernel imports filetype
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps"]
    call(*pip, "--dest", wheels, *kernels, cwd=folder)
    libraries = link(folder / "packages", required("ipykernel", *DEPENDENCIES))
    environment = Environment(folder / "environment", libraries)
    environment.pip_install(built[0], *wheels.iterdir())  # octave_kernel's wheel registers itself
    environment.run("-m", "bash_kernel.install", "--sys-prefix")
    environment.run("-m", "echo_kernel.install", "--sys-prefix")
    return environment


def test_kernels_of_other_distributions_are_left_alone(beside: Environment) -> None:
    def specs() -> dict[str, bytes]:
        return {folder.name: (folder / KERNEL_JSON).read_bytes() for folder in beside.kernels.iterdir()}

    before = specs()
    assert set(before) == {"bash", "echo", "octave"}
    said = beside.run("-m", "wrapperkernel.install", status=3)
    assert "(--sys-prefix, as jupyter_client is found in this virtual environment)" in said
    ready = [bundled.name for bundled in BUNDLED if bundled.missing() is None]
    for name in ready:
        assert f"{name} is taken by {name}_kernel; --replace or --name\n" in said

    echo = ROOT / "examples" / "echo_kernel.py"
    for name in ("bash", "octave"):
        said = beside.run("-m", "wrapperkernel.install", echo, "--name", name, status=3)
        assert f"{name} is taken by {name}_kernel; --replace or --name\n" in said
    assert specs() == before

    said = beside.run("-m", "wrapperkernel.install", "echo", "--replace")
    assert (
        f"echo: replaced echo_kernel in {beside.kernels / 'echo'}; this environment's jupyter will see it"
        in said
    )
    check_kernel(beside.kernels, beside.folder)
    assert {name: text for name, text in specs().items() if name != "echo"} == {
        name: text for name, text in before.items() if name != "echo"
    }
    listed = json.loads(beside.run("-m", "jupyter_client.kernelspecapp", "list", "--json"))["kernelspecs"]
    assert {"bash", "echo", "octave"} <= set(listed)


def test_no_file_of_ours_replaces_one_of_theirs(beside: Environment) -> None:
    show = "import json, importlib.metadata as m; print(json.dumps([str(f) for f in m.files({!r})]))"
    ours = set(json.loads(beside.run("-c", show.format("wrapperkernel"))))
    for other in ("bash_kernel", "echo_kernel", "octave_kernel"):
        assert not ours & set(json.loads(beside.run("-c", show.format(other))))
