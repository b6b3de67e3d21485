"""Where kernelspecs are kept: the folders, who owns what is in them, placing and removing.

Follows the search path of jupyter_core. It does not know how a kernel was named on the command line, and
prints nothing. It imports jupyter_core and the standard library alone.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

from jupyter_core.paths import SYSTEM_JUPYTER_PATH, jupyter_data_dir, jupyter_path

from .kernelspec import KERNEL_JSON, LOGO_FILES, MARKER, KernelSpec

_UNFINISHED = ".new-"  # how files are called until os.replace gives them their name


@dataclass(frozen=True, slots=True)
class Location:
    """Name a folder of kernelspecs, and say by which rule it was chosen."""

    kernels: Path
    reason: str


def user_location(reason: str = "--user") -> Location:
    """Return the folder of the user's own specs, which every Jupyter of this user searches."""
    return Location(Path(jupyter_data_dir()) / "kernels", reason)


def prefix_location(prefix: str, reason: str = "--prefix") -> Location:
    """Return the folder of specs under an installation prefix."""
    root = Path(prefix).expanduser().absolute()
    return Location(root / "share" / "jupyter" / "kernels", reason)


def environment_location(reason: str = "--sys-prefix") -> Location:
    """Return the folder of specs of the environment whose Python is running."""
    return prefix_location(sys.prefix, reason)


def system_location() -> Location:
    """Return the folder of specs for all users of this computer."""
    return Location(Path(SYSTEM_JUPYTER_PATH[0]) / "kernels", "--system")


def default_location() -> Location:
    """Choose the environment's folder where a Jupyter of that environment can find it, else the user's.

    An environment without jupyter_client (pipx makes such ones) is a place in which no Jupyter ever looks.
    """
    environment = _environment()
    if environment is None:
        return user_location("--user, as Python runs in no virtual or conda environment")
    if find_spec("jupyter_client") is None:
        return user_location(f"--user, as jupyter_client is not found in this {environment} environment")
    return environment_location(f"--sys-prefix, as jupyter_client is found in this {environment} environment")


def _environment() -> str | None:
    """Say which kind of environment Python runs in: "virtual", "conda" or None.

    conda is known by the folder that each of its environments has; the variables of its shell functions are
    missing where its Python is called by path.
    """
    if sys.prefix != sys.base_prefix:
        return "virtual"
    if Path(sys.prefix, "conda-meta").is_dir():
        return "conda"
    return None


@dataclass(frozen=True, slots=True)
class Registered:
    """Describe a spec found in a folder; ``content`` is empty if its kernel.json cannot be understood."""

    folder: Path
    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name under which clients list the kernel."""
        return self.folder.name.lower()

    @property
    def python(self) -> str:
        """The program that is started, "" if unknown."""
        argv = self._argv()
        return argv[0] if argv else ""

    @property
    def origin(self) -> str | None:
        """What our marker says is started; None for a spec that wrapperkernel did not write."""
        metadata = self.content.get("metadata")
        marker = metadata.get(MARKER) if isinstance(metadata, dict) else None
        return str(marker.get("kernel", "")) if isinstance(marker, dict) else None

    @property
    def owner(self) -> str:
        """Name the distribution, file or program that the spec starts."""
        if self.origin:
            return self.origin
        argv = self._argv()
        for option, value in pairwise(argv):
            if option == "-m":
                return value.partition(".")[0]
        return Path(argv[0]).name if argv else "a kernel.json that cannot be read"

    def _argv(self) -> list[str]:
        argv = self.content.get("argv")
        return [str(part) for part in argv] if isinstance(argv, list) else []


class Taken(Exception):
    """Say that a name is in use for another kernel; ``owner`` is who has it."""

    def __init__(self, name: str, owner: str) -> None:
        super().__init__(f"{name} is taken by {owner}; --replace or --name")
        self.owner = owner


def search_path() -> list[Path]:
    """Return the folders in which a Jupyter of this environment looks for specs, the first to win first."""
    return [Path(folder) for folder in dict.fromkeys(jupyter_path("kernels"))]


def registered_in(kernels: Path) -> list[Registered]:
    """Return the specs in a folder by name; a folder that is missing or closed to us has none."""
    try:
        folders = sorted(kernels.iterdir())
    except OSError:
        return []
    return [Registered(folder, _content(folder)) for folder in folders if (folder / KERNEL_JSON).is_file()]


def find(name: str, kernels: Path) -> Registered | None:
    """Return the spec of that name in a folder; clients compare names without regard to case."""
    return next((spec for spec in registered_in(kernels) if spec.name == name), None)


def searched(kernels: Path) -> bool:
    """Say whether a Jupyter of this environment looks into the folder."""
    return any(os.path.realpath(kernels) == os.path.realpath(folder) for folder in search_path())


def hidden_by(name: str, kernels: Path) -> Path | None:
    """Return the spec that a Jupyter of this environment takes before the one in ``kernels``."""
    for folder in search_path():
        if os.path.realpath(folder) == os.path.realpath(kernels):
            return None
        other = find(name, folder)
        if other is not None:
            return other.folder
    return None


def check_free(spec: KernelSpec, kernels: Path) -> Registered | None:
    """Return what is registered under the spec's name, if that is the same kernel or nothing.

    Raises Taken if it is another one: a spec is the same kernel only if wrapperkernel wrote it for the same
    origin.
    """
    present = find(spec.name, kernels)
    if present is not None and present.origin != spec.origin:
        raise Taken(spec.name, present.owner)
    return present


def place(spec: KernelSpec, kernels: Path, *, replace: bool = False) -> Path:
    """Write the spec into its folder under ``kernels`` and return that folder.

    Raises Taken if the name belongs to another kernel, unless ``replace``; OSError if the files cannot be
    written. Each file appears whole, by os.replace, and kernel.json is the last: whoever reads meanwhile, or
    after this process was killed, finds the old kernel.json or the new one. Logos that the spec does not
    contain are then removed, and with ``replace`` all that another kernel had there; a user's files stay.
    """
    present = find(spec.name, kernels) if replace else check_free(spec, kernels)
    folder = kernels / spec.name
    if folder.is_symlink():  # its target belongs to someone else, and is not written to
        folder.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    files = spec.files()
    _write(folder, files)
    _tidy(
        folder, {name for name, _ in files}, takes_over=present is not None and present.origin != spec.origin
    )
    if present is not None and present.folder != folder and not _same(present.folder, folder):
        remove(present)  # the same name in other letters: clients would take one of the two by chance
    return folder


def _write(folder: Path, files: list[tuple[str, bytes]]) -> None:
    """Write all files under names of their own, then give them their names in order.

    The file system may become full or read-only: it does so while nothing is in its place yet.
    """
    unfinished = {name: folder / f"{_UNFINISHED}{os.getpid()}-{name}" for name, _ in files}
    try:
        for name, content in files:
            with open(unfinished[name], "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for name, _ in files:
            os.replace(unfinished[name], folder / name)
    except OSError:
        for path in unfinished.values():
            with suppress(OSError):
                path.unlink()
        raise


def _tidy(folder: Path, names: set[str], *, takes_over: bool) -> None:
    """Remove what an earlier registration, one that was killed, or another kernel has left in the folder.

    Another registration may be at work in it just now.
    """
    for path in folder.iterdir():
        if path.name in names or _is_being_written(path.name):
            continue
        with suppress(FileNotFoundError):
            if path.is_dir() and not path.is_symlink():
                if takes_over:
                    shutil.rmtree(path)
            elif takes_over or path.name in LOGO_FILES or path.name.startswith(_UNFINISHED):
                path.unlink()


def _is_being_written(name: str) -> bool:
    """Tell whether a process that lives is writing this file under a name of its own."""
    pid = name.removeprefix(_UNFINISHED).partition("-")[0]
    return name.startswith(_UNFINISHED) and pid.isdecimal() and _lives(int(pid))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def remove(spec: Registered) -> None:
    """Remove a spec with its folder; kernel.json goes first, so that no client sees half a kernel.

    Raises OSError if that is not allowed.
    """
    if spec.folder.is_symlink():
        spec.folder.unlink()
        return
    (spec.folder / KERNEL_JSON).unlink()
    shutil.rmtree(spec.folder)


def _content(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / KERNEL_JSON).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _same(one: Path, other: Path) -> bool:
    """Say whether two paths are one folder, as they are on a file system that ignores case."""
    return one.exists() and other.exists() and os.path.samefile(one, other)
