"""Import an author's kernel and write down what its kernelspec should say; run as a process of its own.

``python -m wrapperkernel.facts TARGET FILE`` writes a JSON object to FILE. A process of its own, because
importing a kernel runs its author's code, which may print, fail or not return, and because the interpreter
then finds modules as it will when a client starts the kernel. It does not know what the facts are used for.
"""

from __future__ import annotations

import importlib
import inspect
import json
import runpy
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .kernel.kernel import Kernel

_RUN_NAME = "kernel_to_register"  # what a file is told that its name is: not "__main__", it should not start


def main() -> None:
    """Write the facts of the target, or exit with a sentence on stderr."""
    target, destination = sys.argv[1:3]
    Path(destination).write_text(json.dumps(facts_of(target_class(target))), encoding="utf-8")


def target_class(target: str) -> type[Kernel]:
    """Import ``module:Class``, ``package`` or a file and return its kernel class."""
    if Path(target).is_absolute():
        return _only(_kernels(runpy.run_path(target, run_name=_RUN_NAME), _RUN_NAME), target)
    module, _, path = target.partition(":")
    return _named(module, path) if path else _class_of_package(module)


def facts_of(kernel: type[Kernel]) -> dict[str, str]:
    """Return what a kernel class states of display name, language, interrupt mode and folder."""
    info: Any = getattr(kernel, "language_info", None)
    stated: dict[str, Any] = {
        "display_name": getattr(kernel, "display_name", None),
        "language": info.get("name") if isinstance(info, Mapping) else None,
        "interrupt_mode": getattr(kernel, "interrupt_mode", None),
        "folder": str(Path(inspect.getfile(kernel)).parent) if kernel.__module__ in sys.modules else None,
    }
    return {name: value for name, value in stated.items() if isinstance(value, str) and value}


def _named(module: str, path: str) -> type[Kernel]:
    value: Any = importlib.import_module(module)
    for name in path.split("."):
        value = getattr(value, name, None)
    if not (isinstance(value, type) and issubclass(value, Kernel)):
        sys.exit(f"{module} has no kernel class {path}")
    return value


def _class_of_package(package: str) -> type[Kernel]:
    """Look for the kernel class where packages have it: in themselves, ``kernel`` and ``__main__``."""
    spec = find_spec(package)
    if spec is None:
        sys.exit(f"there is no module {package} that Python finds from any folder")
    if spec.submodule_search_locations is not None and find_spec(f"{package}.__main__") is None:
        sys.exit(f"{package} has no __main__ and so cannot be started; name its class as {package}:Class")
    for module in (package, f"{package}.kernel", f"{package}.__main__"):
        if module == package or (spec.submodule_search_locations is not None and find_spec(module)):
            kernels = _kernels(vars(importlib.import_module(module)), package)
            if kernels:
                return _only(kernels, package)
    sys.exit(f"{package} shows no kernel class; name it as {package}:Class")


def _kernels(names: Mapping[str, Any], home: str) -> list[type[Kernel]]:
    """Return the kernel classes that ``home`` defines and that no other class among them extends."""
    classes = {
        value
        for value in names.values()
        if isinstance(value, type)
        and issubclass(value, Kernel)
        and (value.__module__ == home or value.__module__.startswith(home + "."))
    }
    return [
        one for one in classes if not any(other is not one and issubclass(other, one) for other in classes)
    ]


def _only(kernels: list[type[Kernel]], target: str) -> type[Kernel]:
    if not kernels:
        sys.exit(f"{target} defines no kernel class")
    if len(kernels) > 1:
        names = ", ".join(sorted(kernel.__name__ for kernel in kernels))
        sys.exit(f"{target} defines several kernel classes ({names}); name one as module:Class")
    return kernels[0]


if __name__ == "__main__":
    main()
