"""Hooks in all the ways in which authors write them. Type checkers must accept each; it is never run."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypedDict

from wrapperkernel import ExecuteError, Kernel, MimeBundle, compat, run


class Facts(Kernel):
    implementation = "facts"
    implementation_version = "1.0"
    banner = "Facts"
    language_info = {"name": "facts", "mimetype": "text/plain", "file_extension": ".txt"}
    help_links = [{"text": "Help", "url": "https://example.org"}]
    beside = frozenset({"do_complete"})


class Short(Kernel):
    def do_start(self) -> None:
        self.variables: dict[str, str] = {}

    def do_execute(self, code: str) -> None:
        self.iopub.stream(code)
        self.iopub.stream("oh", "stderr")
        handle = self.iopub.display(MimeBundle({"text/plain": code}))
        handle.update(code)
        self.iopub.display_bytes(b"", "image/png").update(1)
        self.iopub.display_data({"text/plain": code})
        self.iopub.execute_result({"text/plain": code}, {"x": 1})
        self.iopub.clear_output(wait=True)
        answer: str = self.stdin.input("name?")
        secret: str = self.stdin.getpass("word?")
        self.page({"text/plain": answer})
        self.set_next_input(secret, replace=True)
        self.ask_exit()
        count: int = self.execution_count
        self.log.info("cell %d", count)
        raise ExecuteError("Name", "value", ["line"])

    def do_complete(self, code: str, cursor_pos: int) -> dict[str, Any]:
        return {"matches": [code[:cursor_pos]]}

    def do_inspect(self, code: str) -> dict[str, Any] | None:
        return None

    def do_is_complete(self, code: str) -> dict[str, str]:
        return {"status": "complete"}

    def do_history(self) -> dict[str, list[tuple[int, int, str]]]:
        return {"history": [(0, 1, "x")]}

    def do_evaluate(self, expression: str) -> object:
        return self.variables[expression]

    def do_interrupt(self) -> None:
        pass

    def do_shutdown(self, restart: bool) -> None:
        pass


class Full(Kernel):
    def do_execute(
        self,
        code: str,
        silent: bool,
        store_history: bool,
        user_expressions: Mapping[str, str],
        allow_stdin: bool,
        stop_on_error: bool,
        cell_id: str | None,
        cell_meta: Mapping[str, Any],
        metadata: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        return {}

    def do_complete(self, code: str, cursor_pos: int) -> Mapping[str, Any]:
        return {}

    def do_inspect(
        self, code: str, cursor_pos: int, detail_level: int, omit_sections: Sequence[str]
    ) -> Mapping[str, Any]:
        return {}

    def do_history(
        self,
        hist_access_type: str,
        output: bool,
        raw: bool,
        session: int,
        start: int,
        stop: int | None,
        n: int | None,
        pattern: str | None,
        unique: bool,
    ) -> Mapping[str, Any]:
        return {}

    def do_shutdown(self, restart: bool) -> Mapping[str, Any]:
        return super().do_shutdown(restart) or {}


class Async(Kernel):
    async def do_start(self) -> None: ...

    async def do_execute(self, code: str) -> None: ...

    async def do_complete(self, code: str, cursor_pos: int) -> dict[str, Any]:
        return {"matches": []}

    async def do_inspect(self, code: str, cursor_pos: int, detail_level: int) -> dict[str, Any]:
        return {}

    async def do_is_complete(self, code: str) -> dict[str, str]:
        return {"status": "unknown"}

    async def do_history(self, hist_access_type: str, n: int | None = None) -> dict[str, Any]:
        return {}

    async def do_evaluate(self, expression: str) -> str:
        return expression

    async def do_interrupt(self) -> None: ...

    async def do_shutdown(self, restart: bool) -> None: ...


class Positional(Kernel):
    def do_complete(self, code: str, cursor_pos: int, /) -> None: ...

    def do_inspect(self, code: str, *, detail_level: int) -> None: ...

    def do_is_complete(self, code: str, **rest: Any) -> None: ...

    def do_execute(self, code: str, *args: Any, **kwargs: Any) -> None: ...

    def do_history(self, *args: Any, **asked: Any) -> Any:
        return super().do_history(*args, **asked)


class Later(Kernel):
    """A plain hook that returns something to await."""

    def do_execute(self, code: str) -> Awaitable[None]:
        raise NotImplementedError


class Reply(TypedDict):
    matches: list[str]


class Typed(Kernel):
    def do_complete(self, code: str, cursor_pos: int) -> Reply:
        return {"matches": []}


class Derived(Short):
    """Asks for more than its base does, where that is optional."""

    def do_execute(self, code: str, cell_id: str | None = None) -> None:
        super().do_execute(code)


class Classic(compat.Kernel):
    def do_execute(
        self,
        code: str,
        silent: bool,
        store_history: bool = True,
        user_expressions: dict[str, str] | None = None,
        allow_stdin: bool = False,
        *,
        cell_meta: dict[str, Any] | None = None,
        cell_id: str | None = None,
    ) -> dict[str, Any]:
        self.send_response(self.iopub_socket, "stream", {"name": "stdout", "text": code})
        return {"status": "ok", "execution_count": self.execution_count, "payload": []}

    def do_complete(self, code: str, cursor_pos: int) -> dict[str, Any]:
        return {"matches": [], "cursor_start": 0, "cursor_end": cursor_pos, "status": "ok"}

    def do_inspect(
        self, code: str, cursor_pos: int, detail_level: int = 0, omit_sections: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        return {"status": "ok", "data": {}, "metadata": {}, "found": False}

    def do_history(
        self,
        hist_access_type: str,
        output: bool,
        raw: bool,
        session: int | None = None,
        start: int | None = None,
        stop: int | None = None,
        n: int | None = None,
        pattern: str | None = None,
        unique: bool = False,
    ) -> dict[str, Any]:
        return {"status": "ok", "history": []}

    def do_is_complete(self, code: str) -> dict[str, Any]:
        return {"status": "unknown"}

    def do_shutdown(self, restart: bool) -> dict[str, Any]:
        return {"status": "ok", "restart": restart}


class ClassicAsync(compat.Kernel):
    async def do_execute(
        self,
        code: str,
        silent: bool,
        store_history: bool = True,
        user_expressions: dict[str, str] | None = None,
        allow_stdin: bool = False,
    ) -> dict[str, Any]:
        return {"status": "ok"}


if __name__ == "__main__":
    run(Short)
    run(Async, ["-f", "connection.json"])
    compat.IPKernelApp.launch_instance(kernel_class=Classic)
