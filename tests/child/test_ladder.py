"""The ladder of interrupts: which step comes when."""

from __future__ import annotations

from wrapperkernel.child.ladder import Ladder, Step


def test_every_step_has_its_time_and_the_last_is_the_end() -> None:
    ladder = Ladder(10.0)
    steps = []
    while (due := ladder.due) != float("inf"):
        assert ladder.step(due - 0.001) is None
        steps.append(ladder.step(due))
    assert steps[0] is steps[1] is Step.INTERRUPT
    assert [step for step, before in zip(steps, [None, *steps], strict=False) if step is not before] == list(
        Step
    )
    assert due - 10.0 == float("inf")
    assert ladder.step(1e9) is None


def test_who_interrupts_again_gets_the_next_kind_of_step_at_once() -> None:
    ladder = Ladder(0.0)
    assert ladder.step(0.0) is Step.INTERRUPT
    ladder.hurry(0.1)
    assert ladder.step(0.1) is Step.INTERRUPT
    while (step := ladder.step(ladder.due)) is not Step.KILL:
        assert step in (Step.INTERRUPT, Step.TERMINATE)
    ladder.hurry(2.0)
    assert ladder.step(2.0) is Step.REPLACE
    ladder.hurry(2.1)
    assert ladder.step(2.1) is None
