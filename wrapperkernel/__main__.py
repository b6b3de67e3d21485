"""The command ``wrapperkernel``, also ``python -m wrapperkernel``: one table of subcommands.

Each subcommand is imported when it is called: a registration must not need what running a kernel needs.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

_USAGE = """\
usage: wrapperkernel COMMAND [ARGUMENTS]

commands:
"""
_FAILED = 1
_MISUSED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Call the subcommand that the first argument names with the others, and return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if sys.platform == "win32":
        return _refuse(importlib.import_module("wrapperkernel.install").NO_WINDOWS, _FAILED)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help(), end="")
        return 0 if words else _MISUSED
    if words[0] == "--version":
        print(f"wrapperkernel {importlib.import_module('wrapperkernel').__version__}")
        return 0
    command = _COMMANDS.get(words[0])
    if command is None:
        return _refuse(f"wrapperkernel has no command {words[0]!r}\n\n{_help()}".rstrip(), _MISUSED)
    return command(words[1:])


def install(arguments: Sequence[str]) -> int:
    """Register, list or remove kernels (see wrapperkernel install --help)"""
    from .install import main as register

    return register(arguments)


def run(arguments: Sequence[str]) -> int:
    """Run the kernel class given as module:Class, with the options of a kernel"""
    target = arguments[0] if arguments else ""
    module, colon, path = target.partition(":")
    if not (module and colon and path):
        return _refuse("usage: wrapperkernel run module:Class -f CONNECTION_FILE [OPTIONS]", _MISUSED)
    value: Any = importlib.import_module(module)
    for name in path.split("."):
        if not hasattr(value, name):
            return _refuse(f"{module} has no kernel class {path}", _MISUSED)
        value = getattr(value, name)
    from .server.app import run as serve

    serve(value, arguments[1:])
    return 0


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"install": install, "run": run}


def _help() -> str:
    width = max(map(len, _COMMANDS))
    return _USAGE + "".join(f"  {name:<{width}}  {command.__doc__}\n" for name, command in _COMMANDS.items())


def _refuse(sentence: str, status: int) -> int:
    print(sentence, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
