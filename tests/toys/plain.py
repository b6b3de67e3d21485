"""A toy kernel that uses every hook, all of them plain functions.

Its language has one command per line, a word and the rest of the line; the `run_` methods are its commands.
`behave do_complete raise` makes a hook misbehave from then on (`MISBEHAVIOUR` says how); the option
`--PlainKernel.behaviour do_start=raise` does so from the start. It knows no test.
Runnable: `python tests/toys/plain.py -f FILE`.
"""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from traitlets import Dict

from wrapperkernel import ExecuteError, Kernel, run

PIXEL = bytes.fromhex(  # one transparent pixel
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000a49444154789c63000100000500010d"
    "0a2db40000000049454e44ae426082"
)


def wait() -> None:
    """Wait for ever, in a system call."""
    threading.Event().wait()


def spin(seconds: float = 1e9) -> None:
    """Keep the processor busy, in Python code that never waits."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def raising(kind: type[BaseException], *arguments: Any) -> Callable[[], Any]:
    """Return a function that raises an error of this kind, a new one each time."""

    def raises() -> Any:
        raise kind(*arguments)

    return raises


class Unkind(BaseException):
    """What no `except Exception` catches."""


MISBEHAVIOUR: Mapping[str, Callable[[], Any]] = {
    "raise": raising(ValueError, "as told"),
    "fail": raising(ExecuteError, "ToyError", "as told", ["line 1", "line 2"]),
    "leave": raising(SystemExit, 3),
    "unkind": raising(Unkind, "as told"),
    "interrupt": raising(KeyboardInterrupt),
    "none": lambda: None,
    "text": lambda: "text",
    "number": lambda: 7,
    "list": lambda: ["ok"],
    "object": object,
    "status": lambda: {"status": "fine"},
    "status-number": lambda: {"status": 1},
    "unsayable": lambda: {"status": "ok", "metadata": {"x": object()}, "user_expressions": {"x": object()}},
    "circle": lambda: _circle(),
    "wrong": lambda: dict.fromkeys(
        ("matches", "cursor_start", "data", "found", "history", "payload", "indent", "status"), 3.5
    ),
    "wait": wait,
    "spin": spin,
}


def _circle() -> dict[str, Any]:
    circle: dict[str, Any] = {"status": "ok"}
    circle["metadata"] = circle
    return circle


class PlainKernel(Kernel):
    implementation = "plain_toy"
    implementation_version = "1.0"
    banner = "A toy: one command per line"
    language_info = {"name": "toy", "version": "3.1", "mimetype": "text/x-toy", "file_extension": ".toy"}
    help_links = [{"text": "What is a toy?", "url": "https://example.org/toy"}]
    beside = frozenset({"do_history"})

    behaviour = Dict(help="How hooks misbehave, such as do_start=raise.").tag(config=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.behaviour = dict(self.behaviour)
        self.variables: dict[str, str] = {}
        self.seen: list[str] = []  # the hooks that were called, in order
        self.offered: dict[str, Any] = {}  # what do_execute was given last
        self.handles: list[Any] = []
        self.opened: list[Any] = []  # comms, also those that frontends opened
        self.hanging = threading.Event()  # set when a hook that was told to hang is about to

    # -- hooks ----------------------------------------------------------------------------------------

    def do_start(self) -> Any:
        self.comms.register_target("toy.echo", self._echo)
        self.comms.register_target("toy.bad", raising_target)
        return self._misbehave("do_start")

    def do_execute(
        self, code: str, silent: bool, store_history: bool, allow_stdin: bool, cell_id: str | None = None
    ) -> Any:
        self.offered = {
            "silent": silent,
            "store_history": store_history,
            "allow_stdin": allow_stdin,
            "cell_id": cell_id,
        }
        if "do_execute" in self.behaviour:
            return self._misbehave("do_execute")
        returned = None
        for line in code.split("\n"):
            word, _, rest = line.strip("\r").partition(" ")
            if word:
                returned = self._command(word)(rest)
        return returned

    def do_complete(self, code: str, cursor_pos: int) -> Any:
        if "do_complete" in self.behaviour:
            return self._misbehave("do_complete")
        start = cursor_pos - len(re.split(r"\s", code[:cursor_pos])[-1])
        matches = [name for name in self._names() if name.startswith(code[start:cursor_pos])]
        kinds = [
            {"start": start, "end": cursor_pos, "text": match, "type": self._kind(match), "signature": ""}
            for match in matches
        ]
        return {
            "matches": matches,
            "cursor_start": start,
            "cursor_end": cursor_pos,
            "metadata": {"_jupyter_types_experimental": kinds},
        }

    def do_inspect(self, code: str, cursor_pos: int, detail_level: int) -> Any:
        if "do_inspect" in self.behaviour:
            return self._misbehave("do_inspect")
        before = re.search(r"\S*$", code[:cursor_pos])
        after = re.match(r"\S*", code[cursor_pos:])
        word = (before.group() if before else "") + (after.group() if after else "")
        if word not in self._names():
            return {"found": False}
        text = f"{word} is a {self._kind(word)}"
        return {"data": {"text/plain": text + "\nand that is all" if detail_level else text}}

    def do_is_complete(self, code: str) -> Any:
        if "do_is_complete" in self.behaviour:
            return self._misbehave("do_is_complete")
        if code.endswith("\\"):
            return {"status": "incomplete", "indent": "  "}
        if code.strip() == "who knows":
            return {"status": "unknown"}
        known = self._names()
        good = all(line.split(" ")[0].strip() in ("", *known) for line in code.splitlines())
        return {"status": "complete" if good else "invalid"}

    def do_history(self, **asked: Any) -> Any:
        if "do_history" in self.behaviour:
            return self._misbehave("do_history")
        return super().do_history(**asked)

    def do_evaluate(self, expression: str) -> Any:
        if "do_evaluate" in self.behaviour:
            return self._misbehave("do_evaluate")
        if expression not in self.variables:
            raise ExecuteError("NameError", f"there is no {expression}")
        return self.variables[expression]

    def do_interrupt(self) -> Any:
        return self._misbehave("do_interrupt")

    def do_shutdown(self, restart: bool) -> Any:
        return self._misbehave("do_shutdown")

    # -- commands: output -----------------------------------------------------------------------------

    def run_print(self, text: str) -> None:
        self.iopub.stream(text + "\n")

    def run_err(self, text: str) -> None:
        self.iopub.stream(text + "\n", "stderr")

    def run_repeat(self, rest: str) -> None:
        """`repeat 1000 text`: a line so often, each published by itself."""
        times, _, text = rest.partition(" ")
        for number in range(int(times)):
            self.iopub.stream(f"{text} {number}\n")

    def run_megabytes(self, number: str) -> None:
        for _ in range(int(number)):
            self.iopub.stream(("x" * 1023 + "\n") * 1024)

    def run_thread(self, text: str) -> None:
        """Print from a thread, before the cell ends."""
        thread = threading.Thread(target=self.iopub.stream, args=(text + "\n",))
        thread.start()
        thread.join()

    def run_later(self, rest: str) -> None:
        """`later 0.5 text`: print from a thread that outlives the cell."""
        seconds, _, text = rest.partition(" ")
        threading.Timer(float(seconds), self.iopub.stream, (text + "\n",)).start()

    def run_display(self, text: str) -> None:
        self.handles.append(self.iopub.display(text))

    def run_update(self, text: str) -> None:
        self.handles[-1].update(text)

    def run_html(self, text: str) -> None:
        self.iopub.display_data({"text/html": text, "text/plain": text}, {"text/html": {"isolated": True}})

    def run_json(self, text: str) -> None:
        self.iopub.display_data({"application/json": json.loads(text), "text/plain": text})

    def run_png(self, text: str) -> None:
        self.iopub.display_bytes(PIXEL, "image/png")

    def run_clear(self, text: str) -> None:
        self.iopub.clear_output(wait=text == "wait")

    def run_result(self, text: str) -> None:
        self.iopub.execute_result({"text/plain": text})

    # -- commands: how a cell ends ----------------------------------------------------------------------

    def run_raise(self, rest: str) -> None:
        """`raise Name what went wrong`: the language's failure."""
        ename, _, evalue = rest.partition(" ")
        raise ExecuteError(ename, evalue, [f"{ename}: {evalue}"])

    def run_return(self, text: str) -> Any:
        """`return {"status": …}`: give this back as the reply's content."""
        return json.loads(text)

    def run_misbehave(self, how: str) -> Any:
        return MISBEHAVIOUR[how]()

    def run_none(self, text: str) -> None:
        """Do nothing."""

    # -- commands: time and interrupts --------------------------------------------------------------------

    def run_sleep(self, seconds: str) -> Any:
        time.sleep(float(seconds))

    def run_spin(self, seconds: str) -> None:
        spin(float(seconds or 1e9))

    def run_signal(self, text: str) -> None:
        """Interrupt itself."""
        signal.raise_signal(signal.SIGINT)

    def run_stubborn(self, seconds: str) -> Any:
        """Sleep, and go on sleeping when interrupted."""
        end = time.monotonic() + float(seconds)
        while time.monotonic() < end:
            try:
                time.sleep(max(0.0, end - time.monotonic()))
            except KeyboardInterrupt:
                self.iopub.stream("not now\n")

    # -- commands: stdin ----------------------------------------------------------------------------------

    def run_ask(self, prompt: str) -> None:
        self.iopub.stream(f"answer: {self.stdin.input(prompt)}\n")

    def run_password(self, prompt: str) -> None:
        self.iopub.stream(f"letters: {len(self.stdin.getpass(prompt))}\n")

    # -- commands: payloads -------------------------------------------------------------------------------

    def run_page(self, text: str) -> None:
        self.page({"text/plain": text})

    def run_next(self, text: str) -> None:
        self.set_next_input(text)

    def run_replace(self, text: str) -> None:
        self.set_next_input(text, replace=True)

    def run_quit(self, text: str) -> None:
        self.ask_exit(keepkernel=text == "keep")

    # -- commands: state ----------------------------------------------------------------------------------

    def run_let(self, rest: str) -> None:
        name, _, value = rest.partition(" ")
        self.variables[name] = value

    def run_count(self, text: str) -> None:
        self.iopub.stream(f"{self.execution_count}\n")

    def run_offered(self, text: str) -> None:
        """Print what the hook was given, as JSON."""
        self.iopub.stream(json.dumps(self.offered, default=str) + "\n")

    def run_behave(self, rest: str) -> None:
        """`behave do_complete raise`, or `behave do_complete well`."""
        hook, how = rest.split()
        if how == "well":
            self.behaviour.pop(hook, None)
        else:
            self.behaviour[hook] = how

    # -- commands: comms ----------------------------------------------------------------------------------

    def run_comm(self, target: str) -> None:
        """Open a comm to a target of the frontend's."""
        self.opened.append(self.comms.open(target, {"from": "kernel"}, buffers=[b"\x00\xff"]))

    def run_send(self, text: str) -> None:
        self.opened[-1].send({"text": text}, buffers=[text.encode()])

    def run_hangup(self, text: str) -> None:
        self.opened.pop().close({"text": text})

    # -- below the commands ---------------------------------------------------------------------------------

    def _command(self, word: str) -> Callable[[str], Any]:
        found: Callable[[str], Any] | None = getattr(self, f"run_{word}", None)
        if found is None:
            raise ExecuteError("NoSuchCommand", word, [f"there is no command {word}"])
        return found

    def _names(self) -> list[str]:
        commands = [name.removeprefix("run_") for name in dir(type(self)) if name.startswith("run_")]
        return sorted({*commands, *self.variables})

    def _kind(self, name: str) -> str:
        return "variable" if name in self.variables else "command"

    def _misbehave(self, hook: str) -> Any:
        self.seen.append(hook)
        how = self.behaviour.get(hook)
        if how is None:
            return None
        self.hanging.set()
        return MISBEHAVIOUR[how]()

    def _echo(self, comm: Any, message: Any) -> None:
        self.opened.append(comm)

        def answer(message: Any) -> None:
            data = message.content["data"]
            if data.get("raise"):
                raise ValueError("as told")
            if data.get("wait"):
                wait()
            self.iopub.stream(f"comm says {data.get('text')}\n")
            comm.send(data, message.metadata, message.buffers)

        comm.on_msg(answer)
        comm.on_close(lambda message: self.iopub.stream("comm closed\n"))
        comm.send({"text": "welcome"})


def raising_target(comm: Any, message: Any) -> None:
    """A comm target that fails."""
    raise ValueError("as told")


if __name__ == "__main__":
    run(PlainKernel)
