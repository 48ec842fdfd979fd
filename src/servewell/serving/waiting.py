"""Requests that wait for one model, by priority and then by age."""

from collections import deque
from collections.abc import Iterator

from servewell.core.reliability.precedence import HANDICAPS_NS, NORMAL, next_rank
from servewell.serving.exchange import Exchange
from servewell.serving.protocols.columns import Decoded

FOREVER_NS = 1 << 62


class Waiting:
    """A line for each rank, and what is in them all."""

    __slots__ = ("_lines", "_ranks", "bytes", "requests", "rows", "soonest_ns")

    def __init__(self) -> None:
        self._lines: tuple[deque[Exchange], ...] = tuple(deque() for _ in HANDICAPS_NS)
        self._ranks = [0] * len(HANDICAPS_NS)  # rows in each line
        self.requests = self.rows = self.bytes = 0
        self.soonest_ns = FOREVER_NS  # no deadline is before this

    def __iter__(self) -> Iterator[Exchange]:
        for line in self._lines:
            yield from line

    def add(self, exchange: Exchange, rows: int) -> None:
        """Let a request wait behind those of its rank."""
        self._lines[exchange.rank].append(exchange)
        self._ranks[exchange.rank] += rows
        self.rows += rows
        self.requests += 1
        self.bytes += exchange.size
        if exchange.deadline_ns < self.soonest_ns:  # noqa: PLR1730  (`min` takes thrice as long)
            self.soonest_ns = exchange.deadline_ns

    def rows_before(self, rank: int) -> int:
        """Return the rows that go before a request of this rank that comes now."""
        return sum(self._ranks[: rank + 1])

    def rows_next(self, rows_max: int) -> int:
        """Return about how many rows `take` would give."""
        line = self._first()
        own = decoded(line[0]).rows if line else 0
        return max(own, min(self.rows, rows_max))

    def take(self, rows_max: int, now: int) -> tuple[list[Exchange], list[Exchange]]:
        """Take the next requests: at most `rows_max` rows, or one request of more.

        The second list holds those that nobody waits for any more, which are taken beside them.
        """
        if self.rows <= rows_max and now < self.soonest_ns and (whole := self._take_all()):
            return whole, []
        batch: list[Exchange] = []
        late: list[Exchange] = []
        room = rows_max
        while line := self._first():
            one = line[0]
            rows = decoded(one).rows
            if one.abandoned or one.deadline_ns < now:
                late.append(one)
            elif batch and rows > room:
                break
            else:
                batch.append(one)
                room -= rows
            line.popleft()
            self._without(one, rows)
        return batch, late

    def _take_all(self) -> list[Exchange]:
        """Take them all, as is usual: none where they are not all normal, or some have gone."""
        line = self._lines[NORMAL]
        if len(line) != self.requests or any([one.abandoned for one in line]):  # noqa: C419  (a list is quicker)
            return []
        batch = list(line)
        line.clear()
        self._ranks[NORMAL] = self.requests = self.rows = self.bytes = 0
        self.soonest_ns = FOREVER_NS
        return batch

    def take_late(self, now: int) -> list[Exchange]:
        """Take those whose deadline has passed."""
        if now < self.soonest_ns:
            return []
        late = [one for one in self if one.deadline_ns < now]
        for one in late:
            self._lines[one.rank].remove(one)
            self._without(one, decoded(one).rows)
        self.soonest_ns = min((one.deadline_ns for one in self), default=FOREVER_NS)
        return late

    def _without(self, exchange: Exchange, rows: int) -> None:
        self._ranks[exchange.rank] -= rows
        self.rows -= rows
        self.requests -= 1
        self.bytes -= exchange.size

    def _first(self) -> deque[Exchange]:
        """Return the line whose first request is next, or an empty one."""
        normal = self._lines[NORMAL]
        if self._ranks[NORMAL] == self.rows:
            return normal
        rank = next_rank([line[0].queued_at if line else None for line in self._lines])
        return normal if rank is None else self._lines[rank]


def decoded(exchange: Exchange) -> Decoded:
    """Return what a request holds: it waits for the model only when it is decoded."""
    if exchange.decoded is None:
        raise AssertionError("an exchange waits for the model only when it is decoded")
    return exchange.decoded
