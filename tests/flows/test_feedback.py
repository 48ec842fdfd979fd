"""From the inbox to labels, and out of every file again."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ports.written_log import START_S, Log, answered
from servewell.cli.app import run
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import Deployment, Endpoint, EndpointPolicy
from servewell.core.catalog.feedback import (
    Consent,
    Corrections,
    CorrectionState,
    Feedback,
    FeedbackPolicy,
    Said,
    Scope,
)
from servewell.core.catalog.known_workload import KnownWorkload
from servewell.core.catalog.profile import ReferenceProfile
from servewell.core.catalog.workload import Artifact, Workload
from servewell.core.catalog.workload_feedback import ConsentRules, FeedbackRules
from servewell.core.operations.monitoring.feedback import (
    ConsentTextChangedError,
    CorrectionMoveError,
    Move,
)
from servewell.core.security.feedback_token import subject_token
from servewell.flows.monitoring.feedback import (
    check_consent_text,
    end_feedback_retention,
    take_up_feedback,
)
from servewell.flows.monitoring.feedback_by_hand import (
    erase_subject,
    export_subject,
    list_feedback,
    move_correction,
    summarise,
)
from servewell.flows.platform import Platform
from servewell.ports.feedback import FeedbackQuery

CANARY = "the-yellow-bird-sings"
AGREED = Consent(version="1", text="We may keep it.", scope=Scope.LABEL)


@pytest.fixture
def log(platform: Platform, tmp_path: Path) -> Log:
    """Ten answered predictions of the endpoint `flights`, whose corrections wait for a person."""
    log = Log(platform.records, tmp_path / "home" / "records")
    log.write("w0", [answered(number) for number in range(10)])
    publish(platform, Corrections.REVIEW)
    return log


def publish(
    platform: Platform, corrections: Corrections, deployments: tuple[Deployment, ...] = ()
) -> None:
    """Have the endpoint take feedback."""
    policy = EndpointPolicy(feedback=FeedbackPolicy(corrections=corrections))
    known = {one.name: one for one in platform.endpoints.list()}.get("flights")
    revision = known.revision if known else 0
    made = Endpoint(
        name="flights",
        workload="flights",
        policy=policy,
        revision=revision,
        deployments=deployments,
    )
    change = Change(
        at=0.0, principal="Bo", kind=ChangeKind.POLICY_SET, subject="flights", because="a test"
    )
    platform.endpoints.save(made, change)


def said(platform: Platform, number: int, *, at: float = 1.0, **changes: object) -> Said:
    """Return what Ada says of a prediction, by a key."""
    subject = subject_token("Ada", platform.secrets.get("feedback"))
    plain = {
        "entry": f"{int(at * 10):032x}",
        "at": START_S + at,
        "endpoint": "flights",
        "prediction_id": f"id-{number:06d}",
        "row": 0,
        "author": f"subject:{subject}",
        "principal": "app",
        "rating": "down",
        "correction": 0,
        "comment": CANARY,
        "subject": subject,
        "consent": AGREED,
    }
    return Said(**(plain | changes))  # type: ignore[arg-type]


def only(platform: Platform) -> Feedback:
    """Return the one piece of feedback there is."""
    (found,) = list_feedback(platform, FeedbackQuery(endpoint="flights"))
    return found


def files_with(home: Path, text: str) -> list[str]:
    """Return every file of a home in which a text stands."""
    found = [one for one in home.rglob("*") if one.is_file() and text.encode() in one.read_bytes()]
    return [one.name for one in found]


def test_a_correction_waits_then_becomes_a_label(platform: Platform, log: Log) -> None:
    """A person accepts it: it stands beside what was predicted; rejected, it is emptied again."""
    del log
    platform.feedback_inbox.put([said(platform, 3)])
    waiting = only(platform)
    assert (waiting.state, waiting.deployment) == (CorrectionState.PENDING, "champion")
    assert platform.labels.history("id-000003") == ()
    dry = move_correction(platform, waiting.id, Move.ACCEPT, dry_run=True)
    assert (dry.state, only(platform).state) == (CorrectionState.ACCEPTED, CorrectionState.PENDING)
    move_correction(platform, waiting.id, Move.ACCEPT, because="I saw it")
    (label,) = platform.labels.history("id-000003")
    assert (label.value, label.loss, label.source) == (0, 0.5625, f"feedback {waiting.id}")
    move_correction(platform, waiting.id, Move.REJECT)
    assert platform.labels.history("id-000003") == ()
    told = [one.because for one in platform.history.changes("flights")]
    assert [waiting.id in one for one in told] == [False, True, True]


def test_a_label_from_feedback_keeps_the_slice_of_its_row(platform: Platform, log: Log) -> None:
    """As one from a file does, taken up at once or accepted by a person."""
    del log
    package = "a" * 64
    champion = Deployment(
        name="champion", model="flights", version=1, package=package, package_signature=""
    )
    platform.profiles.keep_reference(
        ReferenceProfile(
            package=package, version="flights:1", source="", bins=(), slices=("carrier",)
        )
    )
    for number, corrections in enumerate((Corrections.LABEL, Corrections.REVIEW)):
        publish(platform, corrections, (champion,))
        platform.feedback_inbox.put([said(platform, number)])
        take_up_feedback(platform)
    (waiting,) = platform.feedback.find(FeedbackQuery(state=CorrectionState.PENDING))
    move_correction(platform, waiting.id, Move.ACCEPT)
    for number in range(2):
        (label,) = platform.labels.history(f"id-{number:06}")
        assert label.slices == {"carrier": "AA"}


def test_what_is_taken_up_twice_counts_once(platform: Platform, log: Log) -> None:
    """A process that dies between keeping and forgetting leaves nothing double or undone."""
    del log
    publish(platform, Corrections.LABEL)
    batch = [said(platform, 1), said(platform, 2, author="browser", consent=None, correction=None)]
    platform.feedback_inbox.put(batch)
    take_up_feedback(platform)
    first = platform.feedback.find(FeedbackQuery())
    assert platform.feedback_inbox.waiting(9) == ()
    platform.feedback_inbox.put(batch)
    take_up_feedback(platform)
    assert platform.feedback.find(FeedbackQuery()) == first
    assert len(platform.labels.history("id-000001")) == 1
    label = platform.labels.history("id-000001")[0]
    move_correction(platform, label.source.removeprefix("feedback "), Move.REJECT)
    platform.feedback_inbox.put(batch)
    take_up_feedback(platform)
    assert platform.labels.history("id-000001") == ()


def test_another_truth_is_not_overruled_by_itself(platform: Platform, log: Log) -> None:
    """Where a label is known from elsewhere, the correction waits, and says whose that is."""
    del log
    publish(platform, Corrections.LABEL)
    platform.feedback_inbox.put([said(platform, 4)])
    take_up_feedback(platform)
    (label,) = platform.labels.history("id-000004")
    assert label.principal == "app"
    platform.feedback_inbox.put([said(platform, 4, author="browser", at=2.0)])
    waiting = list_feedback(
        platform, FeedbackQuery(endpoint="flights", state=CorrectionState.PENDING)
    )
    assert [label.source in one.because for one in waiting] == [True]


def test_two_corrections_that_came_together_are_not_both_labels(
    platform: Platform, log: Log
) -> None:
    """The first is a label; the other waits, and says beside which."""
    del log
    publish(platform, Corrections.LABEL)
    batch = [said(platform, 4), said(platform, 4, author="browser", at=2.0, correction=1)]
    platform.feedback_inbox.put(batch)
    take_up_feedback(platform)
    (label,) = platform.labels.history("id-000004")
    assert label.value == 0
    (waiting,) = platform.feedback.find(FeedbackQuery(state=CorrectionState.PENDING))
    assert label.source in waiting.because


def test_a_person_who_says_who_they_are_counts_once(platform: Platform, log: Log) -> None:
    """What they said before by the same key goes with it, and with its withdrawal."""
    del log
    nobody = {"subject": "", "consent": None, "correction": None, "comment": "", "author": "key:k1"}
    platform.feedback_inbox.put([said(platform, 5, **nobody)])
    take_up_feedback(platform)
    platform.feedback_inbox.put([said(platform, 5, at=2.0, replaces="key:k1")])
    assert only(platform).subject
    platform.feedback_inbox.put([said(platform, 5, at=3.0, **nobody)])
    assert len(list_feedback(platform, FeedbackQuery(endpoint="flights"))) == 2
    gone = {"withdrawn": True, "rating": "", "correction": None, "comment": "", "consent": None}
    platform.feedback_inbox.put([said(platform, 5, at=4.0, replaces="key:k1", **gone)])
    assert list_feedback(platform, FeedbackQuery(endpoint="flights")) == ()


def test_what_is_said_again_replaces_and_can_be_withdrawn(
    platform: Platform, log: Log, tmp_path: Path
) -> None:
    """The last word counts, and no file of the home has the earlier one any more."""
    del log
    publish(platform, Corrections.LABEL)
    platform.feedback_inbox.put([said(platform, 5, correction=CANARY)])
    take_up_feedback(platform)
    assert files_with(tmp_path / "home", CANARY)
    platform.feedback_inbox.put([said(platform, 5, at=2.0, rating="up", comment="", correction=1)])
    take_up_feedback(platform)
    assert (only(platform).rating, only(platform).comment) == ("up", "")
    assert [one.value for one in platform.labels.history("id-000005")][-1] == 1
    withdrawn = said(platform, 5, at=3.0, withdrawn=True, comment="", correction=None, rating="")
    platform.feedback_inbox.put([withdrawn])
    take_up_feedback(platform)
    assert list_feedback(platform, FeedbackQuery(endpoint="flights")) == ()
    assert platform.labels.history("id-000005") == ()
    assert files_with(tmp_path / "home", CANARY) == []


def test_a_copy_of_what_was_withdrawn_comes_back_in_no_way(platform: Platform, log: Log) -> None:
    """Neither together with the withdrawal nor after it; another row is not concerned."""
    del log
    browser = {"author": "browser", "subject": "", "consent": None, "correction": None}
    gone = browser | {"withdrawn": True, "rating": "", "comment": ""}
    platform.feedback_inbox.put([said(platform, 5, at=2.0, **gone)])
    platform.feedback_inbox.put([said(platform, 5, at=3.0, **browser)])
    assert list_feedback(platform, FeedbackQuery(endpoint="flights")) == ()
    platform.feedback_inbox.put([said(platform, 5, at=4.0, **browser)])
    platform.feedback_inbox.put([said(platform, 6, at=5.0, **browser)])
    assert only(platform).prediction_id == "id-000006"


def test_a_person_is_exported_and_erased(platform: Platform, log: Log, tmp_path: Path) -> None:
    """All that Ada said is told with the text she agreed to, then gone; Bo's stays."""
    del log
    publish(platform, Corrections.LABEL)
    platform.feedback_inbox.put([said(platform, 1), said(platform, 2, at=2.0)])
    other = subject_token("Bo", platform.secrets.get("feedback"))
    kept = said(platform, 3, subject=other, author=f"subject:{other}", comment="fine")
    platform.feedback_inbox.put([kept])
    exported = export_subject(platform, "Ada")
    assert [one.comment for one in exported.feedback] == [CANARY, CANARY]
    assert [one.text for one in exported.texts] == ["We may keep it."]
    dry = erase_subject(platform, "Ada", dry_run=True)
    assert (dry.feedback, dry.labels, dry.dry_run) == (2, 2, True)
    erased = erase_subject(platform, "Ada")
    assert (erased.feedback, erased.labels, erased.endpoints) == (2, 2, ("flights",))
    assert files_with(tmp_path / "home", CANARY) == []
    assert export_subject(platform, "Ada").feedback == ()
    assert only(platform).comment == "fine"
    assert "Ada" not in platform.history.changes("flights")[-1].because


def test_a_person_gets_the_text_that_they_saw(platform: Platform, log: Log) -> None:
    """Of two texts of one version it is the one whose digest they agreed to."""
    del log
    other = replace(AGREED, text="We may sell it.")
    platform.feedback_inbox.put(
        [said(platform, 1), said(platform, 2, author="other", consent=other)]
    )
    bo = subject_token("Bo", platform.secrets.get("feedback"))
    platform.feedback_inbox.put([said(platform, 3, subject=bo, author="bo", consent=other)])
    assert [one.text for one in export_subject(platform, "Bo").texts] == ["We may sell it."]


def test_another_text_of_a_version_is_refused(platform: Platform, log: Log) -> None:
    """By what people agreed to, and by what is asked for now; another version is welcome."""
    del log
    platform.feedback_inbox.put([said(platform, 1)])
    take_up_feedback(platform)
    (endpoint,) = platform.endpoints.list()
    same = ConsentRules(version="1", text=AGREED.text)
    other = ConsentRules(version="1", text="We may sell it.")
    for consent in (same, replace(other, version="2")):
        check_consent_text(platform, endpoint, FeedbackRules(enabled=True, consent=consent))
    with pytest.raises(ConsentTextChangedError):
        check_consent_text(platform, endpoint, FeedbackRules(enabled=True, consent=other))
    check_consent_text(platform, None, FeedbackRules(enabled=True, consent=other))


def test_what_nobody_can_read_is_told(platform: Platform, log: Log, tmp_path: Path) -> None:
    """A damaged batch is in the history, and whoever erases is told to look at it."""
    del log
    platform.feedback_inbox.put([said(platform, 1)])
    (place,) = (tmp_path / "home" / "feedback").glob("*.feedback")
    place.write_bytes(b"torn")
    erased = erase_subject(platform, "Ada")
    assert (erased.feedback, len(erased.unreadable)) == (0, 1)
    assert "set aside" in platform.history.changes("feedback")[-1].because
    end_feedback_retention(platform)
    assert len(platform.feedback_inbox.damaged()) == 1
    os.utime(erased.unreadable[0], (START_S, START_S))
    end_feedback_retention(platform)
    assert platform.feedback_inbox.damaged() == ()
    assert "removed" in platform.history.changes("feedback")[-1].because


def test_retention_ends_by_itself(platform: Platform, log: Log) -> None:
    """What is older than its workload says goes; its label, which names nobody, stays."""
    del log
    publish(platform, Corrections.LABEL)
    now = platform.clock.now()
    rules = FeedbackRules(enabled=True, retention_days=2)
    workload = Workload(workload="flights", artifact=Artifact(path="m.onnx"), feedback=rules)
    known = KnownWorkload(
        name="flights",
        folder="/",
        digest="",
        workload=workload,
        at=0.0,
        principal="Bo",
        scheduled_from=0.0,
    )
    platform.workloads.save(known)
    old, new = now - 2.1 * 86_400 - START_S, now - 1.9 * 86_400 - START_S
    batch = [said(platform, 1, at=old), said(platform, 2, at=new)]
    platform.feedback_inbox.put(batch)
    take_up_feedback(platform)
    end_feedback_retention(platform)
    assert only(platform).prediction_id == "id-000002"
    assert len(platform.labels.history("id-000001")) == 1


def test_no_label_without_a_record(platform: Platform, log: Log) -> None:
    """Feedback of an unknown prediction counts and becomes no label; of one gone since, neither."""
    platform.feedback_inbox.put([said(platform, 99), said(platform, 8)])
    unknown, known = sorted(
        list_feedback(platform, FeedbackQuery(endpoint="flights")), key=lambda one: one.deployment
    )
    assert (unknown.deployment, unknown.state) == ("", CorrectionState.IGNORED)
    for path in log.folder.rglob("*.segment"):
        path.unlink()
    with pytest.raises(CorrectionMoveError, match="record of its prediction is gone"):
        move_correction(platform, known.id, Move.ACCEPT)
    found = summarise(platform, "flights", since=0.0, window_s=86_400)
    assert [(one.deployment, one.total) for one in found.deployments] == [("", 1), ("champion", 1)]


def test_the_commands_say_it_in_words(
    platform: Platform, log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    """Summary, list, accept, export and erase are words and tables, or JSON."""
    del log
    platform.feedback_inbox.put([said(platform, 1), said(platform, 2, rating="5", at=2.0)])

    def words(*arguments: str, code: int = 0) -> str:
        assert run(lambda _: platform, ["feedback", *arguments]) == code
        return capsys.readouterr().out

    told = words("summary", "flights", "--last", "100000d", "--by", "day")
    assert "champion" in told
    assert "2 corrections wait" in told
    assert json.loads(words("summary", "flights", "--last", "100000d", "--json"))["deployments"]
    listed = json.loads(words("list", "flights", "--pending", "--json"))
    assert CANARY in words("list", "flights")
    assert "would be accepted" in words("accept", listed[0]["id"], "--dry-run")
    assert "accepted" in words("accept", listed[0]["id"], "--because", "I saw it")
    words("accept", listed[0]["id"], code=4)
    assert CANARY in words("export", "--subject", "Ada")
    assert "2 pieces of feedback erased" in words("erase", "--subject", "Ada")
    assert "Nothing was said" in words("list", "flights")
