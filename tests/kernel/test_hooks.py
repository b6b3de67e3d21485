"""What hooks may ask for, how they may be written, and that they are called as they are written."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable
from typing import Any

import pytest
from toys.requests import REQUESTS

from wrapperkernel import Kernel
from wrapperkernel.kernel.hooks import HOOKS, Plan
from wrapperkernel.testing.harness import KernelHarness

EVERYTHING = {
    "code": "x",
    "silent": False,
    "store_history": True,
    "user_expressions": {},
    "allow_stdin": True,
    "stop_on_error": True,
    "cell_id": "c",
    "cell_meta": {"cellId": "c"},
    "metadata": {"cellId": "c"},
}


def run_in(kind: type[Kernel], code: str = "x") -> Any:
    """Run a cell; return what the hook kept in `kernel.got`."""
    with KernelHarness(kind) as harness:
        exchange = harness.execute(code, metadata={"cellId": "c"})
        assert exchange.status == "ok", exchange
        return harness.kernel.got  # type: ignore[attr-defined]


# --- what a hook names is what it gets ---------------------------------------------------------------


def test_a_hook_gets_what_it_names() -> None:
    class Short(Kernel):
        def do_execute(self, code: str) -> None:
            self.got = code

    class Chosen(Kernel):
        def do_execute(self, allow_stdin: bool, cell_id: str, code: str) -> None:  # type: ignore[override]
            self.got = (allow_stdin, cell_id, code)

    class Nothing(Kernel):
        def do_execute(self) -> None:  # type: ignore[override]
            self.got = "called"

    assert run_in(Short) == "x"
    assert run_in(Chosen) == (True, "c", "x")
    assert run_in(Nothing) == "called"


def test_a_hook_gets_all_with_double_star() -> None:
    class All(Kernel):
        def do_execute(self, **asked: Any) -> None:  # type: ignore[override]
            self.got = asked

    class Rest(Kernel):
        def do_execute(self, code: str, *more: Any, **asked: Any) -> None:
            self.got = {"code": code, **asked}
            assert more == ()

    assert run_in(All) == EVERYTHING
    assert run_in(Rest) == EVERYTHING


def test_positional_and_keyword_only_parameters() -> None:
    class Positional(Kernel):
        def do_execute(self, code: str, silent: bool, /) -> None:
            self.got = (code, silent)

    class Keyword(Kernel):
        def do_execute(self, code: str, *, store_history: bool) -> None:  # type: ignore[override]
            self.got = (code, store_history)

    class Mixed(Kernel):
        def do_execute(self, silent: bool, /, code: str, **rest: Any) -> None:  # type: ignore[override]
            self.got = {"silent": silent, "code": code, **rest}

    assert run_in(Positional) == ("x", False)
    assert run_in(Keyword) == ("x", True)
    assert run_in(Mixed) == EVERYTHING


def test_the_classic_signature() -> None:
    class Classic(Kernel):
        def do_execute(
            self,
            code: str,
            silent: bool,
            store_history: bool = True,
            user_expressions: dict[str, str] | None = None,
            allow_stdin: bool = False,
        ) -> dict[str, Any]:
            self.got = (code, silent, store_history, user_expressions, allow_stdin)
            return {"status": "ok", "execution_count": 99, "payload": [], "user_expressions": {}}

    assert run_in(Classic) == ("x", False, True, {}, True)


def test_own_optional_parameters_are_left_alone() -> None:
    class Own(Kernel):
        def do_execute(self, code: str, timeout: float = 3.0, *, verbose: bool = False) -> None:
            self.got = (code, timeout, verbose)

    assert run_in(Own) == ("x", 3.0, False)


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_a_required_name_that_does_not_exist_is_refused_with_the_class(hook: str) -> None:
    namespace: dict[str, Any] = {}
    exec(f"def {hook}(self, colour): pass", namespace)
    with pytest.raises(TypeError, match=f"Painting.{hook} requires 'colour'.*may ask for") as caught:
        type("Painting", (Kernel,), {hook: namespace[hook]})
    for name in HOOKS[hook] or ["nothing"]:
        assert name in str(caught.value)


def test_a_required_keyword_that_does_not_exist_is_refused_too() -> None:
    with pytest.raises(TypeError, match="requires 'cursor'"):

        class Wrong(Kernel):
            def do_complete(self, code: str, *, cursor: int) -> None:  # type: ignore[override]
                pass


def test_what_is_no_hook_may_ask_for_anything() -> None:
    class Free(Kernel):
        def do_magic(self, colour: str) -> None:
            pass

    assert Free().do_magic("red") is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_every_name_of_the_table_is_given(hook: str) -> None:
    """A hook that names all of its row gets all of it, and nothing is missing at the call."""
    got: list[dict[str, Any]] = []
    names = HOOKS[hook]
    scope: dict[str, Any] = {"got": got}
    exec(f"def {hook}(self, {', '.join(names)}): got.append(dict(locals()))", scope)
    kind = type("Asking", (Kernel,), {"do_execute": lambda self: None, hook: scope[hook]})
    with KernelHarness(kind) as harness:
        if hook in REQUESTS:
            channel, msg_type, content = REQUESTS[hook]
            assert harness.request(msg_type, content, channel=channel).status in ("ok", "unknown")
        assert set(got[0]) == {"self", *names}


# --- where a hook may come from ------------------------------------------------------------------------


class Completing:
    """A mixin that knows nothing of kernels."""

    def do_complete(self, code: str) -> Any:
        return {"matches": [code + "!"]}


class Misspelt:
    def do_complete(self, kode: str) -> Any:
        return None


def test_hooks_of_mixins_count() -> None:
    class Mixed(Completing, Kernel):
        pass

    class Deep(Mixed):
        def do_execute(self, code: str) -> None:
            pass

    with KernelHarness(Deep) as harness:
        assert harness.complete("x").content["matches"] == ["x!"]
    with pytest.raises(TypeError, match=r"Both.do_complete requires 'kode'"):

        class Both(Misspelt, Kernel):
            pass


def test_a_subclass_may_ask_for_other_things_than_its_base() -> None:
    class Base(Kernel):
        def do_execute(self, code: str) -> None:
            self.got: Any = code

    class Derived(Base):
        def do_execute(self, code: str, cell_id: str = "") -> None:
            super().do_execute(code)
            self.got = (self.got, cell_id)

    assert run_in(Base) == "x"
    assert run_in(Derived) == ("x", "c")


def test_static_and_class_methods() -> None:
    class Static(Kernel):
        got: Any = None

        @staticmethod
        def do_execute(code: str) -> None:  # type: ignore[override]
            Static.got = code

        @classmethod
        def do_complete(cls, code: str) -> Any:
            return {"matches": [cls.__name__]}

        @staticmethod
        async def do_inspect(code: str) -> Any:  # type: ignore[override]
            return {"data": {"text/plain": code}}

    assert run_in(Static) == "x"
    with KernelHarness(Static) as harness:
        assert harness.complete("x").content["matches"] == ["Static"]
        assert harness.inspect("x").content["data"] == {"text/plain": "x"}


def counted(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator as authors write them."""

    @functools.wraps(function)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.calls = getattr(self, "calls", 0) + 1
        return function(self, *args, **kwargs)

    return wrapper


def unnamed(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, code: str, *args: Any, **kwargs: Any) -> Any:
        return function(self, code)

    return wrapper


def test_decorated_hooks() -> None:
    class Decorated(Kernel):
        @counted
        def do_execute(self, code: str, silent: bool) -> None:
            self.got = (code, silent)

        @counted
        async def do_complete(self, code: str, cursor_pos: int) -> Any:
            await asyncio.sleep(0)
            return {"matches": [f"{code}{cursor_pos}"]}

        @unnamed
        def do_inspect(self, code: str) -> Any:
            return {"data": {"text/plain": code}}

    with KernelHarness(Decorated) as harness:
        harness.execute("x")
        assert harness.kernel.got == ("x", False)
        assert harness.complete("x").content["matches"] == ["x1"]
        assert harness.inspect("x").content["data"] == {"text/plain": "x"}
        assert harness.kernel.calls == 2  # type: ignore[attr-defined]


class Callable_:
    """An object that can be called, as a hook: it gets no kernel."""

    def __call__(self, code: str, cursor_pos: int) -> Any:
        return {"matches": [f"{code}{cursor_pos}"]}


def two(self: Any, suffix: str, code: str) -> Any:
    return {"data": {"text/plain": code + suffix}}


def test_partial_functions_and_callable_objects_as_hooks() -> None:
    class Odd(Kernel):
        do_execute = functools.partialmethod(lambda self, code, timeout: None, timeout=3)  # type: ignore[assignment]
        do_complete = Callable_()  # type: ignore[assignment]
        do_inspect = functools.partialmethod(two, "!")  # type: ignore[assignment]
        do_is_complete = functools.partial(lambda status, code: {"status": status}, "invalid")  # type: ignore[assignment]

    with KernelHarness(Odd) as harness:
        assert harness.execute("x").status == "ok"
        assert harness.complete("x").content["matches"] == ["x1"]
        assert harness.inspect("x").content["data"] == {"text/plain": "x!"}
        assert harness.is_complete("x").content == {"status": "invalid"}


def test_a_hook_that_cannot_be_called_is_refused_with_the_class() -> None:
    with pytest.raises(TypeError):
        type("Flat", (Kernel,), {"do_complete": "not a function"})


def test_a_plan_is_made_once_with_the_class() -> None:
    class Planned(Kernel):
        async def do_execute(self, code: str, /, **rest: Any) -> None:
            pass

    plan = Planned._plans["do_execute"]
    assert plan == Plan.of(Planned, "do_execute")
    assert plan.positional == ("code",)
    assert plan.named == HOOKS["do_execute"][1:]
    assert Planned._plans["do_complete"].positional == ()


def test_the_base_class_itself_is_a_kernel() -> None:
    with KernelHarness(Kernel) as harness:
        content = harness.execute("x").content
        assert content["ename"] == "NotImplemented"
        assert "do_execute" in content["evalue"]
        assert harness.complete("x").content["matches"] == []
        result = harness.execute("", user_expressions={"x": "x"}).content["user_expressions"]["x"]
        assert result["status"] == "error"


# --- async hooks -----------------------------------------------------------------------------------------


def test_async_hooks_of_one_thread_share_a_loop() -> None:
    class Looping(Kernel):
        async def do_start(self) -> None:
            self.loops = [asyncio.get_running_loop()]
            self.queue: asyncio.Queue[str] = asyncio.Queue()

        async def do_execute(self, code: str) -> None:
            self.loops.append(asyncio.get_running_loop())
            await self.queue.put(code)

        async def do_complete(self, code: str) -> Any:
            return {"matches": [await self.queue.get()]}

    with KernelHarness(Looping) as harness:
        harness.execute("kept")
        assert harness.complete("x").content["matches"] == ["kept"]
        assert len(set(harness.kernel.loops)) == 1


def test_what_tasks_and_threads_of_an_async_hook_publish_belongs_to_its_request() -> None:
    class Spreading(Kernel):
        async def do_execute(self, code: str) -> None:
            async def say(text: str) -> None:
                await asyncio.sleep(0)
                self.iopub.stream(text)

            await asyncio.gather(say("a"), say("b"))
            await asyncio.to_thread(self.iopub.stream, "c")
            self.iopub.stream(await asyncio.to_thread(self.stdin.input, "d?"))

    with KernelHarness(Spreading, answers=["d"]) as harness:
        exchange = harness.execute("x")
    assert exchange.stdout == "abcd"
    assert {m["parent_header"]["msg_id"] for m in exchange.messages} == {exchange.request["header"]["msg_id"]}


def test_plain_hooks_may_return_something_to_await() -> None:
    class Awaitable:
        def __await__(self) -> Any:
            yield
            return {"matches": ["awaited"]}

    class Lazy(Kernel):
        def do_execute(self, code: str) -> Any:
            return asyncio.sleep(0, {"payload": []})

        def do_complete(self, code: str) -> Any:
            return Awaitable()

    with KernelHarness(Lazy) as harness:
        assert harness.execute("x").status == "ok"
        assert harness.complete("x").content["matches"] == ["awaited"]


def test_generators_are_refused_in_words() -> None:
    class Generating(Kernel):
        def do_execute(self, code: str) -> Any:
            yield code

        async def do_complete(self, code: str) -> Any:
            yield code

    with KernelHarness(Generating) as harness:
        assert "generator" in harness.execute("x").content["evalue"]
        assert "async_generator" in harness.complete("x").content["evalue"]


def test_a_plain_kernel_loads_no_asyncio(tmp_path: Any) -> None:
    import subprocess

    program = (
        "import sys\n"
        "from wrapperkernel import Kernel\n"
        "from wrapperkernel.testing.harness import KernelHarness\n"
        "class Plain(Kernel):\n"
        "    def do_execute(self, code): self.iopub.stream(code)\n"
        "loaded = 'asyncio' in sys.modules\n"  # the test client's zmq may have brought it
        "assert KernelHarness(Plain).execute('x').stdout == 'x'\n"
        "assert loaded or 'asyncio' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
