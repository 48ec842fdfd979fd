"""A call of a model on the loop that goes on is ended; one that ends is left alone."""

from collections.abc import Iterator, Mapping, Sequence
from threading import Event

import pytest

from servewell.serving.loop_guard import LOOK_S, LoopGuard
from servewell.serving.runtimes.model import Array


class Watched:
    """A call that notes when it is told to stop."""

    def __init__(self) -> None:
        self.told = Event()

    @property
    def stopped(self) -> bool:
        """Whether it was."""
        return self.told.is_set()

    def run(
        self, feed: Mapping[str, Array], wanted: Sequence[str], *, timeout_s: float | None = None
    ) -> list[Array]:
        """Answer nothing."""
        del feed, wanted, timeout_s
        return []

    def stop(self) -> None:
        """Note it."""
        self.told.set()


@pytest.fixture
def guard() -> Iterator[LoopGuard]:
    """A guard, whose thread ends with the test."""
    made = LoopGuard()
    yield made
    made.close()


def test_a_call_that_goes_on_is_ended(guard: LoopGuard) -> None:
    """It is stopped once it was seen twice, and so is the next one that goes on."""
    for call in (Watched(), Watched()):
        guard.begin(call)
        assert call.told.wait(LOOK_S * 20)
        guard.end()


def test_calls_that_end_are_left_alone(guard: LoopGuard) -> None:
    """Many short calls one after the other are not taken for a long one, nor is none."""
    calls = [Watched() for _ in range(6)]
    for call in calls:
        guard.begin(call)
        assert not call.told.wait(LOOK_S / 2)
        guard.end()
    last = Watched()
    guard.begin(last)
    guard.end()
    assert not last.told.wait(LOOK_S * 3)
    assert not any(call.stopped for call in calls)
