"""What a real worker records of a shadow, followed and compared, and joined to labels."""

import pytest

from servewell.adapters.embedded.records import FileRecords
from servewell.core.catalog.comparison import Comparison
from servewell.core.catalog.key import Role
from servewell.core.catalog.label import Label, Told
from servewell.core.catalog.outcome import Outcome
from servewell.core.operations.comparison import Copied, compare
from servewell.core.operations.labelled import labelled
from servewell.core.operations.outcome_batch import counts
from serving.home import Home, flight_model, request
from serving.test_shadow import INFER, publish, wait_for

pytestmark = pytest.mark.enable_socket

SHARE_BP = 5_000
COPIED = Copied(shadow="candidate", share_bp=SHARE_BP, difference_max=4.5)


class Watcher:
    """Somebody who follows the records of a home, and compares."""

    def __init__(self, home: Home) -> None:
        self.records = FileRecords(home.folder / "records")
        self.cursor = self.records.start_cursor(float("inf"))
        self.found: list[Outcome] = []
        self.told = Comparison()

    def look(self) -> int:
        """Take up what is new; return how much it was."""
        followed = self.records.follow(self.cursor, endpoint="flights", inputs=True)
        self.cursor = followed.cursor
        self.found.extend(followed.outcomes)
        self.told = compare(self.told, followed.outcomes, copied=COPIED)
        assert (followed.missing, followed.gaps) == (0, ())
        return len(followed.outcomes)


def test_a_real_shadow_is_followed_and_compared(home: Home) -> None:
    """Every copy meets its live answer once, also over a compaction; who was pinned is left out.

    The worker is killed with the segment in its hands: nothing of it is lost.
    """
    live = home.deployment("live", flight_model(2.0))
    candidate = home.deployment("candidate", flight_model(3.0), version=2, share_bp=0)
    key = publish(home, live, candidate, share_bp=SHARE_BP, role=Role.ADMINISTRATOR)
    watcher = Watcher(home)
    with home.process() as process:
        home.wait_for_snapshot()
        for number in range(30):
            delay = number * (number % 2)  # at 0 the two answer alike
            home.send("POST", INFER, key=key, body=request(delay=[float(delay)]))
            watcher.look()
        pinned = {"servewell-deployment": "candidate"}
        home.send("POST", INFER, key=key, body=request(), headers=pinned)
        wait_for(lambda: not watcher.look() and not watcher.told.waiting)
        process.kill()
        process.wait()
    watcher.records.compact(2e9, age_s=0)
    assert watcher.look() == 0
    found, told = watcher.found, watcher.told
    assert told.requests == told.rows == len({one.prediction_id for one in found if one.is_shadow})
    assert 0 < told.requests < 30
    assert (told.unmatched, told.never_ran, told.early, told.failed) == (0, 0, (), 0)
    assert 0 < told.differing < told.rows
    assert told.examples[0].inputs["delay"] == told.largest
    assert [counts(one) for one in found if one.is_pinned] == [False]


def test_labels_find_what_a_real_worker_recorded(home: Home) -> None:
    """By the id in the answer, while the segment is written and after it was compacted."""
    key = publish(home, home.deployment("live", flight_model(2.0)), share_bp=0)
    with home.process():
        home.wait_for_snapshot()
        replies = [home.send("POST", INFER, key=key, body=request()) for _ in range(3)]
        ids = [one.headers["servewell-prediction-id"] for one in replies]
        wanted = [Told(prediction_id=one, row=0, value=18.0) for one in ids]
        records = FileRecords(home.folder / "records")
        at_once = joined(records, wanted)
    records.compact(2e9, age_s=0)
    for labels in (at_once, joined(records, wanted)):
        told = [(one.deployment, one.loss, one.measure) for one in labels]
        assert told == [("live", 4.0, "absolute error")] * 3


def joined(records: FileRecords, told: list[Told]) -> tuple[Label, ...]:
    """Return labels beside what was predicted."""
    found = records.find({one.prediction_id for one in told})
    return labelled(told, found, added_at=0.0, principal="ada", source="truth.csv").labels
