"""The contracts of `FeedbackInbox`, `FeedbackStore` and `ConsentTexts`."""

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.labels import SqlLabels
from servewell.adapters.embedded.monitoring.feedback import SqlConsentTexts, SqlFeedback
from servewell.adapters.embedded.monitoring.feedback_inbox import FolderFeedbackInbox
from servewell.core.catalog.feedback import (
    ConsentText,
    CorrectionState,
    Feedback,
    Said,
    Scope,
)
from servewell.core.catalog.label import Label
from servewell.ports.feedback import (
    ConsentTexts,
    FeedbackInbox,
    FeedbackMissingError,
    FeedbackQuery,
    FeedbackStore,
    InboxFullError,
)
from servewell.ports.storage import StorageError

TEXT = ConsentText(version="1", text="We may keep it.", scope=Scope.LABEL)


def said(number: int) -> Said:
    """Return a piece of feedback."""
    return Said(
        entry=f"{number:032x}",
        at=float(number),
        endpoint="flights",
        prediction_id=f"p{number}",
        row=0,
        author="browser",
        principal="",
        rating="up",
        correction=1.5,
        comment="fine",
    )


def kept(name: str, **changes: object) -> Feedback:
    """Return feedback as it is kept."""
    plain = Feedback(
        id=name,
        entry="1",
        at=10.0,
        endpoint="flights",
        deployment="blue",
        prediction_id="p",
        row=0,
        author="browser",
        principal="",
        rating="up",
        correction=None,
        comment="",
        subject="",
        consent_version="",
        consent_digest="",
        consent_scope="",
        state=CorrectionState.NONE,
        because="",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.fixture(params=[pytest.param(FolderFeedbackInbox, id="embedded")])
def inbox(request: pytest.FixtureRequest, tmp_path: Path) -> FeedbackInbox:
    """Each inbox in turn; its folder does not exist yet."""
    made: FeedbackInbox = request.param(tmp_path / "feedback")
    return made


@pytest.fixture(params=[pytest.param(SqlFeedback, id="embedded")])
def store(request: pytest.FixtureRequest, database: Database) -> FeedbackStore:
    """Each store in turn."""
    made: FeedbackStore = request.param(database)
    return made


@pytest.fixture(params=[pytest.param(SqlConsentTexts, id="embedded")])
def consents(request: pytest.FixtureRequest, database: Database) -> ConsentTexts:
    """Each store of texts in turn."""
    made: ConsentTexts = request.param(database)
    return made


def test_what_is_put_waits_until_it_is_done(inbox: FeedbackInbox) -> None:
    """Batches come whole, oldest first, again and again, until they are done."""
    assert inbox.waiting(9) == ()
    inbox.put([said(1), said(2)])
    inbox.put([said(3)])
    with inbox.taking():
        first, second = inbox.waiting(9)
        assert (first.said, second.said) == ((said(1), said(2)), (said(3),))
        assert inbox.waiting(1) == (first,)
        inbox.done(first)
        inbox.done(first)
    assert inbox.waiting(9) == (second,)


def test_a_damaged_batch_holds_up_none(inbox: FeedbackInbox, tmp_path: Path) -> None:
    """It is told of once and set aside, byte by byte as it was, until its time has passed."""
    inbox.put([said(1)])
    (place,) = (tmp_path / "feedback").glob("*.feedback")
    place.write_bytes(place.read_bytes().replace(b"fine", b"gone"))
    inbox.put([said(2)])
    damaged, good = inbox.waiting(9)
    assert (damaged.damaged, damaged.said, good.said) == (True, (), (said(2),))
    assert inbox.waiting(9) == (good,)
    assert [Path(one).read_bytes().count(b"gone") for one in inbox.damaged()] == [1]
    (aside,) = inbox.damaged()
    assert inbox.sweep(Path(aside).stat().st_mtime) == ()
    assert inbox.sweep(Path(aside).stat().st_mtime + 1) == (Path(aside).name,)
    assert (inbox.damaged(), inbox.waiting(9)) == ((), (good,))


def test_an_inbox_is_bounded_and_says_what_the_disk_says(tmp_path: Path) -> None:
    """A full one, and one that cannot be written, raise the port's errors."""
    small = FolderFeedbackInbox(tmp_path / "small", files_max=1)
    small.put([said(1)])
    with pytest.raises(InboxFullError):
        small.put([said(2)])
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        FolderFeedbackInbox(tmp_path / "file").put([said(1)])


def _put_for_ever(folder: Path, acknowledged: Path) -> None:
    inbox = FolderFeedbackInbox(folder)
    with acknowledged.open("a") as file:
        for number in range(100_000):
            inbox.put([said(number)])
            file.write(f"{number}\n")
            file.flush()


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """A process that is killed while it writes leaves whole batches, at most one more than told."""
    told = tmp_path / "told"
    process = multiprocessing.get_context("fork").Process(
        target=_put_for_ever, args=(tmp_path / "feedback", told)
    )
    process.start()
    while not told.exists() or told.stat().st_size < 40:
        assert process.is_alive()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    numbers = [int(one) for one in told.read_text().splitlines()]
    inbox = FolderFeedbackInbox(tmp_path / "feedback")
    found = [int(one.at) for batch in inbox.waiting(100_000) for one in batch.said]
    assert found[: len(numbers)] == numbers
    assert len(found) <= len(numbers) + 1
    assert inbox.damaged() == ()


def test_an_author_has_one_piece_for_a_row(store: FeedbackStore) -> None:
    """The newest by its time holds, in whatever order and however often it is kept."""
    old, new = kept("a", comment="old"), kept("a", at=11.0, entry="2", comment="new")
    store.keep([new, kept("b"), old])
    store.keep([old, new])
    assert store.find(FeedbackQuery()) == (new, kept("b"))
    assert store.find(FeedbackQuery(ids=("b", "c"))) == (kept("b"),)


def test_feedback_is_found_by_what_it_is(store: FeedbackStore) -> None:
    """By endpoint, person, prediction, state and time; the newest first, so many at most."""
    one = kept("a", subject="s", state=CorrectionState.PENDING, correction=2.5)
    two = kept("b", endpoint="trains", at=12.0, prediction_id="q")
    store.keep([one, two])
    assert store.find(FeedbackQuery(limit=1)) == (two,)
    assert store.find(FeedbackQuery(before=12.0)) == (one,)
    for query in (
        FeedbackQuery(subject="s"),
        FeedbackQuery(endpoint="flights"),
        FeedbackQuery(prediction_id="p"),
        FeedbackQuery(state=CorrectionState.PENDING),
    ):
        assert store.find(query) == (one,)


def test_counts_are_by_deployment_and_window(store: FeedbackStore) -> None:
    """Ratings, consents, comments and corrections are counted where they were given."""
    store.keep(
        [
            kept("a", at=99.5),
            kept("b", at=100.0, consent_version="1", comment="x"),
            kept("c", at=100.5, rating="2", state=CorrectionState.PENDING),
            kept("d", at=101.0, deployment="green", state=CorrectionState.ACCEPTED),
            kept("e", at=101.0, endpoint="trains"),
            kept("f", at=1.0),
        ]
    )
    found = store.counts("flights", since=50.0, window_s=100)
    told = [(one.deployment, one.start, one.rating, one.total) for one in found]
    assert told == [
        ("blue", 0, "up", 1),
        ("blue", 100, "2", 1),
        ("blue", 100, "up", 1),
        ("green", 100, "up", 1),
    ]
    assert [(one.consented, one.comments) for one in found] == [(0, 0), (0, 0), (1, 1), (0, 0)]
    assert [(one.pending, one.accepted) for one in found] == [(0, 0), (1, 0), (0, 0), (0, 1)]


def label(one: Feedback, value: float) -> Label:
    """Return the label that a correction became."""
    return Label(
        prediction_id=one.prediction_id,
        row=0,
        endpoint="flights",
        deployment="blue",
        role="",
        predicted_at=1.0,
        value=value,
        added_at=2.0,
        principal="Bo",
        source=one.source,
    )


def test_a_label_goes_with_its_correction(store: FeedbackStore, database: Database) -> None:
    """Removed, rejected or replaced, it is emptied; its number and other labels stay."""
    labels = SqlLabels(database)
    accepted = [
        kept(name, prediction_id=name, state=CorrectionState.ACCEPTED, correction=4.25)
        for name in ("a", "b", "c", "d")
    ]
    store.keep(accepted)
    labels.add([replace(label(accepted[0], 9.0), source="truth.csv")])
    labels.add([label(one, 4.25) for one in accepted])
    assert store.remove([accepted[0]]) == 1
    store.settle("b", state=CorrectionState.REJECTED, because="no")
    store.keep([replace(accepted[2], at=20.0, state=CorrectionState.NONE, correction=None)])
    assert store.remove([accepted[3]], labels=False) == 0
    assert [one.value for one in labels.history("a")] == [9.0]
    assert labels.history("b") == labels.history("c") == ()
    assert [one.value for one in labels.history("d")] == [4.25]
    assert labels.last() == 5
    assert [one.value for one in labels.since(0, endpoint="flights", limit=9)] == [9.0, 4.25]


def test_what_was_said_later_is_not_removed(store: FeedbackStore) -> None:
    """An order to remove that is late does not reach what came after it."""
    new = kept("a", at=20.0)
    store.keep([new])
    store.remove([kept("a")])
    assert store.find(FeedbackQuery()) == (new,)
    with pytest.raises(FeedbackMissingError):
        store.settle("z", state=CorrectionState.REJECTED, because="")


def test_what_is_over_is_remembered_for_its_time(store: FeedbackStore) -> None:
    """However often it is told; then it is forgotten."""
    store.close(["a", "b"], now=1.0, until=5.0)
    store.close(["a", "a"], now=2.0, until=9.0)
    assert store.closed(["a", "b", "c"]) == {"a", "b"}
    store.close(["c"], now=6.0, until=9.0)
    assert store.closed(["a", "b", "c"]) == {"a", "c"}


def test_texts_of_consent_are_kept_once(consents: ConsentTexts) -> None:
    """Another text of the same version is another; each is told in the order of its coming."""
    for at in (1.0, 2.0):
        consents.keep("flights", TEXT, at=at)
    other = replace(TEXT, text="We may keep all of it.")
    consents.keep("flights", other, at=3.0)
    assert consents.of("flights") == (TEXT, other)
    assert consents.of("trains") == ()
