"""Register kernels with Jupyter: ``python -m wrapperkernel.install``.

The command line and what is told to the user. What a spec holds, what may be named and where specs are kept
is decided in `kernelspec`, `targets` and `registry`. Only jupyter_core is needed, except to register a
kernel of the user's own, which is imported.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from . import kernelspec, registry
from ._version import __version__
from .kernelspec import KERNEL_JSON, KernelSpec, SpecError, checked_name
from .registry import Location, Registered, Taken
from .targets import LeftOut, spec_of

DONE = 0
FAILED = 1  # the file system or the platform did not allow it
MISUSED = 2  # argparse's own status: the arguments cannot be meant so; nothing was touched
NOTHING = 3  # there was nothing that could be registered or removed

NO_WINDOWS = "wrapperkernel does not run on Windows, which has no Unix terminals; use it inside WSL"


def main(arguments: Sequence[str] | None = None) -> int:
    """Register, list or remove kernels as the arguments say, and return the exit status."""
    if sys.platform == "win32":
        return _complain(NO_WINDOWS, FAILED)
    parser = _parser()
    options = parser.parse_args(arguments)
    _refuse_contradictions(parser, options)
    try:
        if options.list:
            return _list(options)
        if options.uninstall:
            return _uninstall(options)
        return _install(options)
    except SpecError as error:
        return _complain(str(error), MISUSED)
    except BrokenPipeError:  # whoever read what this says has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        reason = error.strerror or str(error)
        where = f" {error.filename}" if error.filename else ""
        return _complain(
            f"cannot write{where}: {reason}; choose a place with --user, --sys-prefix or --prefix", FAILED
        )


def _parser() -> argparse.ArgumentParser:
    names = ", ".join(bundled.name for bundled in kernelspec.BUNDLED)
    parser = argparse.ArgumentParser(
        prog="python -m wrapperkernel.install",
        description="Register kernels with Jupyter.",
        epilog="Exit status: 0 done, 1 not possible here, 2 wrong arguments, 3 nothing could be registered.",
    )
    parser.add_argument(
        "kernel",
        nargs="*",
        help=f"a bundled kernel ({names}), a package, module:Class or the path of a file; "
        "default: every bundled kernel whose program is found",
    )
    place = parser.add_argument_group("where").add_mutually_exclusive_group()
    place.add_argument("--user", action="store_true", help="for all Jupyters of this user")
    place.add_argument(
        "--sys-prefix",
        action="store_true",
        help="for the environment of this Python (default in a virtual or conda environment that has Jupyter;"
        " elsewhere --user)",
    )
    place.add_argument("--prefix", metavar="DIR", help="under DIR/share/jupyter/kernels")
    place.add_argument("--system", action="store_true", help="for all users of this computer")
    what = parser.add_argument_group("what is registered")
    what.add_argument(
        "--name", help="the name of the one kernel given, for the command line and in notebooks"
    )
    what.add_argument("--display-name", help="how the one kernel given is shown in menus")
    what.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set in the kernel's environment; repeatable",
    )
    what.add_argument("--replace", action="store_true", help="also overwrite specs of other distributions")
    action = parser.add_argument_group("other actions").add_mutually_exclusive_group()
    action.add_argument("--list", action="store_true", help="list bundled and registered kernels")
    action.add_argument(
        "--uninstall", action="store_true", help="remove specs (by name) that were registered so"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, change nothing")
    parser.add_argument("--version", action="version", version=f"wrapperkernel {__version__}")
    return parser


def _refuse_contradictions(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exit with a usage message where options are given that would be ignored."""
    if options.list or options.uninstall:
        if options.name or options.display_name or options.env or options.replace:
            parser.error("--name, --display-name, --env and --replace are for registering")
        if options.list and options.kernel:
            parser.error("--list takes no kernels")
    elif (options.name or options.display_name) and len(options.kernel) != 1:
        parser.error("--name and --display-name need exactly one kernel")


def _chosen_location(options: argparse.Namespace) -> Location | None:
    """Return the location that the options name, None if they name none."""
    if options.user:
        return registry.user_location()
    if options.sys_prefix:
        return registry.environment_location()
    if options.system:
        return registry.system_location()
    return None if options.prefix is None else registry.prefix_location(options.prefix)


def _install(options: argparse.Namespace) -> int:
    """Register what was asked for; all names are checked before anything is written."""
    location = _chosen_location(options) or registry.default_location()
    specs, absent = _specs(options)
    print(
        f"{'would register' if options.dry_run else 'registering'} in {location.kernels} ({location.reason})"
    )
    done = 0
    for reason in absent:
        print(reason)
    for spec in specs:
        try:
            _register(spec, location.kernels, options)
            done += 1
        except Taken as taken:
            print(taken, file=sys.stderr)
    if not done:
        return _complain("no kernel could be registered", NOTHING)
    return DONE


def _specs(options: argparse.Namespace) -> tuple[list[KernelSpec], list[str]]:
    """Return the specs to be registered, and a sentence for each kernel that is left out."""
    env = dict(_setting(text) for text in options.env)
    specs: dict[str, KernelSpec] = {}
    absent = []
    for target in options.kernel or [bundled.name for bundled in kernelspec.BUNDLED]:
        try:
            spec = spec_of(target, env, options.name)
        except LeftOut as reason:
            absent.append(str(reason))
            continue
        if spec.name in specs:
            raise SpecError(f"{specs[spec.name].origin} and {spec.origin} would both be called {spec.name}")
        specs[spec.name] = replace(spec, env=env, display_name=options.display_name or spec.display_name)
    return list(specs.values()), absent


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[^\s\0]+", key) or "\0" in value:
        raise SpecError(f"--env {text!r} is not KEY=VALUE")
    return key, value


def _register(spec: KernelSpec, kernels: Path, options: argparse.Namespace) -> None:
    present = registry.find(spec.name, kernels)
    if options.dry_run:
        if not options.replace:
            registry.check_free(spec, kernels)
        folder = kernels / spec.name
        print(f"{spec.name}: would go to {folder}; {_sight(spec.name, kernels)}")
        print(f"{folder / KERNEL_JSON} would hold {json.dumps(spec.content(), indent=1, ensure_ascii=False)}")
        return
    folder = registry.place(spec, kernels, replace=options.replace)
    print(f"{spec.name}: {_verb(spec, present)} in {folder}; {_sight(spec.name, kernels)}")


def _verb(spec: KernelSpec, present: Registered | None) -> str:
    """Say what became of the spec that had the name before."""
    if present is None:
        return "registered"
    if present.origin != spec.origin:
        return f"replaced {present.owner}"
    if present.python != spec.argv[0]:
        return f"registered anew (it was started by {present.python})"
    return "registered anew"


def _sight(name: str, kernels: Path) -> str:
    """Say whether this environment's Jupyter sees the spec, and what to do if not."""
    if not registry.searched(kernels):
        return f"this environment's jupyter will not see it unless JUPYTER_PATH contains {kernels.parent}"
    hiding = registry.hidden_by(name, kernels)
    if hiding is not None:
        return f"this environment's jupyter will not see it, as {hiding} comes first"
    if find_spec("jupyter_client") is None:
        return "a jupyter that looks there will see it (this environment has none)"
    return "this environment's jupyter will see it"


def _list(options: argparse.Namespace) -> int:
    """Print the bundled kernels, and those registered in the given location or wherever Jupyter looks."""
    print(f"bundled with wrapperkernel {__version__}:")
    for bundled in kernelspec.BUNDLED:
        missing = bundled.missing()
        print(f"  {bundled.name}: {'can be registered' if missing is None else missing}")
    print("registered by wrapperkernel:")
    ours = [
        spec
        for folder in _folders(options)
        for spec in registry.registered_in(folder)
        if spec.origin is not None
    ]
    for spec in ours:
        gone = "" if Path(spec.python).exists() else f"; its Python {spec.python} is gone"
        print(
            f"  {spec.name}: {spec.folder} starts {spec.owner}; {_sight(spec.name, spec.folder.parent)}{gone}"
        )
    if not ours:
        print("  none")
    return DONE


def _uninstall(options: argparse.Namespace) -> int:
    """Remove specs that wrapperkernel wrote, those of the bundled kernels if no names are given."""
    removed = 0
    for name in [checked_name(text) for text in options.kernel] or [
        bundled.name for bundled in kernelspec.BUNDLED
    ]:
        present = [spec for folder in _folders(options) if (spec := registry.find(name, folder)) is not None]
        ours = [spec for spec in present if spec.origin is not None]
        for spec in ours:
            if not options.dry_run:
                registry.remove(spec)
            print(f"{name}: {'would remove' if options.dry_run else 'removed'} {spec.folder}")
        removed += len(ours)
        if not ours and options.kernel:
            others = ", ".join(f"{spec.folder} is {spec.owner}'s" for spec in present)
            print(f"{name}: {others or 'not registered'}; nothing removed", file=sys.stderr)
    if not removed:
        return _complain("no kernel was removed", NOTHING)
    return DONE


def _folders(options: argparse.Namespace) -> list[Path]:
    location = _chosen_location(options)
    return registry.search_path() if location is None else [location.kernels]


def _complain(sentence: str, status: int) -> int:
    print(sentence, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
