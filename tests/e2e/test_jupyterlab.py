"""JupyterLab in headless Chromium: what a person sees and does, with echo, with bash and with a toy.

One server for all. Screenshots and the server's log are kept with pytest's temporary files.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.lab import RED, Lab, Notebook, running_lab

from wrapperkernel.registry import place
from wrapperkernel.targets import spec_of
from wrapperkernel.testing.client import KernelClient

TOYS = Path(__file__).parents[1] / "toys"
CHROMIUM = shutil.which("chromium")
# Without these, Chromium tries to reach its maker's hosts.
OFFLINE = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

ONE_EMPTY_BOX = """() => {
    const boxes = [...document.querySelectorAll(".jp-Stdin-input")];
    return boxes.length === 1 && boxes[0].value === "";
}"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the Debian package chromium is not installed")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab that knows echo, bash and two toys."""
    folder = tmp_path_factory.mktemp("lab")
    place(spec_of("echo", {}), folder / "data" / "kernels")
    place(spec_of("bash", {}, "bash"), folder / "data" / "kernels")
    place(spec_of(str(TOYS / "plain.py"), {}, "plain-toy"), folder / "data" / "kernels")
    place(spec_of(str(TOYS / "widget.py"), {}, "widget-toy"), folder / "data" / "kernels")
    with running_lab(folder) as lab:
        yield lab


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, Debian's."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)
        yield chromium
        chromium.close()


def test_echo_in_the_page_and_a_second_client(lab: Lab, browser: Any) -> None:
    with Notebook(lab, browser, "echo", "echo") as notebook:
        cell = notebook.run("hello from the page")
        notebook.until_done(cell, 1)
        assert notebook.output(cell) == "hello from the page"
        connection = json.loads(lab.connection_file(notebook.path).read_text())
        with KernelClient(connection) as client:
            client.wait_ready()
            beside = client.execute("hello from beside")
            assert (beside.stdout, beside.content["execution_count"]) == ("hello from beside", 2)
        notebook.until_done(notebook.run("again"), 3)
        notebook.until_nothing_spins()


def test_what_a_kernel_publishes(lab: Lab, browser: Any) -> None:
    with Notebook(lab, browser, "outputs", "plain-toy") as notebook:
        codes = (
            "print é\U0001d41a",
            "err oh",
            "png",
            "html <b>fat</b>",
            "result 42",
            "raise ToyError as told",
        )
        cells = [notebook.run(code) for code in (*codes, "display first\nupdate second")]
        for number, cell in enumerate(cells, 1):
            notebook.until_done(cell, number)
        printed, red, picture, html, result, failure, updated = cells
        assert notebook.output(printed) == "é\U0001d41a"
        assert red.locator(RED).inner_text().strip() == "oh"
        assert picture.locator(".jp-RenderedImage img").evaluate("image => image.naturalWidth") == 1
        html.locator("iframe").wait_for()  # isolated, as its metadata ask for
        assert result.locator(".jp-OutputArea-executeResult").inner_text().split() == ["[5]:", "42"]
        assert failure.locator(RED).inner_text().strip() == "ToyError: as told"
        assert notebook.output(updated) == "second"
        notebook.until_nothing_spins()
        assert [[output.output_type for output in cell.outputs] for cell in notebook.saved()] == [
            *(["stream"], ["stream"], ["display_data"], ["display_data"], ["execute_result"], ["error"]),
            *(["display_data"], []),
        ]


def test_questions_interrupts_and_a_restart(lab: Lab, browser: Any) -> None:
    with Notebook(lab, browser, "questions", "plain-toy") as notebook:
        asking = notebook.run("ask Your name?")
        notebook.answer(asking, "Ada")
        notebook.until_done(asking, 1)
        assert notebook.output(asking).split("\n") == ["Your name? Ada", "", "answer: Ada"]
        secret = notebook.run("password Key?")
        assert secret.locator(".jp-Stdin-input").get_attribute("type") == "password"
        notebook.answer(secret, "hunter2")
        notebook.until_done(secret, 2)
        assert "hunter2" not in notebook.output(secret)
        assert "letters: 7" in notebook.output(secret)

        sleeping = notebook.run("sleep 1000")
        behind = notebook.run("print behind")
        notebook.until_kernel_is("busy")
        notebook.press("Interrupt the kernel")
        notebook.until_done(sleeping, 3)
        assert sleeping.locator(RED).inner_text().strip() == "KeyboardInterrupt"
        notebook.until_nothing_spins()
        assert notebook.output(behind) == ""

        asking = notebook.run("ask Who?")
        asking.locator(".jp-Stdin-input").wait_for()
        notebook.press("Interrupt the kernel")
        notebook.until_done(asking, 4)
        notebook.until_nothing_spins()
        # The box stays, with any kernel. What is typed there is no answer to another question.
        notebook.answer(asking, "too late")
        asking = notebook.run("ask Again?")
        notebook.answer(asking, "in time")
        notebook.until_done(asking, 5)
        assert "answer: in time" in notebook.output(asking)

        notebook.press("Restart the kernel")
        with notebook.page.expect_websocket():  # the page connects anew once the kernel is there again
            notebook.page.get_by_role("button", name="Confirm Kernel Restart").click()
        notebook.until_ready()
        after = notebook.run("count")
        notebook.until_done(after, 1)
        assert notebook.output(after) == "1"
        notebook.until_nothing_spins()


def test_completion_and_inspection(lab: Lab, browser: Any) -> None:
    with Notebook(lab, browser, "completion", "plain-toy") as notebook:
        cell = notebook.type("pa")
        notebook.page.keyboard.press("Tab")
        items = notebook.page.locator(".jp-Completer-item")
        items.first.wait_for()
        assert [name.split() for name in items.all_inner_texts()] == [
            ["c", "page", "command"],
            ["c", "password", "command"],
        ]
        notebook.shot("completion")
        notebook.page.keyboard.press("ArrowDown")
        notebook.page.keyboard.press("Enter")
        assert cell.locator(".cm-content").inner_text() == "password"
        notebook.page.keyboard.press("Shift+Tab")
        tooltip = notebook.page.locator(".jp-Tooltip")
        tooltip.wait_for()
        assert tooltip.inner_text().strip() == "password is a command"
        notebook.shot("inspection")
        notebook.until_nothing_spins()


def test_a_widget_of_raw_comms(lab: Lab, browser: Any) -> None:
    with Notebook(lab, browser, "widget", "widget-toy") as notebook:
        cell = notebook.run("slider")
        number = cell.locator(".widget-readout")
        number.wait_for()
        assert number.inner_text() == "3"
        number.fill("7")
        number.press("Enter")
        asked = notebook.run("value")
        notebook.until_done(asked, 2)
        assert notebook.output(asked) == "7"
        notebook.until_done(notebook.run("set 2"), 3)
        cell.locator(".widget-readout", has_text="2").wait_for()
        notebook.until_nothing_spins()


def test_bash_in_the_page(lab: Lab, browser: Any) -> None:
    with Notebook(lab, browser, "bash", "bash") as notebook:
        live = notebook.run("x=kept; echo first; read -p 'Name? ' n; echo \"<$n>\"")
        live.locator(".jp-OutputArea-output", has_text="first").wait_for()  # while it runs
        notebook.answer(live, "Ada")
        notebook.until_done(live, 1)
        assert notebook.output(live).split() == ["first", "Name?", "Ada", "<Ada>"]

        red = notebook.run("ls nothing")
        notebook.until_done(red, 2)
        assert "No such file" in red.locator(RED).first.inner_text()
        assert red.locator(RED).last.inner_text().strip() == "ExitStatus: 2"

        slow = notebook.run("echo on; sleep 600")
        slow.locator(".jp-OutputArea-output", has_text="on").wait_for()
        notebook.press("Interrupt the kernel")
        notebook.until_done(slow, 3)
        assert "KeyboardInterrupt" in notebook.output(slow)

        connection = json.loads(lab.connection_file(notebook.path).read_text())
        with KernelClient(connection) as client:
            client.wait_ready()
            assert client.execute("echo $x; y=beside").stdout == "kept\n"
        shared = notebook.run("echo $x $y")
        notebook.until_done(shared, 5)
        assert notebook.output(shared) == "kept beside"

        notebook.press("Restart the kernel")
        with notebook.page.expect_websocket():  # the page connects anew once the kernel is there again
            notebook.page.get_by_role("button", name="Confirm Kernel Restart").click()
        notebook.until_ready()
        fresh = notebook.run('echo "<$x>"')
        notebook.until_done(fresh, 1)
        assert notebook.output(fresh) == "<>"
        notebook.until_nothing_spins()


def test_bash_shows_pictures_progress_and_help(lab: Lab, browser: Any) -> None:
    with Notebook(lab, browser, "bash-shows", "bash") as notebook:
        page = notebook.page
        sixel = notebook.run(
            r"""printf '\eP0;1q"1;1;60;30'"""
            "; for i in 1 2 3 4 5; do printf '#1;2;90;10;10#1!60~-'; done; "
            r"""printf '\e\\'"""
        )
        notebook.until_done(sixel, 1)
        image = sixel.locator(".jp-OutputArea-output img")
        image.wait_for()
        assert image.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [60, 30]

        html = notebook.run(
            "echo '<b id=bold>bold</b>' | displayHTML; echo 1 | display --id n; echo 2 | display --update n"
        )
        notebook.until_done(html, 2)
        html.locator("b", has_text="bold").wait_for()
        assert notebook.output(html).split() == ["bold", "2"]

        bar = notebook.run("for i in 0 1 2 3; do progress $i 3; done")
        notebook.until_done(bar, 3)
        assert notebook.output(bar) == f"100% [{'#' * 40}] 3/3"

        python = notebook.run("python3 -i")
        for line in ("x = 6 * 7", "print('is', x)", "exit()"):
            page.wait_for_function(ONE_EMPTY_BOX)  # the last one may still be there
            python.locator(".jp-Stdin-input").fill(line)
            python.locator(".jp-Stdin-input").press("Enter")
        notebook.until_done(python, 4)
        assert notebook.output(python).count("is 42") == 1

        job = notebook.run("(sleep 1; echo late) & echo early")
        notebook.until_done(job, 5)
        job.locator(".jp-OutputArea-output", has_text="late").wait_for()

        notebook.type("unal")
        page.keyboard.press("Tab")
        page.locator(".jp-Completer-item", has_text="unalias").wait_for()
        page.keyboard.press("Enter")
        cell = page.locator(".jp-Notebook .jp-CodeCell").last
        cell.locator(".cm-content", has_text="unalias").wait_for()
        page.keyboard.press("Shift+Tab")
        tooltip = page.locator(".jp-Tooltip")
        tooltip.wait_for()
        assert "unalias: builtin" in tooltip.inner_text()
        notebook.shot("tooltip")
        page.keyboard.press("Escape")
        page.keyboard.press("End")
        notebook.until_done(notebook.run(" -a"), 6)

        busy = notebook.run("my_variable_one=1; my_variable_two=2; sleep 600")
        notebook.until_kernel_is("busy")
        notebook.type("echo $BASH_VERS")
        page.keyboard.press("Tab")
        items = page.locator(".jp-Completer-item")
        items.first.wait_for()
        assert [name.split()[1:] for name in items.all_inner_texts()] == [
            ["BASH_VERSINFO", "variable"],
            ["BASH_VERSION", "variable"],
        ]
        notebook.shot("completion-while-busy")
        page.keyboard.press("Escape")
        notebook.press("Interrupt the kernel")
        notebook.until_done(busy, 7)
        notebook.until_nothing_spins()
