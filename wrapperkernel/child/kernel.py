"""``ChildKernel``: the base of kernels whose language runs in a process of its own, on a terminal.

An author says which program it is and how it is handed a cell (``Handover``). Starting, output, input,
interrupts, the child's death and its replacement are here and below.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from traitlets import Bool, Dict, Enum, Float, Int, List, Unicode

from ..kernel.errors import ExecuteError
from ..kernel.iopub import IOPub
from ..kernel.kernel import Kernel
from .child import ChildProcess, Outcome
from .escapes import ControlString
from .folder import Folder
from .handover import Handover
from .reader import Died, Lost
from .terminal import Terminal

if TYPE_CHECKING:
    from .cap import Cap
    from .displays import Displays

# What a program on a terminal finds, unless the user has set it.
_ENVIRONMENT = {"TERM": "xterm-256color"}
# A pager waits for keys, which nobody can press here.
_ALWAYS = dict.fromkeys(("PAGER", "GIT_PAGER", "MANPAGER", "SYSTEMD_PAGER"), "cat")
# Where the programs are by which a child displays things.
_PROGRAMS = os.path.join(os.path.dirname(__file__), "programs")
# Variables of the kernel's own process, which say nothing about the child's terminal.
_NOT_PASSED_ON = frozenset({"COLUMNS", "LINES", "JPY_PARENT_PID"})


class ChildKernel(Kernel):
    """A kernel that runs its cells in a child process.

    Subclasses set ``handover`` and ``program``, and override ``failure`` where a status has more to say.
    """

    handover: ClassVar[type[Handover]]
    """How the child is handed its cells."""
    runs_elsewhere = True
    terminals: ClassVar[int] = 2
    """Two, so that stderr is a stream of its own; or one for both."""
    variables: ClassVar[Mapping[str, str]] = {}
    """Environment variables that this language's child gets unless the user's environment has them."""

    program = List(Unicode(), help="The program of the child and its arguments.").tag(config=True)
    environment = Dict(
        key_trait=Unicode(), value_trait=Unicode(), help="Environment variables for the child."
    ).tag(config=True)
    directory = Unicode("", help="Where the child starts; empty: where the kernel was started.").tag(
        config=True
    )
    rows = Int(24, help="Lines of the terminal that the child sees.").tag(config=True)
    columns = Int(80, help="Columns of the terminal that the child sees.").tag(config=True)
    merges_stderr = Bool(
        False,
        help="Whether stderr is shown with stdout, in exact order; else it is a stream of its own.",
    ).tag(config=True)
    output_limit = Float(
        0,
        help="Megabytes (millions of characters) of output that one cell may show; if there is more, "
        "all of it is in a file. 0: no limit.",
    ).tag(config=True)
    display_programs = Enum(
        ("last", "first", "off"),
        "last",
        help="Where on the child's PATH the programs are that display things: behind all others, before them "
        "(so that they win over programs of the same name, as ImageMagick's display), or not at all.",
    ).tag(config=True)
    runs_startup_file = Bool(True, help="Run the user's start-up file (as ~/.bashrc).").tag(config=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._child: ChildProcess | None = None
        self._cells = 0
        self._owners: dict[int, IOPub] = {}
        self._caps: dict[int, Cap] = {}
        self._displays: Displays | None = None
        self._ending = False

    # -- hooks ----------------------------------------------------------------------------------------

    def do_start(self, *args: Any, **kwargs: Any) -> Any:
        """Start the child, without waiting for it. If that fails, the first cell says why."""
        try:
            self._start_child()
        except ExecuteError as error:
            self.log.warning("%s", error)

    def do_execute(self, code: str, *args: Any, **kwargs: Any) -> Any:
        """Run a cell in the child."""
        child = self._child or self._start_child()
        try:
            outcome = child.run(self.prepare(code), self._ask, self._adopt)
        except OSError as error:
            raise ExecuteError(
                "HandoverError", f"the cell could not be given to {self._name}: {error}"
            ) from None
        if self._cells != child.cells:
            self._cells = child.cells
        if outcome.refused:
            self._tell(f"{self._name}: input was asked for, and this frontend cannot be asked")
        if outcome.end is not None:
            self._succeed(outcome)
        if outcome.interrupted:
            raise KeyboardInterrupt
        if outcome.status is not None:
            failure = self.failure(outcome.status, code)
            if failure is not None:
                raise failure
        return {}

    def do_shutdown(self, *args: Any, **kwargs: Any) -> Any:
        """End the child and all that runs in its session."""
        self._ending = True
        if self._child is not None:
            self._child.end()
        for cap in self._caps.values():
            cap.close()

    def come_to_rest(self) -> None:
        """Let the child be read between cells; not before the reply, which that would hold up."""
        if self._child is not None:
            self._child.rest()
        for cap in self._caps.values():
            cap.flush()

    # -- what a language says -------------------------------------------------------------------------

    def make_handover(
        self, folder: Folder, child: str, first: int, terminals: Sequence[Terminal]
    ) -> Handover:
        """Return what hands cells to a new child; ``handover`` says how in most languages."""
        return self.handover(folder, child, first, terminals)

    def prepare(self, code: str) -> str:
        """Return the code as the child shall get it; ExecuteError if it cannot."""
        if "\0" in code:
            raise ExecuteError("ValueError", "the cell holds a NUL character, which no program text can")
        return code.replace("\r\n", "\n")

    def failure(self, status: str, code: str) -> ExecuteError | None:
        """Return what the status of a cell that is no success means; None if it is one."""
        return None if status == "0" else ExecuteError("ExitStatus", status)

    # -- the child ------------------------------------------------------------------------------------

    @property
    def child(self) -> ChildProcess | None:
        """The child that runs the cells; None when it could not be started."""
        return self._child

    @property
    def _name(self) -> str:
        return os.path.basename(self.program[0]) if self.program else "the child"

    def _start_child(self, *, personal: bool | None = None) -> ChildProcess:
        """Start a child; ExecuteError says why it could not be."""
        environment = self._environment()
        if (
            not self.program
            or shutil.which(self.program[0], path=environment.get("PATH", os.defpath)) is None
        ):
            raise ExecuteError(
                "ChildNotFound",
                f"{self._name} was not found; install it, or set {type(self).__name__}.program",
            )
        self._cells += 1
        child = ChildProcess(
            self.make_handover,
            self.program,
            cells=self._cells,
            terminals=1 if self.merges_stderr else self.terminals,
            directory=self.directory or None,
            environment=environment,
            rows=self.rows,
            columns=self.columns,
            wait_for_room=self.link.outbox.wait_for_room,
            publish=self._publish,
            show=self._show,
            reconsider=self.stdin.reconsider,
            check=self.link.interrupts.check,
            log=self.log,
        )
        try:
            child.start(personal=self.runs_startup_file if personal is None else personal)
        except OSError as error:
            child.end()
            raise ExecuteError("ChildNotStarted", f"{self._name} could not be started: {error}") from None
        self._child = child
        return child

    def _environment(self) -> dict[str, str]:
        """Return the environment of the child."""
        own = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
        if not any(own.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG")):
            own["LC_ALL"] = "C.UTF-8"  # else a character is several
        if own.get("TERM", "dumb") == "dumb":
            own.pop("TERM", None)
        environment = {**_ENVIRONMENT, **self.variables, **own, **_ALWAYS, **self.environment}
        if self.display_programs != "off":
            places = [environment.get("PATH", os.defpath), _PROGRAMS]
            environment["PATH"] = os.pathsep.join(places if self.display_programs == "last" else places[::-1])
        return environment

    def _replace_child(self, *, personal: bool | None = None) -> None:
        """Start another child in place of the one that has ended or cannot be driven."""
        old, self._child = self._child, None
        if old is not None:
            self._cells = old.cells
            old.end()
        if not self._ending:
            self._start_child(personal=personal)

    def _succeed(self, outcome: Outcome) -> None:
        """Replace a child that has gone, and raise what has become of the cell."""
        assert self._child is not None
        assert outcome.end is not None
        was_starting = not self._child.has_started
        how = _how(outcome.end)
        self._replace_child(personal=False if was_starting else None)
        if was_starting:
            text = f"{self._name} {how} while it started; a new one was started without its start-up file"
        else:
            text = f"{self._name} {how}; a new one was started, its variables are gone"
        if outcome.interrupted:
            self._tell(text)
            raise KeyboardInterrupt
        raise ExecuteError("ChildDied", text)

    # -- output and input -----------------------------------------------------------------------------

    def _adopt(self, cell: int) -> None:
        """Let what the child prints as cell ``cell`` belong to the request that runs."""
        request = self.request
        if request is not None:
            self._owners.pop(cell - 2, None)
            self._owners[cell] = self.iopub.under(request)
            if self.output_limit > 0:
                self._limit_output(cell)

    def _publish(self, cell: int, name: str, text: str) -> None:
        """Publish what the child printed; called by the reader."""
        owner = self._owners.get(cell)
        if owner is None:
            self.log.debug("while it started, %s printed %r", self._name, text)
            return
        cap = self._caps.get(cell)
        if cap is not None:
            text = cap.shown(text)
        if text:
            owner.stream(text, name)

    def _limit_output(self, cell: int) -> None:
        from .cap import Cap  # late: few limit it

        old = self._caps.pop(cell - 2, None)
        if old is not None:
            old.close()
        self._caps[cell] = Cap(int(self.output_limit * 1e6))

    def _show(self, cell: int, string: ControlString) -> None:
        """Publish what the child displays; called by the reader."""
        owner = self._owners.get(cell)
        if owner is not None:
            from .displays import Displays  # late: most notebooks of a shell show nothing

            self._displays = self._displays or Displays()
            try:
                self._displays.show(string, owner)
            except ValueError as error:
                owner.stream(f"{self._name}: something cannot be displayed: {error}\n", "stderr")

    def _tell(self, text: str) -> None:
        self.iopub.stream(text + "\n", "stderr")

    def _ask(self, prompt: str, hidden: bool, wanted: Callable[[], bool]) -> str:
        ask = self.stdin.getpass if hidden else self.stdin.input
        return ask(prompt, wanted=wanted)


def _how(end: Died | Lost) -> str:
    """Say in words how a child ended."""
    if isinstance(end, Lost):
        return f"was ended, because {end.reason}"
    if end.status >= 0:
        return f"exited with status {end.status}"
    try:
        return f"was killed by {signal.Signals(-end.status).name}"
    except ValueError:
        return f"was killed by signal {-end.status}"
