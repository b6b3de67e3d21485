"""What a kernelspec says: kernel.json, logos, names, and the table of bundled kernels.

Follows "Kernel specs" of the Jupyter documentation. It does not know in which folders specs are kept
(`registry`), what a user may type to name a kernel (`targets`) or how the outcome is told (`install`).
It imports the standard library alone, so that a registration needs neither zmq nor traitlets.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ._version import __version__

# The version that headers and kernel_info_reply carry; a test holds the three together. It is written here
# once more because importing `wire` would load what a registration does without.
PROTOCOL_VERSION = "5.5"

KERNEL_JSON = "kernel.json"
LOGO_FILES = ("logo-32x32.png", "logo-64x64.png", "logo-svg.svg")
MARKER = "wrapperkernel"  # the key in kernel.json's metadata by which our own specs are known again

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_LOGOS = Path(__file__).parent / "logos"


class SpecError(ValueError):
    """Say in one sentence why no kernelspec can be made of what was asked for."""


def checked_name(name: str) -> str:
    """Return the folder name for a kernel: lower-cased, of ASCII letters, digits, ``.``, ``_`` and ``-``.

    Raises SpecError for any other name, and for ``.`` and ``..``, which are folders already.
    """
    if not _NAME.fullmatch(name) or not name.strip("."):
        raise SpecError(
            f"{name!r} cannot name a kernel: use --name with ASCII letters, digits, '.', '_' and '-'"
        )
    return name.lower()


def title(name: str) -> str:
    """Return a display name for a kernel that has none: ``my-lang`` becomes ``My Lang``."""
    words = re.split(r"[._-]+", name)
    return " ".join(word[:1].upper() + word[1:] for word in words if word) or name


@dataclass(frozen=True, slots=True)
class KernelSpec:
    """Hold all that is written into the folder of one kernel.

    ``argv`` contains ``{connection_file}``, which the client fills in. ``origin`` says what is started (a
    module, ``module:Class`` or a file): a spec of the same origin is the same kernel, registered again.
    ``logos`` maps file names of a kernelspec to the files that are copied.
    """

    name: str
    argv: tuple[str, ...]
    display_name: str
    language: str
    origin: str
    interrupt_mode: str = "signal"
    env: Mapping[str, str] = field(default_factory=dict)
    logos: Mapping[str, Path] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """Return the object that kernel.json holds.

        The interrupt mode is written out although "signal" is the default: both work with every kernel of
        ours, and a reader should not have to know which one is meant.
        """
        content: dict[str, Any] = {
            "argv": list(self.argv),
            "display_name": self.display_name,
            "language": self.language,
            "interrupt_mode": self.interrupt_mode,
            "kernel_protocol_version": PROTOCOL_VERSION,
            "metadata": {
                "supported_encryption": ["curve"],
                MARKER: {"version": __version__, "kernel": self.origin},
            },
        }
        if self.env:
            content["env"] = dict(self.env)
        return content

    def files(self) -> list[tuple[str, bytes]]:
        """Return names and contents of the files; kernel.json, which makes the folder a kernel, is last."""
        text = json.dumps(self.content(), indent=1, ensure_ascii=False) + "\n"
        logos = [(name, source.read_bytes()) for name, source in self.logos.items()]
        return [*logos, (KERNEL_JSON, text.encode())]


def logos_in(*folders: Path) -> dict[str, Path]:
    """Return the logos that the first folder with any of them holds, by file name."""
    for folder in folders:
        found = {name: folder / name for name in LOGO_FILES if (folder / name).is_file()}
        if found:
            return found
    return {}


def module_argv(module: str, *arguments: str) -> tuple[str, ...]:
    """Return how a client starts ``python -m module`` with this very interpreter.

    The full path of the interpreter is written, not ``python``: that would be replaced by the interpreter of
    whichever client starts the kernel, which is another one when several environments share a folder of
    specs. ``-P`` keeps the folder in which it is started off the import path: clients start kernels in the
    notebook's folder, and a ``json.py`` there would be imported in place of Python's.
    """
    return (sys.executable, "-P", "-m", module, *arguments, "-f", "{connection_file}")


@dataclass(frozen=True, slots=True)
class Bundled:
    """Describe a kernel that comes with the library, without importing it.

    ``program`` is what the kernel drives and does not work without; None for a kernel that needs no other
    program.
    """

    name: str
    module: str
    display_name: str
    language: str
    program: str | None = None

    def missing(self, search_path: str | None = None) -> str | None:
        """Say what the kernel lacks here, or return None if it can be registered.

        The program is looked for on ``search_path``, or on PATH if that is None.
        """
        if find_spec(self.module) is None:
            return f"{self.module} is not part of wrapperkernel {__version__}"
        if self.program is not None and shutil.which(self.program, path=search_path) is None:
            return f"its program {self.program} is not found on PATH"
        return None

    def spec(self) -> KernelSpec:
        """Return the kernelspec under the kernel's own name."""
        return KernelSpec(
            name=self.name,
            argv=module_argv(self.module),
            display_name=self.display_name,
            language=self.language,
            origin=self.module,
            logos=logos_in(_LOGOS / self.name),
        )


BUNDLED: Sequence[Bundled] = (
    Bundled("bash", "wrapperkernel.examples.bash_kernel", "Bash", "bash", program="bash"),
    Bundled("echo", "wrapperkernel.examples.echo_kernel", "Echo", "text"),
    Bundled("octave", "wrapperkernel.examples.octave_kernel", "Octave", "octave", program="octave-cli"),
)
