"""Put our comms behind the ``comm`` package, whose two factories libraries of widgets call.

Such a library asks ``comm.create_comm`` and ``comm.get_comm_manager``; both are made to be replaced by a
kernel. The package is an optional one and slow to import, so it is left alone until something imports
it: a finder, first in ``sys.meta_path``, then loads it the ordinary way, replaces the two, and is gone.
Looking into ``sys.modules`` before a cell would come too late: the import and the first widget can be in
the same cell. It knows nothing of the package's classes: those are in ``comm_adapter``.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, cast

from ..interrupts import shielded
from .comms import CommManager

if TYPE_CHECKING:
    from importlib.abc import Loader  # slow to import, and the import system asks for the methods alone

PACKAGE = "comm"


def install(comms: CommManager) -> Callable[[], None]:
    """Let comms made by libraries be comms of ``comms``; return what undoes it.

    At once if the package has been imported, else when it is. Where several kernels of one process
    install, the latest gets the comms; they are to be undone in the reverse order.
    """
    replacement = _Replacement(comms)
    imported = sys.modules.get(PACKAGE)
    if imported is not None:
        replacement.put_into(imported)
        return replacement.undo
    finder = _Finder(replacement)
    sys.meta_path.insert(0, finder)

    def uninstall() -> None:
        finder.leave()
        replacement.undo()

    return uninstall


class _Replacement:
    """Our two factories in the package, and what was there before."""

    def __init__(self, comms: CommManager) -> None:
        self._comms = comms
        self._undo: list[Callable[[], None]] = []

    def put_into(self, package: types.ModuleType) -> None:
        if not hasattr(package, "create_comm"):  # some other module of that name, such as a user's comm.py
            return
        from .comm_adapter import factories  # late: it imports the package

        for name, ours in factories(self._comms).items():
            self._undo.append(_replace(package, name, ours))

    def undo(self) -> None:
        while self._undo:
            self._undo.pop()()


def _replace(package: types.ModuleType, name: str, ours: object) -> Callable[[], None]:
    before = getattr(package, name)
    setattr(package, name, ours)

    def put_back() -> None:
        if getattr(package, name) is ours:  # else somebody else's is in force, which is not ours to end
            setattr(package, name, before)

    return put_back


class _Finder:
    """Finds the package as the other finders do, and has our replacement follow its import."""

    def __init__(self, replacement: _Replacement) -> None:
        self._replacement = replacement

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != PACKAGE or self not in sys.meta_path:
            return None
        spec = None
        behind = sys.meta_path[sys.meta_path.index(self) + 1 :]  # those before us have not found it
        for finder in behind:
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                break
        if spec is not None and spec.loader is not None:
            spec.loader = cast("Loader", _Loader(spec.loader, self._loaded))
        return spec

    def leave(self) -> None:
        """Be no finder any more; it may have left already."""
        with suppress(ValueError):
            sys.meta_path.remove(self)

    @shielded  # an interrupt fails the import before or after, and the next import does it all
    def _loaded(self, package: types.ModuleType) -> None:
        self._replacement.put_into(package)
        self.leave()


class _Loader:
    """Loads as another loader does, which then stands in the module as if we had not been there."""

    def __init__(self, loader: Loader, loaded: Callable[[types.ModuleType], None]) -> None:
        self._loader = loader
        self._loaded = loaded

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._loaded(module)
