"""Shapley values of any model by sampling permutations, with their error.

A draw takes a background row and an order of the players, and lets the row's own values in one
after the other; what the answer changes by is the player's. Each order is also taken backwards,
which makes most errors cancel. The mean of the draws is unbiased, and its standard error is that of
independent draws.

Source: Strumbelj and Kononenko, "Explaining prediction models and individual predictions with
feature contributions", 2014; antithetic orders: Mitchell et al., "Sampling permutations for
Shapley value estimation", JMLR 23 (2022).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from servewell.adapters.embedded.job.study.graphs import Array, Feed

Numbers = NDArray[np.float64]

ROWS_MAX: Final = 60_000  # that the model is asked, in all
DRAWS_MAX: Final = 500
SEED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """What came of the draws."""

    amounts: Numbers  # of each player
    errors: Numbers  # one standard error
    expected: float  # mean over the background rows that were drawn
    reached: float


def sample(
    value: Callable[[Feed], Numbers],
    row: Feed,
    background: Feed,
    players: Sequence[tuple[str, int]],
    hidden: NDArray[np.bool_],
) -> Sampled:
    """Return the contribution of each player that is not hidden; those keep the background's."""
    draw = np.random.default_rng(SEED)
    free = np.flatnonzero(~hidden)
    draws = max(2, min(DRAWS_MAX, ROWS_MAX // (2 * (len(free) + 1))))
    found = np.zeros((draws, len(players)))
    ends = np.zeros((draws, 2))
    rows = len(next(iter(background.values())))
    for number in range(draws):
        lent = int(draw.integers(rows))
        order = draw.permutation(free)
        for one in (order, order[::-1]):
            steps = value(_steps(row, background, lent, [players[place] for place in one]))
            found[number, one] += np.diff(steps) / 2
            ends[number] = steps[0], steps[-1]
    return Sampled(
        amounts=found.mean(axis=0),
        errors=found.std(axis=0, ddof=1) / np.sqrt(draws),
        expected=float(ends[:, 0].mean()),
        reached=float(ends[:, 1].mean()),
    )


def _steps(row: Feed, background: Feed, lent: int, order: Sequence[tuple[str, int]]) -> Feed:
    """Return the lent row, then with one value of the row more at each step."""
    feed = {
        name: np.repeat(array[lent : lent + 1], len(order) + 1, axis=0)
        for name, array in background.items()
    }
    for step, (name, place) in enumerate(order, start=1):
        _columns(feed[name])[step:, place] = _columns(row[name])[0, place]
    return feed


def _columns(array: Array) -> Array:
    """Return a view of an array with one column for each value of a row."""
    return array.reshape(len(array), -1)
