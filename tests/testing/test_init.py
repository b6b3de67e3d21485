"""The names that the testing kit offers: there, and loaded when used."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from wrapperkernel import testing


@pytest.mark.parametrize("name", testing.__all__)
def test_a_name_is_that_of_its_home(name: str) -> None:
    assert getattr(testing, name).__name__ == name
    assert inspect.getmodule(getattr(testing, name)).__name__.startswith("wrapperkernel.testing.")  # type: ignore[union-attr]


def test_other_names_are_none() -> None:
    assert dir(testing) == sorted(testing.__all__)
    with pytest.raises(AttributeError, match=r"'wrapperkernel.testing' has no attribute 'Harness'"):
        _ = testing.Harness


@pytest.mark.parametrize(
    ("name", "loads", "does_without"),
    [
        ("KernelHarness", "wrapperkernel.kernel.kernel", "zmq"),
        ("check_message", "wrapperkernel.testing.schema", "zmq"),
        ("start_kernel", "zmq", "wrapperkernel.kernel.kernel"),
    ],
)
def test_a_name_loads_what_it_needs_alone(name: str, loads: str, does_without: str) -> None:
    code = f"import sys; from wrapperkernel.testing import {name}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loads in run.stdout.split()
    assert does_without not in run.stdout.split()
