"""How long a call of a model takes, by its rows: learned while it serves."""

from typing import Final

import msgspec

FORGETTING: Final = 0.95  # what an observation weighs after the next one: about 20 count
CLIP: Final = 8.0  # times what was expected; a longer call counts as this
SPREAD: Final = 0.1  # of the sizes, relative to their mean, from which a slope is learned
GROWTH: Final = 2  # times the largest size tried so far is the next to try


class LatencyCurve(msgspec.Struct, frozen=True, gc=False):
    """The line `seconds = fixed_s + row_s * rows`, fitted by least squares that forget.

    Means and moments are weighted and updated in place of being summed anew (D. H. D. West,
    "Updating mean and variance estimates: an improved method", 1979), with a weight that falls by
    `FORGETTING` at each observation. While the sizes hardly differ no slope can be told, so the
    one before is kept and only the level is learned; before there is any, a call is taken to cost
    the same whatever its size, and the next batch may be `GROWTH` times the largest tried.
    """

    weight: float = 0.0  # of all observations
    mean_rows: float = 0.0
    mean_s: float = 0.0
    spread: float = 0.0  # weighted sum of squared deviations of the rows
    product: float = 0.0  # weighted sum of the products of both deviations
    row_s: float = 0.0  # seconds that one more row takes
    largest: int = 0  # rows, of the largest call so far

    @property
    def known(self) -> bool:
        """Whether there was a call."""
        return self.weight > 0

    @property
    def fixed_s(self) -> float:
        """Seconds that a call takes whatever its size; never negative."""
        return self.mean_s - self.row_s * self.mean_rows

    def predicted_s(self, rows: float) -> float:
        """Return the seconds that a call with so many rows takes; 0 while nothing is known."""
        return self.mean_s + self.row_s * (rows - self.mean_rows)

    def observed(self, rows: int, seconds: float) -> "LatencyCurve":
        """Return the curve after a call with `rows` >= 1 that took `seconds` > 0.

        A call that took longer than `CLIP` times what was expected, or what its rows would take
        at the mean so far, counts as that long: one pause of the machine teaches little, and a
        model that became slow is known in a few calls.
        """
        if self.weight > 0:
            expected_s = max(self.predicted_s(rows), self.mean_s * rows / self.mean_rows)
            seconds = min(seconds, CLIP * expected_s)
        weight = FORGETTING * self.weight + 1
        off_rows, off_s = rows - self.mean_rows, seconds - self.mean_s
        mean_rows = self.mean_rows + off_rows / weight
        mean_s = self.mean_s + off_s / weight
        spread = FORGETTING * self.spread + off_rows * (rows - mean_rows)
        product = FORGETTING * self.product + off_rows * (seconds - mean_s)
        row_s = self.row_s
        if spread > weight * (SPREAD * mean_rows) ** 2:
            row_s = max(0.0, product / spread)
        return LatencyCurve(
            weight=weight,
            mean_rows=mean_rows,
            mean_s=mean_s,
            spread=spread,
            product=product,
            row_s=min(row_s, mean_s / mean_rows),
            largest=max(rows, self.largest),
        )

    def rows_within(self, seconds: float, *, rows_max: int) -> int:
        """Return the most rows, 1 to `rows_max`, whose call is expected to end in `seconds`.

        Where not even an empty call would, so many rows that they take as long as it does: a
        larger batch then costs nobody more than it saves.
        """
        rows = float(GROWTH * self.largest)
        if self.row_s > 0:
            room_s = seconds - self.fixed_s
            rows = min(rows, (room_s if room_s > 0 else self.fixed_s) / self.row_s)
        return max(1, min(int(rows), rows_max))
