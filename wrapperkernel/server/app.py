"""The command line of a kernel: options, configuration, logging; then the server.

``run(MyKernel)`` is all that a kernel's ``__main__`` needs. Traits of the kernel and of this application
are options (``--MyKernel.trait=value``) and may stand in a configuration file, which is read only when
``--config`` names it.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from traitlets import Float, Integer, Unicode
from traitlets.config import Application

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
        """Read the command line and, if it names one, the configuration file."""
        self.parse_command_line(None if argv is None else list(argv))
        if self.config_file:
            from_command_line = self.cli_config
            folder, name = os.path.split(os.path.abspath(self.config_file))
            self.load_config_file(os.path.splitext(name)[0], path=[folder])
            self.update_config(from_command_line)

    def start(self) -> None:
        """Serve until the kernel is told to end. Exits with 1 and one sentence if it cannot start."""
        configure(self._level())
        _keep_streams_out_of_the_protocol()
        try:
            server = self._make_server()
            server.start()
        except (ConnectionFileError, UnknownScheme, BindError) as error:
            sys.exit(f"{self.name}: {error}")
        server.serve()

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


def _keep_streams_out_of_the_protocol() -> None:
    """Turn the process's stdout to stderr, and its stdin to nothing.

    What a kernel's code prints is for the server's log; stdin is a pipe that nobody writes to, on which
    ``input()`` would wait for ever.
    """
    sys.stdout.flush()
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
