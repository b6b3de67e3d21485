"""jupyter_kernel_test, the community's suite, against bash, echo and both toy kernels.

Every sample attribute is filled as far as the kernel can. A test that cannot apply to a kernel is taken out
by name, not skipped, so that a skip is always a failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import jupyter_kernel_test
import pytest

from wrapperkernel.registry import place
from wrapperkernel.targets import spec_of

TOYS = Path(__file__).parents[1] / "toys"


@pytest.fixture(scope="module", autouse=True)
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Register echo and the toys where jupyter_client looks, for this module."""
    data = tmp_path_factory.mktemp("data")
    for name, target in {
        "echo": "echo",
        "bash": "bash",
        "plain-toy": str(TOYS / "plain.py"),
        "async-toy": str(TOYS / "asynchronous.py"),
    }.items():
        place(spec_of(target, {}, name), data / "kernels")
    before = os.environ.get("JUPYTER_PATH")
    os.environ["JUPYTER_PATH"] = str(data)
    yield
    if before is None:
        del os.environ["JUPYTER_PATH"]
    else:
        os.environ["JUPYTER_PATH"] = before


class ToySamples:
    """What both toys can: everything that the suite asks about."""

    language_name = "toy"
    file_extension = ".toy"
    code_hello_world = "print hello, world"
    code_stderr = "err oh"
    completion_samples: ClassVar[list[dict[str, Any]]] = [
        {"text": "pass", "matches": ["password"]},
        {"text": "print\nsle", "matches": ["sleep"]},
        {"text": "zzz", "matches": []},
    ]
    complete_code_samples: ClassVar[list[str]] = ["print 1", "print 1\nerr 2", ""]
    incomplete_code_samples: ClassVar[list[str]] = ["print 1\\"]
    invalid_code_samples: ClassVar[list[str]] = ["frobnicate"]
    code_page_something = "page a long text"
    code_generate_error = "raise ToyError as told"
    code_execute_result: ClassVar[list[dict[str, str]]] = [
        {"code": "result 42", "result": "42"},
        {"code": "result é\U0001d41a", "result": "é\U0001d41a"},
        {"code": "result three", "result": "three"},
    ]
    code_display_data: ClassVar[list[dict[str, str]]] = [
        {"code": "display text", "mime": "text/plain"},
        {"code": "html <b>x</b>", "mime": "text/html"},
        {"code": "png", "mime": "image/png"},
        {"code": 'json {"a": [1]}', "mime": "application/json"},
    ]
    code_history_pattern = "result 4?"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "print"
    code_clear_output = "clear wait"


class PlainToyTests(ToySamples, jupyter_kernel_test.KernelTests):
    kernel_name = "plain-toy"


class AsyncToyTests(ToySamples, jupyter_kernel_test.KernelTests):
    kernel_name = "async-toy"


class EchoTests(jupyter_kernel_test.KernelTests):
    kernel_name = "echo"
    language_name = "text"
    file_extension = ".txt"
    code_hello_world = "hello, world"
    completion_samples: ClassVar[list[dict[str, Any]]] = [{"text": "hel", "matches": []}]

    # Echo says what it is told, and nothing else.
    test_clear_output = None
    test_display_data = None
    test_error = None
    test_execute_result = None
    test_execute_stderr = None
    test_history = None
    test_inspect = None
    test_is_complete = None
    test_pager = None


class BashTests(jupyter_kernel_test.KernelTests):
    kernel_name = "bash"
    language_name = "bash"
    file_extension = ".sh"
    code_hello_world = "echo hello, world"
    code_stderr = "echo oh >&2"
    code_generate_error = "false"
    complete_code_samples: ClassVar[list[str]] = ["echo 1", "f() {\n  echo\n}", "cat <<X\na\nX\n", ""]
    incomplete_code_samples: ClassVar[list[str]] = ["if true; then", "echo 'a", "echo \\", "cat <<X\na"]
    invalid_code_samples: ClassVar[list[str]] = ["fi", "echo )"]

    # A shell has output and no values; completion and inspection come later.
    test_clear_output = None
    test_completion = None
    test_display_data = None
    test_execute_result = None
    test_history = None
    test_inspect = None
    test_pager = None


class BashWelcomeTests(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = "bash"
    support_iopub_welcome = True


class EchoWelcomeTests(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = "echo"
    support_iopub_welcome = True


class ToyWelcomeTests(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = "plain-toy"
    support_iopub_welcome = True
