"""The command line of a kernel: options, configuration, logging; then the server.

``run(MyKernel)`` is all that a kernel's ``__main__`` needs. Traits of the kernel and of this application
are options (``--MyKernel.trait=value``) and may stand in a configuration file, which is read only when
``--config`` names it.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from typing import Any

from traitlets import Float, Integer, TraitError, Unicode
from traitlets.config import Application, Config, Configurable
from traitlets.config.loader import (
    ConfigFileNotFound,
    JSONFileConfigLoader,
    KVArgParseConfigLoader,
    PyFileConfigLoader,
)

from ..kernel.kernel import Kernel
from ..wire import UnknownScheme
from .connection import ConnectionFileError, ConnectionInfo
from .endpoints import BindError, Endpoints
from .logs import configure
from .server import Server


class KernelApp(Application):
    """Run a Jupyter kernel."""

    description = "Run this Jupyter kernel. A frontend starts it with -f FILE."
    option_description = ""

    connection_file = Unicode(
        "", help="The connection file; empty: make one in Jupyter's runtime folder."
    ).tag(config=True)
    config_file = Unicode("", help="A configuration file (.py or .json) to read.").tag(config=True)
    flood_limit = Integer(
        64 << 20, help="Bytes that may wait for clients before the kernel waits with its output."
    ).tag(config=True)
    patience = Float(
        10.0, help="Seconds that the kernel waits for a client that takes nothing, before it drops it."
    ).tag(config=True)
    message_limit = Integer(1 << 30, help="Bytes of the longest frame that the kernel receives.").tag(
        config=True
    )

    aliases = {  # noqa: RUF012  # traitlets' way; never changed
        "f": "KernelApp.connection_file",
        "config": "KernelApp.config_file",
        "log-level": "Application.log_level",
    }
    flags = {  # noqa: RUF012  # traitlets' way; never changed
        "debug": (
            {"Application": {"log_level": logging.DEBUG}},
            "Log every message to stderr (never keys or answers to password requests).",
        ),
    }

    def __init__(self, kernel_class: type[Kernel], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kernel_class = kernel_class
        self.classes = [KernelApp, kernel_class]
        self.name = kernel_class.__name__
        self.version = kernel_class.implementation_version

    def initialize(self, argv: Sequence[str] | None = None) -> None:
        """Read the command line and, if it names one, the configuration file. Exits if either is wrong."""
        self.parse_command_line(None if argv is None else list(argv))
        for unknown in self._unknown_options():
            sys.exit(f"{self.name}: there is no option {unknown}; --help-all shows them")
        if self.config_file:
            try:
                self.update_config(_read_config(self.config_file))
                self.update_config(self.cli_config)
            except ConfigFileNotFound:
                sys.exit(f"{self.name}: cannot read the configuration file {self.config_file}")
            except (ValueError, TraitError) as error:
                sys.exit(f"{self.name}: cannot use the configuration file {self.config_file}: {error}")

    def start(self) -> None:
        """Serve until the kernel is told to end. Exits with 1 and one sentence if it cannot start."""
        configure(self._level())
        _keep_streams_out_of_the_protocol()
        try:
            server = self._make_server()
            server.start()
        except (ConnectionFileError, UnknownScheme, BindError, TraitError) as error:
            sys.exit(f"{self.name}: {error}")
        if not self.connection_file and sys.stderr is not None:  # somebody started it by hand
            file = os.path.basename(server.endpoints.path or "")
            print(f"{self.name} runs; connect with: jupyter console --existing {file}", file=sys.stderr)
        server.serve()

    def _create_loader(self, argv: Any, aliases: Any, flags: Any, classes: Any) -> KVArgParseConfigLoader:
        return _StrictLoader(argv, aliases, flags, classes=classes, log=self.log)

    def _unknown_options(self) -> Iterator[str]:
        """Find what traitlets would pass over in silence: a mistyped option must not have no effect.

        Words that are no options are none of ours: ``jupyter run`` hands on the files that it runs itself.
        """
        for name, options in self.cli_config.items():
            owner = _configurable(name)
            for option in options:
                if owner is None or option not in owner.class_trait_names(config=True):
                    yield f"--{name}.{option}"

    def _level(self) -> int:
        """Return the log level as a number; traitlets allows names too."""
        level: Any = self.log_level
        return int(
            logging.getLevelNamesMapping().get(level, logging.WARNING) if isinstance(level, str) else level
        )

    def _make_server(self) -> Server:
        path = self.connection_file or None
        info = ConnectionInfo.new(kernel_name=self.name) if path is None else ConnectionInfo.read(path)
        return Server(
            self.kernel_class(config=self.config),
            Endpoints(info, path),
            flood_limit=self.flood_limit,
            patience=self.patience,
            message_limit=self.message_limit,
        )


def run(kernel_class: type[Kernel], argv: Sequence[str] | None = None) -> None:
    """Run a kernel as a program: parse the command line (``argv``, else ``sys.argv``), serve, return.

    Exits with a message and a status other than 0 when the kernel cannot start.
    """
    if sys.platform == "win32":
        sys.exit("wrapperkernel does not run on Windows; use the Windows Subsystem for Linux")
    app = KernelApp(kernel_class)
    app.initialize(argv)
    app.start()


class _StrictLoader(KVArgParseConfigLoader):
    """Traitlets' reader of command lines, but for what it does with options that it does not know."""

    def _handle_unrecognized_alias(self, arg: str) -> None:
        self.parser.error(f"there is no option --{arg}; --help shows them")


def _configurable(name: str) -> type[Configurable] | None:
    """Find a class with traits by its name: the kernel, the application, or another one of the author's."""
    classes = [Configurable]
    while classes:
        found = classes.pop()
        if found.__name__ == name:
            return found
        classes += found.__subclasses__()
    return None


def _read_config(path: str) -> Config:
    """Read the configuration file (.json, else Python) at ``path``."""
    folder, name = os.path.split(os.path.abspath(path))
    loader = JSONFileConfigLoader if name.endswith(".json") else PyFileConfigLoader
    return loader(name, folder).load_config()


def _keep_streams_out_of_the_protocol() -> None:
    """Turn the process's stdout to stderr, line by line, and its stdin to nothing.

    What a kernel's code prints is for the server's log; stdin is a pipe that nobody writes to, on which
    ``input()`` would wait for ever. Where one of the three is closed, the next socket would take its number,
    and prints would go to a client: they go to nothing.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number that is free
    if isinstance(sys.stdout, TextIOWrapper):  # None if closed
        sys.stdout.reconfigure(line_buffering=True)
        sys.stdout.flush()
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
