"""Interrupts of a running kernel, by both ways in: whatever it does, one reply, one idle, and it lives on."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from wrapperkernel.testing.client import KernelClient
from wrapperkernel.testing.execution import Execution
from wrapperkernel.testing.process import KernelProcess, start_kernel

TOYS = Path(__file__).parent.parent / "toys"


@contextmanager
def toy(name: str, *options: str, **settings: Any) -> Iterator[tuple[KernelProcess, KernelClient]]:
    """Start a toy kernel and a client of it."""
    argv = [sys.executable, str(TOYS / f"{name}.py"), *options]
    with start_kernel(argv, **settings) as kernel, kernel.client() as client:
        client.wait_ready()
        yield kernel, client


@pytest.fixture(scope="module")
def plain() -> Iterator[tuple[KernelProcess, KernelClient]]:
    with toy("anything") as both:
        yield both


@pytest.fixture(scope="module")
def awaiting() -> Iterator[tuple[KernelProcess, KernelClient]]:
    with toy("awaiting") as both:
        yield both


Way = Callable[[KernelProcess, KernelClient], None]


def by_signal(kernel: KernelProcess, client: KernelClient) -> None:
    """Interrupt as jupyter_client does where the kernelspec says ``signal``."""
    kernel.interrupt()


def by_message(kernel: KernelProcess, client: KernelClient) -> None:
    """Interrupt as it does where the kernelspec says ``message``."""
    assert client.exchange("control", "interrupt_request").status == "ok"


ways = pytest.mark.parametrize("interrupt", [by_signal, by_message], ids=["signal", "message"])


def begin(client: KernelClient, code: str) -> str:
    """Run a cell that prints, and wait until it has begun to; return the msg_id of its request."""
    msg_id = client.execute_request(code, allow_stdin=True)
    client.iopub_until(msg_id, lambda message: message["msg_type"] == "stream", "the first output")
    return msg_id


def require_interrupted(client: KernelClient, msg_id: str) -> Execution:
    """Require that a cell ends with KeyboardInterrupt, published and replied once; return what it brought."""
    reply = client.reply(msg_id)
    messages = client.iopub_until_idle(msg_id)
    execution = Execution(client.sent[msg_id], reply, messages)
    assert execution.content["ename"] == "KeyboardInterrupt"
    assert [error["ename"] for error in execution.errors] == ["KeyboardInterrupt"]
    assert client.execute("say('here')").stdout == "here"
    return execution


# --- whatever the hook does --------------------------------------------------------------------------

BUSY = {
    "sleeping": "import time; say('on'); time.sleep(600)",
    "computing": "say('on')\nwhile True: pass",
    "waiting for a lock": "import threading; say('on'); a = threading.Lock(); a.acquire(); a.acquire()",
    "waiting for a thread": "import queue; say('on'); queue.Queue().get()",
    "reading a pipe": "import os; say('on'); os.read(os.pipe()[0], 1)",
    "selecting": "import select; say('on'); select.select([], [], [], 600)",
    "in C functions that let other threads run": (
        "import hashlib; say('on')\nwhile True: hashlib.pbkdf2_hmac('sha256', b'', b'', 100000)"
    ),
    "in C functions that do not": "say('on')\nwhile True: sum(range(1000000))",
    "waiting for a process": "import subprocess; say('on'); subprocess.run(['sleep', '600'])",
    "printing": "while True: say('on\\n')",
    "printing megabytes": "while True: say('on' * 500000)",
    "displaying": "say('on')\nwhile True: kernel.iopub.display('on')",
    "sending on a comm": "say('on'); comm = kernel.comms.open('t')\nwhile True: comm.send({'on': [1]})",
    "opening comms": "say('on')\nwhile True: kernel.comms.open('t').close()",
    "asking for the history": "say('on')\nwhile True: kernel.history.tail(5)",
    "logging": "import logging; say('on')\nwhile True: logging.getLogger('wrapperkernel.x').info('on')",
    "sending, then computing": "say('on')\nwhile True: kernel.comms.open('t').close(); sum(range(100000))",
    "catching errors": "say('on')\nwhile True:\n try: 1 / 0\n except Exception: pass",
    "making objects that finalize": (
        "import weakref; say('on')\n"
        "class A:\n def __del__(self): sum(range(1000))\n"
        "while True: weakref.finalize(A(), sum, range(1000))"
    ),
}


@pytest.mark.row("T6")
@pytest.mark.row(
    "O2",
    file="interrupts.py",
    old="            if frame.f_code in _INTERRUPTIBLE:",
    new="            if False:",
)
@ways
@pytest.mark.parametrize("what", BUSY)
def test_a_plain_hook(plain: tuple[KernelProcess, KernelClient], what: str, interrupt: Way) -> None:
    kernel, client = plain
    msg_id = begin(client, BUSY[what])
    interrupt(kernel, client)
    require_interrupted(client, msg_id)
    assert kernel.children() == []


AWAITING = {
    "sleeping": "import asyncio; say('on'); await asyncio.sleep(600)",
    "waiting for a task": (
        "import asyncio; say('on'); await asyncio.gather(asyncio.sleep(600), asyncio.sleep(600))"
    ),
    "giving way": "import asyncio; say('on')\nwhile True: await asyncio.sleep(0)",
    "printing": "import asyncio\nwhile True: say('on\\n'); await asyncio.sleep(0)",
    "blocking the loop": "import time; say('on'); time.sleep(600)",
    "computing": "say('on')\nwhile True: pass",
    "blocking the loop in another task": (
        "import asyncio, time\nasync def block(): say('on'); time.sleep(600)\n"
        "task = asyncio.create_task(block()); await asyncio.sleep(600)"
    ),
    "waiting for a process": (
        "import asyncio; p = await asyncio.create_subprocess_exec('sleep', '600')\n"
        "try: say('on'); await p.wait()\nfinally: p.returncode is not None or p.kill(); await p.wait()"
    ),
    "asking the user": "say('on'); kernel.stdin.input('?')",
}


@pytest.mark.row("T6")
@ways
@pytest.mark.parametrize("what", AWAITING)
def test_an_async_hook(awaiting: tuple[KernelProcess, KernelClient], what: str, interrupt: Way) -> None:
    kernel, client = awaiting
    cell = begin(client, AWAITING[what])
    interrupt(kernel, client)
    require_interrupted(client, cell)
    assert kernel.children() == []


@pytest.mark.row(
    "N5", file="server/answers.py", old="    def wait(self", new="    @shielded\n    def wait(self"
)
@ways
@pytest.mark.parametrize("what", ["input", "getpass"])
def test_waiting_for_an_answer(plain: tuple[KernelProcess, KernelClient], what: str, interrupt: Way) -> None:
    kernel, client = plain
    for _ in range(20):
        cell = client.execute_request(f"say(kernel.stdin.{what}('name? '))", allow_stdin=True)
        question = client.receive("stdin")
        interrupt(kernel, client)
        require_interrupted(client, cell)
        client.answer(question, "too late")
        assert client.execute(f"say(kernel.stdin.{what}('? '))", answers=["Ada"]).stdout == "Ada"


@pytest.mark.row("N5")
def test_a_kernel_that_waits_for_an_answer_can_be_shut_down() -> None:
    with toy("anything") as (kernel, client):
        cell = client.execute_request("kernel.stdin.input('?')", allow_stdin=True)
        client.receive("stdin")
        client.exchange("control", "shutdown_request", {"restart": False})
        assert client.reply(cell)["content"]["ename"] == "KeyboardInterrupt"
        assert kernel.wait() == 0


@ways
def test_a_hook_beside_the_cell_is_not_the_one_that_is_interrupted(
    plain: tuple[KernelProcess, KernelClient], interrupt: Way
) -> None:
    kernel, client = plain
    cell = begin(client, BUSY["sleeping"])
    completion = client.request("shell", "complete_request", {"code": "", "cursor_pos": 0})
    assert client.finish(completion).status == "ok"
    interrupt(kernel, client)
    require_interrupted(client, cell)


@ways
def test_another_hook_in_the_main_thread(interrupt: Way) -> None:
    with toy("beside", "shy") as (kernel, client):
        client.execute("def on_is_complete(): import time; say('on'); time.sleep(600)")
        request = client.request("shell", "is_complete_request", {"code": ""})
        client.iopub_until(request, lambda message: message["msg_type"] == "stream", "the first output")
        interrupt(kernel, client)
        assert client.reply(request)["content"]["ename"] == "KeyboardInterrupt"
        client.iopub_until_idle(request)
        assert client.execute("say('here')").stdout == "here"


@ways
def test_a_comm_callback(plain: tuple[KernelProcess, KernelClient], interrupt: Way) -> None:
    kernel, client = plain
    client.execute(
        "import time\n"
        "def wait(message): say('on'); time.sleep(600)\n"
        "kernel.comms.register_target('t', lambda comm, message: comm.on_msg(wait))"
    )
    client.exchange("shell", "comm_open", {"comm_id": "c", "target_name": "t", "data": {}})
    message = client.request("shell", "comm_msg", {"comm_id": "c", "data": {}})
    client.iopub_until(message, lambda message: message["msg_type"] == "stream", "the first output")
    interrupt(kernel, client)
    client.iopub_until_idle(message)
    assert client.execute("say('here')").stdout == "here"
    client.exchange("shell", "comm_close", {"comm_id": "c", "data": {}})


# --- what becomes of the cells -----------------------------------------------------------------------


@pytest.mark.row("E12", file="interrupts.py", old="        self._deliver()", new="        pass")
@ways
def test_the_queue_is_aborted(plain: tuple[KernelProcess, KernelClient], interrupt: Way) -> None:
    kernel, client = plain
    first = begin(client, BUSY["sleeping"])
    others = [client.execute_request("say('never')") for _ in range(3)]
    patient = client.request("shell", "kernel_info_request")
    assert client.finish(patient).status == "ok"  # so they have arrived
    interrupt(kernel, client)
    assert client.reply(first)["content"]["ename"] == "KeyboardInterrupt"
    client.iopub_until_idle(first)
    for other in others:
        execution = client.finish_execution(other)
        assert (execution.content["ename"], execution.stdout) == ("ExecutionAborted", "")
    assert client.execute("say('here')").stdout == "here"


@ways
def test_two_in_a_row(plain: tuple[KernelProcess, KernelClient], interrupt: Way) -> None:
    """The second must reach nobody, or the same cell, or none; never the next."""
    kernel, client = plain
    for _ in range(20):
        cell = begin(client, BUSY["sleeping"])
        interrupt(kernel, client)
        interrupt(kernel, client)
        require_interrupted(client, cell)


@ways
def test_a_hook_that_swallows_an_interrupt_gets_the_second_too(
    plain: tuple[KernelProcess, KernelClient], interrupt: Way
) -> None:
    kernel, client = plain
    cell = begin(
        client,
        "import time\n"
        "try: say('on'); time.sleep(600)\n"
        "except KeyboardInterrupt: say('not yet')\n"
        "time.sleep(600)",
    )
    interrupt(kernel, client)
    client.iopub_until(cell, lambda message: "not yet" in str(message["content"]), "the second output")
    interrupt(kernel, client)
    require_interrupted(client, cell)


@ways
def test_a_hook_may_answer_an_interrupt_itself(
    plain: tuple[KernelProcess, KernelClient], interrupt: Way
) -> None:
    kernel, client = plain
    cell = begin(
        client,
        "import time\ntry: say('on'); time.sleep(600)\nexcept KeyboardInterrupt: say('well, then')",
    )
    interrupt(kernel, client)
    assert client.reply(cell)["content"]["status"] == "ok"
    texts = [message["content"].get("text") for message in client.iopub_until_idle(cell)]
    assert "well, then" in texts


@pytest.mark.row("O1", "T6")
@ways
def test_interrupts_of_an_idle_kernel_do_nothing(
    plain: tuple[KernelProcess, KernelClient], interrupt: Way
) -> None:
    kernel, client = plain
    for _ in range(20):
        interrupt(kernel, client)
        interrupt(kernel, client)
        assert client.execute("say('here')").stdout == "here"


# --- children of the hook ----------------------------------------------------------------------------

DISPOSITIONS = """
import subprocess
status = subprocess.run(['cat', '/proc/self/status'], capture_output=True, text=True).stdout
fields = dict(line.split(':', 1) for line in status.splitlines())
say(fields['SigIgn'] + fields['SigBlk'])
"""


@pytest.mark.row(
    "O3",
    file="interrupts.py",
    old="        signal.signal(signal.SIGINT, self.on_signal)",
    new="        signal.getsignal(2) is signal.SIG_IGN or signal.signal(2, self.on_signal)",
)
def test_a_child_starts_with_default_dispositions() -> None:
    """Also where the launcher ignores the signals, as ``nohup`` and shells without job control do."""
    command = [sys.executable, str(TOYS / "anything.py"), "-f", "{connection_file}"]
    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command]
    with start_kernel(ignoring) as kernel, kernel.client() as client:
        client.wait_ready()
        ignored, blocked = (int(mask, 16) for mask in client.execute(DISPOSITIONS).stdout.split())
        for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGTERM):
            assert not (ignored | blocked) & 1 << (number - 1), number.name
        cell = "import subprocess; say(subprocess.getoutput('yes | head -n 1'))"
        assert client.execute(cell).stdout == "y"
        for interrupt in (by_signal, by_message):
            cell = begin(client, CHILD)
            interrupt(kernel, client)
            require_interrupted(client, cell)


CHILD = """
import subprocess
script = 'trap "echo got it; exit" INT; echo on; while :; do sleep 0.01; done'
child = subprocess.Popen(['sh', '-c', script], stdout=subprocess.PIPE, text=True)
try:
    say(child.stdout.readline())
    child.wait()
finally:
    say(child.stdout.read())
    child.wait()
"""


@pytest.mark.row("O2")
@ways
def test_a_child_gets_the_interrupt(plain: tuple[KernelProcess, KernelClient], interrupt: Way) -> None:
    kernel, client = plain
    cell = begin(client, CHILD)
    interrupt(kernel, client)
    assert require_interrupted(client, cell).stdout == "got it\n"
    assert kernel.children() == []


def test_what_has_its_own_group_is_left_alone(plain: tuple[KernelProcess, KernelClient]) -> None:
    kernel, client = plain
    client.execute("import subprocess; own = subprocess.Popen(['sleep', '600'], process_group=0)")
    cell = begin(client, BUSY["sleeping"])
    by_message(kernel, client)
    require_interrupted(client, cell)
    assert client.execute("say(str(own.poll())); own.kill(); own.wait()").stdout == "None"


@ways
def test_a_child_that_a_c_function_waits_for(
    plain: tuple[KernelProcess, KernelClient], interrupt: Way
) -> None:
    """The C function ignores SIGINT meanwhile; what counts is that the child does not."""
    kernel, client = plain
    cell = begin(client, "import os; say('on'); os.system('sleep 600')")
    while "sleep" not in [Path(f"/proc/{pid}/comm").read_text().strip() for pid in kernel.children()]:
        time.sleep(0.005)  # nothing else tells when it has begun
    interrupt(kernel, client)
    client.reply(cell)
    client.iopub_until_idle(cell)
    assert kernel.children() == []
    assert client.execute("say('here')").stdout == "here"


# --- at every step, from one dequeue to the next -----------------------------------------------------

STEPPED = "print a\nask name\nrepeat 3 b\ndisplay c"


@pytest.mark.row("E12")
def test_an_interrupt_at_every_line_from_dequeue_to_dequeue() -> None:
    """Also between the requests, where it does nothing, and in all that sends."""
    with toy("stepping") as (_, client):

        def step(number: int) -> tuple[dict[str, Any], Execution]:
            """Run the cell with an interrupt at a step; return what came of the step before, and the cell."""
            said = json.loads(client.execute(f"step {number}").stdout)
            return said, client.execute(STEPPED, answers=["Ada"])

        step(0)
        step(0)  # the second time nothing is done for the first time
        total = step(0)[0]["steps"]
        assert total > 400
        hit = 0
        missed = list(range(1, total + 1))
        for _ in range(2):  # what depends on the moment may come the second time
            before: tuple[int, Execution] | None = None
            numbers, missed = missed, []
            for number in [*numbers, total]:
                said, execution = step(number)
                if before is not None:
                    shot = said["shot"]
                    hit += judged(before[1], shot)
                    if shot is None:
                        missed.append(before[0])
                before = number, execution
        assert hit > total / 3
        assert len(missed) < total / 20
        assert client.receive_all("shell") == []


def judged(execution: Execution, shot: dict[str, Any] | None) -> bool:
    """Check a cell that was interrupted at a place; tell whether it was its own interrupt."""
    if shot is not None and shot["running"]:
        assert execution.content.get("ename") == "KeyboardInterrupt", shot["place"]
        return True
    assert execution.status == "ok", shot
    assert execution.stdout.startswith("a\nanswer: Ada\nb 0\nb 1\nb 2\n")
    return False


# --- at random ---------------------------------------------------------------------------------------

SIGNALS = 1500  # in each of two storms; with those below and in tests/kernel, these are ten thousand
REQUESTS = 500  # in each of two; each waits for its answer
RECORDING = """
seen = []
interrupts = kernel.link.interrupts
ask = interrupts.interrupt_running
interrupts.interrupt_running = lambda: seen.append(ask()) or seen[-1]
"""
"""A hook that remembers which requests an interrupt_request saw running."""
SMALL = ("say('x')", "kernel.iopub.display('x')", "1 / 1", "import time; time.sleep(0.0005)")


@contextmanager
def storm(strike: Callable[[], None], strikes: int, seed: int) -> Iterator[threading.Event]:
    """Strike from another thread, at random moments and in bursts; the event is set when it is over."""
    random, over = Random(seed), threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        left = strikes
        try:
            while left > 0:
                time.sleep(random.expovariate(1 / 0.001))
                for _ in range(min(left, random.choice((1, 1, 1, 1, 2, 5)))):
                    strike()
                    left -= 1
        except BaseException as error:
            failures.append(error)
        over.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield over
    finally:
        over.wait(120)
        thread.join()
    assert not failures


def run_in(kernel: KernelProcess, over: threading.Event, at_once: int = 8) -> list[Execution]:
    """Run cells until the storm is over, several in flight; check and return them."""
    with kernel.client() as client:
        client.wait_ready()
        flying: deque[str] = deque()
        executions = []
        while flying or not over.is_set():
            while len(flying) < at_once and not over.is_set():
                code = SMALL[len(client.sent) % len(SMALL)]
                flying.append(client.execute_request(code, stop_on_error=False))
            executions.append(client.finish_execution(flying.popleft()))
        client.execute("say('alive')")
        assert client.receive_all("shell") == []
    for execution in executions:
        assert execution.status == "ok" or was_interrupted(execution), execution.content
    return executions


def was_interrupted(execution: Execution) -> bool:
    return execution.content.get("ename") == "KeyboardInterrupt"


@contextmanager
def requests_of(kernel: KernelProcess) -> Iterator[Callable[[], None]]:
    """Give a function that sends an interrupt_request, by a client of its own, and waits for the answer."""
    with kernel.client(channels=("control",)) as client:

        def strike() -> None:
            content = client.reply(client.request("control", "interrupt_request"))["content"]
            assert content == {"status": "ok"}

        yield strike


@pytest.mark.parametrize("name", ["anything", "awaiting"])
def test_signals_at_random(name: str) -> None:
    with toy(name) as (kernel, client):
        with storm(lambda: os.kill(kernel.pid, signal.SIGINT), SIGNALS, seed=1) as over:
            executions = run_in(kernel, over)
        assert sum(map(was_interrupted, executions)) > SIGNALS / 50
        assert client.execute("say('alive')").stdout == "alive"
        assert kernel.stderr == ""


@pytest.mark.row("T6")
def test_requests_at_random_hit_only_what_they_saw() -> None:
    with toy("anything", f"--AnythingKernel.on_init={RECORDING}") as (kernel, client):
        with requests_of(kernel) as strike, storm(strike, REQUESTS, seed=2) as over:
            executions = run_in(kernel, over)
        say_seen = "import json; say(json.dumps([r and r.header['msg_id'] for r in seen]))"
        seen = json.loads(client.execute(say_seen).stdout)
        assert len(seen) == REQUESTS
        hit = {e.request["header"]["msg_id"] for e in executions if was_interrupted(e)}
        assert hit <= set(seen)
        assert len(hit) > REQUESTS / 50
        assert kernel.stderr == ""


def test_both_at_random_while_a_cell_asks() -> None:
    with toy("anything") as (kernel, client):
        choose = Random(3)

        def either() -> None:
            choose.choice((strike, kernel.interrupt))()

        with requests_of(kernel) as strike, storm(either, REQUESTS, seed=4) as over:
            while not over.is_set():
                execution = client.execute("say(kernel.stdin.input('? '))", answers=["Ada"])
                assert was_interrupted(execution) or execution.stdout == "Ada"
        assert client.execute("say('alive')").stdout == "alive"
        assert client.receive_all("shell") == []
        assert kernel.stderr == ""
