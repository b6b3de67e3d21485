"""Messages that wait until somebody asks for them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wrapperkernel.testing.backlog import Backlog


def message(parent: str, number: int) -> dict[str, Any]:
    """Return a message that belongs to a request and can be told from others."""
    return {"parent_header": {"msg_id": parent} if parent else {}, "number": number}


def test_nothing_waits_at_first() -> None:
    backlog = Backlog()
    assert backlog.take() is None
    assert backlog.take_of("a") is None
    assert not backlog.holds("a")
    assert len(backlog) == 0


steps = st.lists(
    st.tuples(st.just("put"), st.sampled_from(["", "a", "b"]))
    | st.tuples(st.just("take"), st.just(""))
    | st.tuples(st.just("take_of"), st.sampled_from(["", "a", "b"]))
)


@given(steps)
def test_it_behaves_as_a_list_that_is_searched(history: list[tuple[str, str]]) -> None:
    backlog, model = Backlog(), list[dict[str, Any]]()
    for number, (step, parent) in enumerate(history):
        if step == "put":
            backlog.put(message(parent, number))
            model.append(message(parent, number))
            continue
        of_parent = [m for m in model if step == "take" or m == message(parent, m["number"])]
        wanted = of_parent[0] if of_parent else None
        assert (backlog.take() if step == "take" else backlog.take_of(parent)) == wanted
        if wanted:
            model.remove(wanted)
        assert len(backlog) == len(model)
        assert backlog.holds("a") == any(m["parent_header"].get("msg_id") == "a" for m in model)
