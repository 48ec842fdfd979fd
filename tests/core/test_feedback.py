"""The rules of feedback: what is read, what is kept of it, and where a correction stands."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servewell.core.catalog.feedback import (
    Consent,
    ConsentText,
    Corrections,
    CorrectionState,
    FeedbackCount,
    FeedbackPolicy,
    Said,
    Scope,
)
from servewell.core.catalog.outcome import Outcome
from servewell.core.catalog.prediction_id import made_at
from servewell.core.catalog.workload_feedback import ConsentRules, FeedbackRules
from servewell.core.catalog.workload_rules import breaches, dotted
from servewell.core.operations.monitoring.feedback import (
    MOVES,
    ConsentTextChangedError,
    CorrectionMoveError,
    Move,
    answered_by,
    author_before,
    author_of,
    check_text,
    decide_arrival,
    decide_move,
    feedback_of,
    newest_by_author,
    policy_of,
    text_digest,
)
from servewell.core.operations.monitoring.feedback_reading import (
    faults_in,
    read,
    withdrawal_faults,
)
from servewell.core.operations.monitoring.feedback_signals import less_liked
from servewell.core.operations.monitoring.feedback_summary import summarised
from servewell.core.security.feedback_token import (
    feedback_token,
    subject_token,
    token_prediction,
)

KEY = b"k" * 32
PREDICTION = "18ea9168eb91e600a2a7ddb900000000"
TEXT = ConsentText(version="2", text="We may keep it.", scope=Scope.LABEL)
ASKING = FeedbackPolicy(consent=TEXT)
GIVEN = {"given": True, "version": "2", "scope": "label"}
AGREED = Consent(version="2", text=TEXT.text, scope=Scope.LABEL)
FULL = {
    "prediction_id": PREDICTION,
    "row": 1,
    "rating": "down",
    "correction": 0,
    "comment": "late",
    "subject": "Ada",
    "consent": GIVEN,
}


def said(**changes: object) -> Said:
    """Return a correction whose consent covers labels."""
    plain = {
        "entry": "e",
        "at": 1.0,
        "endpoint": "flights",
        "prediction_id": "p",
        "row": 0,
        "author": "browser",
        "principal": "",
        "rating": "down",
        "correction": 1,
        "consent": AGREED,
    }
    return Said(**(plain | changes))  # type: ignore[arg-type]


def outcome(**changes: object) -> Outcome:
    """Return an answer of two rows."""
    plain = {
        "prediction_id": "p", "time_ns": 1, "deployment": "blue", "role": "", "status": 200,
        "code": "", "snapshot": 1, "rows": 2, "stages_us": (1,), "outputs": {"y": [1, 0]},
        "inputs": {}, "segment": "s", "sequence": 0, "endpoint": "flights",
    }  # fmt: skip
    return Outcome(**(plain | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rating": None}, "rating"),
        ({"rating": True}, "rating"),
        ({"rating": 6}, "rating"),
        ({"rating": 1.0}, "rating"),
        ({"prediction_id": ""}, "prediction_id"),
        ({"prediction_id": PREDICTION.upper()}, "prediction_id"),
        ({"prediction_id": PREDICTION + "0"}, "prediction_id"),
        ({"row": -1}, "row"),
        ({"row": True}, "row"),
        ({"correction": ""}, "correction"),
        ({"correction": [1]}, "correction"),
        ({"correction": float("inf")}, "correction"),
        ({"correction": 1 << 60}, "correction"),
        ({"comment": "x" * 2_001}, "comment"),
        ({"comment": 7}, "comment"),
        ({"subject": "x" * 257}, "subject"),
        ({"consent": True}, "consent"),
        ({"consent": {"given": "yes"}}, "consent.given"),
        ({"consent": GIVEN | {"version": "1"}}, "consent.version"),
        ({"consent": GIVEN | {"scope": "everything"}}, "consent.scope"),
        ({"consent": GIVEN | {"digest": text_digest("Another text.")}}, "consent.digest"),
        ({"consent": GIVEN | {"more": 1}}, "consent.(another)"),
        ({"ratng": "up"}, "(another)"),
    ],
)
def test_each_fault_is_told_by_its_field(change: dict[str, object], field: str) -> None:
    """What is wrong is named, and nothing else is."""
    assert [one.field for one in faults_in(FULL | change, ASKING)] == [field]


def test_several_faults_are_told_together() -> None:
    """A caller corrects them all at once; what is right has none."""
    assert faults_in(FULL, ASKING) == ()
    assert len(faults_in({"rating": 0, "row": -1, "comment": 1}, ASKING)) == 4
    assert [one.field for one in withdrawal_faults({"rating": "up"})] == [
        "(another)",
        "prediction_id",
    ]


def test_an_endpoint_that_asks_for_no_consent_takes_none() -> None:
    """Consent to nothing is no consent."""
    faults = faults_in(FULL, FeedbackPolicy())
    assert [one.field for one in faults] == ["consent.given"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("given"), inner),
    max_leaves=3,
)


@settings(max_examples=60)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys([*FULL, "other"], JSON)))
def test_whatever_is_sent_is_read_or_refused(told: dict[str, object]) -> None:
    """Nothing raises, and what has no faults is read."""
    if not faults_in(told, ASKING):
        assert read(told, ASKING).rating in {"up", "down", "1", "2", "3", "4", "5"}


@given(
    st.sampled_from([None, {"given": False}, {"given": False, "version": "2", "scope": "label"}]),
    st.text(min_size=1, max_size=30),
)
def test_without_consent_only_the_rating_is_kept(consent: object, secret: str) -> None:
    """Correction, comment and subject are dropped by the reading itself, and named."""
    told = FULL | {"consent": consent, "comment": secret, "correction": secret, "subject": secret}
    found = read(told, ASKING)
    assert (found.rating, found.row, found.consent) == ("down", 1, None)
    assert (found.correction, found.comment, found.subject) == (None, "", "")
    assert found.dropped == ("correction", "comment", "subject")


def test_with_consent_all_of_it_is_kept() -> None:
    """The scope that was agreed to is kept with the version and the text."""
    found = read(FULL, ASKING)
    assert (found.correction, found.comment, found.subject) == (0, "late", "Ada")
    assert found.consent == AGREED
    shown = GIVEN | {"digest": text_digest(TEXT.text)}
    assert read(FULL | {"consent": shown}, ASKING).consent == AGREED
    narrower = read(FULL | {"consent": GIVEN | {"scope": "review"}}, ASKING)
    assert narrower.consent == Consent(version="2", text=TEXT.text, scope=Scope.REVIEW)


@pytest.mark.parametrize(
    ("one", "policy", "deployment", "truth", "state"),
    [
        (said(correction=None), Corrections.LABEL, "blue", "", CorrectionState.NONE),
        (said(consent=None), Corrections.LABEL, "blue", "", CorrectionState.IGNORED),
        (
            said(consent=Consent(version="2", text="", scope=Scope.REVIEW)),
            Corrections.LABEL,
            "blue",
            "",
            CorrectionState.IGNORED,
        ),
        (said(), Corrections.IGNORE, "blue", "", CorrectionState.IGNORED),
        (said(), Corrections.LABEL, "", "", CorrectionState.IGNORED),
        (said(), Corrections.REVIEW, "blue", "", CorrectionState.PENDING),
        (said(), Corrections.LABEL, "blue", "truth.csv", CorrectionState.PENDING),
        (said(), Corrections.LABEL, "blue", "", CorrectionState.ACCEPTED),
    ],
)
def test_where_a_correction_stands_when_it_comes(
    one: Said, policy: Corrections, deployment: str, truth: str, state: CorrectionState
) -> None:
    """A label it becomes only with consent, a record, no other truth, and where it is wanted."""
    decision = decide_arrival(one, corrections=policy, deployment=deployment, truth=truth)
    assert decision.state is state
    assert bool(decision.because) == (state is not CorrectionState.NONE)


@pytest.mark.parametrize("state", CorrectionState)
@pytest.mark.parametrize("move", Move)
def test_a_person_moves_a_correction_as_the_table_says(state: CorrectionState, move: Move) -> None:
    """Every other move is refused, with where it stands."""
    arrived = decide_arrival(said(), corrections=Corrections.REVIEW, deployment="blue", truth="")
    kept = feedback_of(said(), arrived, deployment="blue")
    moved = MOVES[state].get(move)
    one = type(kept)(**{name: getattr(kept, name) for name in kept.__slots__} | {"state": state})
    if moved is None:
        with pytest.raises(CorrectionMoveError):
            decide_move(one, move, by="Bo", because="")
    else:
        decision = decide_move(one, move, by="Bo", because="I saw it")
        assert (decision.state, decision.because) == (moved, f"Bo {move}ed it: I saw it")


def test_an_author_says_one_thing_of_a_row() -> None:
    """The last of it counts; other authors and rows are others."""
    first, last = said(entry="1", at=1.0), said(entry="2", at=2.0, rating="up")
    other = said(entry="3", at=1.5, author="subject:x")
    found = newest_by_author([last, other, first])
    assert sorted(one.entry for one in found) == ["2", "3"]
    assert author_of(key_id="", subject="x") == "browser"
    assert author_of(key_id="k", subject="x") == "subject:x"
    assert author_of(key_id="k", subject="") == "key:k"


def test_feedback_is_of_a_row_that_this_endpoint_answered() -> None:
    """A key of one endpoint says nothing of the predictions of another."""
    assert answered_by(outcome(), said(row=1)) == "blue"
    assert answered_by(outcome(), said(row=2)) == ""
    assert answered_by(outcome(endpoint="other"), said()) == ""
    assert answered_by(outcome(outputs={}), said()) == ""
    assert answered_by(None, said()) == ""


@given(st.integers(0, 83), st.sampled_from("0123456789abcdefS_z"))
def test_a_token_is_good_for_one_prediction_of_one_endpoint(place: int, digit: str) -> None:
    """No other endpoint, time, key or changed digit makes it good."""
    token = feedback_token(PREDICTION, endpoint="flights", until=1_000, key=KEY)
    told = token_prediction(token, endpoint="flights", now=999.9, key=KEY)
    assert told == PREDICTION
    assert token_prediction(token, endpoint="flights", now=1_000.0, key=KEY) is None
    assert token_prediction(token, endpoint="trains", now=1.0, key=KEY) is None
    assert token_prediction(token, endpoint="flights", now=1.0, key=b"other") is None
    place = min(place, len(token) - 1)
    changed = token[:place] + digit + token[place + 1 :]
    good = token_prediction(changed, endpoint="flights", now=1.0, key=KEY)
    assert good == (PREDICTION if changed == token else None)


@given(st.text(max_size=90))
def test_no_other_text_is_a_token(text: str) -> None:
    """Whatever stands in the header is looked at without a fault."""
    assert token_prediction(text, endpoint="flights", now=1.0, key=KEY) is None
    assert token_prediction(f"swf_{text}", endpoint="flights", now=1.0, key=KEY) is None


def test_a_person_is_kept_as_a_token() -> None:
    """The same person has the same one under one key, and nobody has none."""
    assert subject_token("Ada", KEY) == subject_token("Ada", KEY) != subject_token("Bo", KEY)
    assert subject_token("Ada", KEY) != subject_token("Ada", b"other")
    assert subject_token("", KEY) == ""


def test_feedback_is_off_until_it_is_wanted() -> None:
    """A workload that says nothing takes none; one that does has what it says in its policy."""
    assert policy_of(FeedbackRules()) is None
    rules = FeedbackRules(
        enabled=True, consent=ConsentRules(version="2", text="We may keep it."), token_s=60
    )
    policy = policy_of(rules)
    assert policy is not None
    assert (policy.consent, policy.token_s) == (TEXT, 60)


def count(rating: str, total: int, **changes: object) -> FeedbackCount:
    """Return how often a rating was given on the first day."""
    plain = {"deployment": "blue", "start": 0, "consented": 0, "comments": 0}
    more = {"pending": 0, "accepted": 0, "rating": rating, "total": total}
    return FeedbackCount(**(plain | more | changes))  # type: ignore[arg-type]


def test_a_summary_counts_what_is_good_and_bad() -> None:
    """Three stars are neither; days and deployments are told apart; intervals are Wilson's."""
    counts = [
        count("up", 6, consented=3, pending=1),
        count("4", 2),
        count("3", 5),
        count("down", 2, accepted=1, comments=2),
        count("1", 1, start=86_400, deployment="green"),
    ]
    found = summarised("flights", counts, since=0.0)
    blue, green = found.deployments
    assert (blue.total, blue.good, blue.bad, blue.satisfied) == (15, 8, 2, 0.8)
    assert (round(blue.low, 3), round(blue.high, 3)) == (0.49, 0.943)
    assert (blue.consent, blue.pending, blue.accepted, blue.comments) == (0.2, 1, 1, 2)
    assert (green.satisfied, green.total) == (0.0, 1)
    assert [(one.start, one.deployment) for one in found.windows] == [
        (0, "blue"),
        (86_400, "green"),
    ]
    assert json.dumps(summarised("flights", [], since=0.0).deployments) == "[]"


NOW = 1_800_000_000.0
YESTERDAY, LAST_WEEK = int(NOW) - 3_600, int(NOW) - 7 * 86_400


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [(20, 80, True), (80, 20, False), (62, 38, False), (0, 29, False), (0, 30, True)],
)
def test_a_clear_fall_is_told(good: int, bad: int, told: bool) -> None:  # noqa: FBT001  (a column of the table)
    """Not one that may be chance, that is small, or of which too few speak."""
    counts = [
        count("up", 320, start=LAST_WEEK),
        count("2", 80, start=LAST_WEEK),
        count("up", good, start=YESTERDAY),
        count("down", bad, start=YESTERDAY, deployment="green"),
    ]
    found = less_liked("flights", counts, now=NOW)
    assert (found is not None) == told
    if found is not None:
        assert found.since <= YESTERDAY
        assert "80% of 400" in found.what
        assert next(one for one in found.points[0].values if one is not None) == 0.8


@settings(max_examples=40)
@given(st.integers(0, 400), st.integers(0, 400), st.integers(30, 400))
def test_people_who_are_no_less_satisfied_raise_nothing(before: int, more: int, total: int) -> None:
    """A share that rose, stayed or fell by less than a tenth is never told."""
    good = min(total, -(-total * before // 400) + more)
    counts = [
        count("up", before, start=LAST_WEEK),
        count("down", 400 - before, start=LAST_WEEK),
        count("up", good, start=YESTERDAY),
        count("down", total - good, start=YESTERDAY),
    ]
    assert less_liked("flights", counts, now=NOW) is None


def test_ratings_of_no_known_answer_raise_nothing() -> None:
    """Whoever invents predictions, or rows of them, moves no share."""
    counts = [
        count("up", 400, start=LAST_WEEK),
        count("down", 4_000, start=YESTERDAY, deployment=""),
    ]
    assert less_liked("flights", counts, now=NOW) is None


def test_a_changed_text_needs_another_version() -> None:
    """Nobody may have agreed to a text that they did not see."""
    other = replace(TEXT, text="We may sell it.")
    check_text(TEXT, [TEXT, replace(other, version="1")], endpoint="flights")
    with pytest.raises(ConsentTextChangedError, match="its version has not"):
        check_text(other, [TEXT], endpoint="flights")


def test_a_person_is_one_author_of_a_key_and_by_name() -> None:
    """Who they were before they said so is known to be theirs; a browser has one author anyway."""
    assert author_before(key_id="k", subject="s") == author_of(key_id="k", subject="")
    assert author_before(key_id="k", subject="") == author_before(key_id="", subject="s") == ""


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_the_id_of_a_prediction_tells_when_it_was_made(at_ns: int, chance: int) -> None:
    """To the precision of a double; what is no such id tells nothing."""
    made = f"{at_ns:016x}{chance:016x}"
    assert made_at(made) == at_ns / 1_000_000_000
    for other in (made[1:], made + "\n", "+" + made[1:], made[:9] + "_" + made[10:]):
        assert made_at(other) is None


@pytest.mark.parametrize(
    ("rules", "places"),
    [
        ({}, []),
        ({"corrections": "review"}, []),
        ({"corrections": "label"}, ["feedback.corrections"]),
        ({"corrections": "label", "consent": {"version": "1", "text": "We may."}}, []),
        (
            {"corrections": "label", "consent": {"version": "1", "text": "x", "scope": "review"}},
            ["feedback.consent.scope"],
        ),
    ],
)
def test_corrections_that_could_never_be_labels_are_told(
    rules: dict[str, object], places: list[str]
) -> None:
    """Where nobody is asked, or for less, the file says something that does nothing."""
    found = breaches({"workload": "w", "artifact": {"path": "m.onnx"}, "feedback": rules})
    assert [dotted(one.path) for one in found] == places
