"""What may be named for registration: a bundled kernel, a package, ``module:Class`` or a file.

It turns that name into a KernelSpec. An author's kernel is imported in a process of its own (`facts`); a
bundled one is only looked up, which needs none of the library's dependencies. It does not know where specs
are kept.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from string import Template

from . import kernelspec
from .kernelspec import KernelSpec, SpecError, checked_name, logos_in, module_argv, title

IMPORT_LIMIT = 60.0  # seconds in which an author's module must have been imported
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class LeftOut(Exception):
    """Say why a bundled kernel cannot be registered here."""


def spec_of(target: str, env: Mapping[str, str], name: str = "") -> KernelSpec:
    """Return the spec of what the user named, under ``name`` if that is given.

    ``env`` is what the kernel gets on top of its environment: programs and modules are looked for with it.
    Raises LeftOut for a bundled kernel that lacks something here, and SpecError with one sentence for
    everything that cannot be a kernel.
    """
    for bundled in kernelspec.BUNDLED:
        if bundled.name == target:
            missing = bundled.missing(_expanded(env).get("PATH"))
            if missing is not None:
                raise LeftOut(f"{target} is left out: {missing}")
            return replace(bundled.spec(), name=checked_name(name or target))
    if os.sep in target or target.endswith(".py"):
        return _spec_of_file(target, env, name)
    module, colon, path = target.partition(":")
    if not _MODULE.fullmatch(module) or (colon and not _MODULE.fullmatch(path)):
        known = ", ".join(bundled.name for bundled in kernelspec.BUNDLED)
        raise SpecError(f"{target!r} is no bundled kernel ({known}), file, package or module:Class")
    if path:
        return _spec_of_class(module, path, env, name)
    return _spec_of_package(module, env, name)


def _spec_of_file(target: str, env: Mapping[str, str], name: str) -> KernelSpec:
    path = Path(target).expanduser().absolute()
    if not path.is_file():
        raise SpecError(f"there is no file {path}")
    chosen = checked_name(name or _short(path.stem))
    # Started as a file, Python looks for modules beside it; imported by another, only if told so.
    beside = {**env, "PYTHONPATH": os.pathsep.join(filter(None, (str(path.parent), _python_path(env))))}
    facts = {"folder": str(path.parent), **_facts(str(path), beside)}
    return _author_spec(chosen, str(path), (sys.executable, str(path), "-f", "{connection_file}"), facts)


def _spec_of_package(package: str, env: Mapping[str, str], name: str) -> KernelSpec:
    words = [word for word in package.split(".") if word != "kernel"]
    chosen = checked_name(name or _short((words or [package])[-1]))
    return _author_spec(chosen, package, module_argv(package), _facts(package, env))


def _spec_of_class(module: str, path: str, env: Mapping[str, str], name: str) -> KernelSpec:
    target = f"{module}:{path}"
    chosen = checked_name(name or _short(path.rpartition(".")[2]))
    return _author_spec(chosen, target, module_argv("wrapperkernel", "run", target), _facts(target, env))


def _short(long_name: str) -> str:
    """Leave out the "kernel" at the end of a name: ``echo_kernel`` and ``EchoKernel`` are called echo."""
    return re.sub(r"(?<=.)[._-]?kernel$", "", long_name, flags=re.IGNORECASE)


def _author_spec(name: str, origin: str, argv: tuple[str, ...], facts: Mapping[str, str]) -> KernelSpec:
    """Put together what the author states and, for the rest, what can be taken from the name."""
    mode = facts.get("interrupt_mode", "signal")
    if mode not in ("signal", "message"):
        raise SpecError(f'the interrupt_mode of {origin} is {mode!r}; it must be "signal" or "message"')
    folder = Path(facts["folder"]) if "folder" in facts else None
    return KernelSpec(
        name=name,
        argv=argv,
        display_name=facts.get("display_name", title(name)),
        language=facts.get("language", name),
        origin=origin,
        interrupt_mode=mode,
        logos=logos_in(folder, folder / "resources") if folder else {},
    )


def _facts(target: str, env: Mapping[str, str]) -> dict[str, str]:
    """Import the author's kernel as a client would start it and return what it states (see `facts`).

    The process runs in an empty folder, as a client may start a kernel anywhere: a module that is found only
    from the present folder would make a kernel that works here alone. A module that starts its kernel when
    it is imported meets ``--help`` among its arguments, and ends instead of serving.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "facts.json")
        try:
            process = subprocess.run(
                [sys.executable, "-m", "wrapperkernel.facts", target, str(answer), "--help"],
                cwd=folder,
                env={**os.environ, **_expanded(env)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=IMPORT_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise SpecError(
                f"importing {target} took more than {IMPORT_LIMIT:g} s; does it start without being asked to?"
            ) from None
        if answer.exists():
            facts: dict[str, str] = json.loads(answer.read_bytes())
            return facts
    lines = process.stderr.decode(errors="replace").strip().splitlines()
    if process.returncode == 0 or not lines:
        raise SpecError(
            f"{target} ends the process when imported; put run(...) under if __name__ == '__main__'"
        )
    raise SpecError(f"{target} cannot be registered: {lines[-1]}")


def _expanded(env: Mapping[str, str]) -> dict[str, str]:
    """Fill in ``${NAME}`` from our environment, as clients do when they start a kernel."""
    return {key: Template(value).safe_substitute(os.environ) for key, value in env.items()}


def _python_path(env: Mapping[str, str]) -> str:
    return env.get("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
