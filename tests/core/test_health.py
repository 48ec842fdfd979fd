"""The one health state of an endpoint."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.health import HealthState
from servewell.core.catalog.signal import Severity, Signal, SignalKind
from servewell.core.catalog.stop import EVERY, StopMode, StopOrder
from servewell.core.reliability.health import STATES, WORST_FIRST, HealthFacts, decide_health

NOW: Final = 1_700_000_000.0


def signal(kind: SignalKind, severity: Severity) -> Signal:
    """Return a signal of a kind."""
    return Signal(
        kind=kind, severity=severity, endpoint="flights", since=NOW, what="It is so.", because="b"
    )


SIGNALS: Final = st.builds(signal, st.sampled_from(SignalKind), st.sampled_from(Severity))


def facts(*signals: Signal, **other: object) -> HealthFacts:
    """Return the facts of an endpoint with traffic that is looked at."""
    given_facts: dict[str, object] = {
        "endpoint": "flights",
        "at": NOW,
        "signals": signals,
        "requests": 100.0,
        "measured_until": NOW - 60,
        "looked_at": NOW - 10,
    }
    return HealthFacts(**(given_facts | other))  # type: ignore[arg-type]  # as the test says


def test_every_kind_of_signal_has_a_state() -> None:
    """The table has a word for each kind and severity, and a note alone harms nobody."""
    for kind in SignalKind:
        assert set(STATES[kind]) == set(Severity)
        assert STATES[kind][Severity.NOTE] is HealthState.HEALTHY


@given(st.lists(SIGNALS, max_size=6))
def test_the_worst_reason_decides(signals: list[Signal]) -> None:
    """The state is that of the worst signal; each signal is a reason, the worst first."""
    found = decide_health(facts(*signals))
    states = [STATES[one.kind][one.severity] for one in signals]
    expected = min(states, key=WORST_FIRST.index, default=HealthState.HEALTHY)
    assert found.state is expected
    assert len(found.reasons) == len(signals)
    order = [WORST_FIRST.index(one.state) for one in found.reasons]
    assert order == sorted(order)
    assert found.because


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"requests": 0.0, "measured_until": NOW - 7_300}, "the last was counted 2 hours ago"),
        ({"requests": 0.0, "measured_until": None}, "none was ever counted"),
        ({"looked_at": NOW - 3_600}, "figures were last taken 60 minutes ago"),
        ({"looked_at": None}, "never"),
        ({"deployed": False}, "Nothing is deployed"),
        ({"faults": ("The monitor of drift could not look.",)}, "could not look"),
    ],
)
def test_silence_is_said_and_is_not_health(other: dict[str, object], words: str) -> None:
    """Without traffic, watch or deployment the state is unknown, in words that say why."""
    found = decide_health(facts(**other))
    assert found.state is HealthState.UNKNOWN
    assert words in found.because


@pytest.mark.parametrize(
    ("requests", "refused", "state"),
    [
        (100.0, 60.0, HealthState.DEGRADED),
        (100.0, 49.0, HealthState.HEALTHY),
        (19.0, 19.0, HealthState.HEALTHY),
    ],
)
def test_an_endpoint_that_refuses_most_is_not_healthy(
    requests: float, refused: float, state: HealthState
) -> None:
    """Whoever is refused has no prediction, whosever fault it is; a few prove nothing."""
    found = decide_health(facts(requests=requests, refused=refused))
    assert found.state is state
    assert ("were refused" in found.because) is (state is HealthState.DEGRADED)


def test_nothing_that_runs_is_unhealthy() -> None:
    """Whoever took it down knows why; whoever asks is told that nobody answers."""
    found = decide_health(facts(running=False))
    assert found.state is HealthState.UNHEALTHY
    assert "no request is answered" in found.because


@pytest.mark.parametrize(
    ("modes", "state"),
    [
        ({"flights": StopMode.REFUSE}, HealthState.UNHEALTHY),
        ({EVERY: StopMode.REFUSE}, HealthState.UNHEALTHY),
        ({EVERY: StopMode.REFUSE, "flights": StopMode.FALLBACK}, HealthState.HEALTHY),
        ({"other": StopMode.REFUSE}, HealthState.HEALTHY),
    ],
)
def test_who_is_refused_is_not_served(modes: dict[str, StopMode], state: HealthState) -> None:
    """A stop that refuses is unhealthy; its own stop holds before that of every endpoint."""
    stops = tuple(
        StopOrder(endpoint=name, mode=mode, because="b", principal="p", at=NOW)
        for name, mode in modes.items()
    )
    assert decide_health(facts(stops=stops)).state is state


def test_what_is_certain_outweighs_what_is_not_known() -> None:
    """A page holds without traffic too, and the silence stands among the reasons."""
    page = signal(SignalKind.SERVING, Severity.PAGE)
    found = decide_health(facts(page, requests=0.0, measured_until=None))
    assert found.state is HealthState.UNHEALTHY
    assert [one.state for one in found.reasons] == [HealthState.UNHEALTHY, HealthState.UNKNOWN]
    assert "and 1 more" in found.because
