"""The contract of `LossWatches`: the same tests for every adapter."""

from dataclasses import replace

import pytest

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.monitoring.loss_watches import SqlLossWatches
from servewell.core.catalog.loss_watch import Adwin, Bucket, Cut, LossWatch, Watched
from servewell.ports.loss_watches import LossWatches


@pytest.fixture
def watches(database: Database) -> LossWatches:
    """Each adapter in turn."""
    return SqlLossWatches(database)


def watched(cursor: int) -> LossWatch:
    """Return a watch that has seen something."""
    bucket = Bucket(count=4, total=1.25, deviations=0.5, first_at=10.5)
    cut = Cut(at=10.5, found_at=11.0, before=0.1, now=0.4, values=4)
    one = Watched(
        measure="brier",
        scale=1.0,
        adwin=Adwin(buckets=(bucket,), since_look=3, seen=9),
        cuts=(cut,),
        labels=9,
    )
    return LossWatch(endpoint="flights", cursor=cursor, deployments={"champion": one})


def test_a_watch_is_kept_whole(watches: LossWatches) -> None:
    """What is kept comes back as it was, and an endpoint that was never watched is at its start."""
    assert watches.of("flights") == LossWatch(endpoint="flights")
    assert watches.advance(watched(9), cursor=0)
    assert watches.of("flights") == watched(9)
    assert watches.of("other") == LossWatch(endpoint="other")


def test_only_who_knows_the_last_label_goes_on(watches: LossWatches) -> None:
    """Two that looked at the same labels: the second is refused, so each label counts once."""
    assert watches.advance(watched(9), cursor=0)
    assert not watches.advance(watched(9), cursor=0)
    assert not watches.advance(replace(watched(20), deployments={}), cursor=5)
    assert watches.advance(watched(20), cursor=9)
    assert watches.of("flights").cursor == 20
