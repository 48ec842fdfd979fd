"""What changes went wrong: rollouts and trainings."""

from servewell.core.catalog.signal import Signal
from servewell.core.operations.monitoring.change_signals import rollout_signal, training_signals
from servewell.flows.platform import Platform


def change_signals(platform: Platform, *, now: float) -> tuple[Signal, ...]:
    """Return the rollouts and trainings that wait for a person. `now` is in seconds (epoch).

    Raises: StateUnavailableError.
    """
    endpoints = platform.endpoints.list()
    rollouts = [rollout_signal(platform.rollouts.list(one.name), now=now) for one in endpoints]
    served = {one.workload: one.name for one in endpoints}
    trainings = training_signals(platform.retrainings.list(), served, now=now)
    return (*(one for one in rollouts if one is not None), *trainings)
