"""Feedback after a worker has taken it in: kept, counted as labels where it may, gone in its time.

Whatever changes what is kept does so with the inbox for itself, so that nothing is taken up twice
and nothing that was erased comes back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.feedback import (
    ConsentText,
    Corrections,
    CorrectionState,
    Feedback,
    Said,
)
from servewell.core.catalog.label import Told
from servewell.core.catalog.outcome import Outcome
from servewell.core.catalog.workload_feedback import FeedbackRules
from servewell.core.operations.labelled import labelled
from servewell.core.operations.monitoring.feedback import (
    CorrectionDecision,
    answered_by,
    check_text,
    closes,
    decide_arrival,
    feedback_id,
    feedback_of,
    is_newer,
    newest_by_author,
    policy_of,
    source_of,
)
from servewell.flows.labels import sliced_inputs
from servewell.flows.platform import Platform
from servewell.ports.feedback import Batch, FeedbackQuery

BATCHES_AT_ONCE: Final = 200
AT_ONCE: Final = 500
DAY_S: Final = 86_400
LONGEST: Final = FeedbackRules().retention_days
TOKEN_S_MAX: Final = 604_800  # for which any token is good: see `FeedbackRules.token_s`
AUTOMATIC: Final = "feedback"  # who adds a label where no person decides


def take_up_feedback(platform: Platform) -> None:
    """Keep what waits in the inbox, each with the deployment that it is about.

    Raises: StateUnavailableError, StorageError.
    """
    with platform.feedback_inbox.taking():
        take_up(platform)


def end_feedback_retention(platform: Platform) -> None:
    """Remove feedback whose time has passed. A label that it became stays: it names nobody.

    Raises: StateUnavailableError, StorageError.
    """
    now = platform.clock.now()
    with platform.feedback_inbox.taking():
        endpoints = platform.endpoints.list()
        for endpoint in endpoints:
            days = _rules(platform, endpoint).retention_days
            query = FeedbackQuery(endpoint=endpoint.name, before=now - days * DAY_S, limit=AT_ONCE)
            while found := platform.feedback.find(query):
                platform.feedback.remove(found, labels=False)
        longest = max((_rules(platform, one).retention_days for one in endpoints), default=LONGEST)
        _tell_swept(platform, platform.feedback_inbox.sweep(now - longest * DAY_S))


def check_consent_text(platform: Platform, endpoint: Endpoint | None, rules: FeedbackRules) -> None:
    """Refuse another text of consent under a version that people were asked by.

    Raises: ConsentTextChangedError, StateUnavailableError.
    """
    asked = policy_of(rules)
    if endpoint is None or asked is None or asked.consent is None:
        return
    now = endpoint.policy.feedback
    known = list(platform.consent_texts.of(endpoint.name))
    if now is not None and now.consent is not None:
        known.append(now.consent)
    check_text(asked.consent, known, endpoint=endpoint.name)


def take_up(platform: Platform) -> None:
    """Keep what waits in the inbox. The caller has it for itself: see `FeedbackInbox.taking`.

    Raises: StateUnavailableError, StorageError.
    """
    inbox, full = platform.feedback_inbox, True
    while full:
        batches = inbox.waiting(BATCHES_AT_ONCE)
        said = newest_by_author([one for batch in batches for one in batch.said])
        for start in range(0, len(said), AT_ONCE):
            _keep(platform, said[start : start + AT_ONCE])
        for batch in batches:
            inbox.done(batch)
        _tell_damaged(platform, batches)
        full = len(batches) == BATCHES_AT_ONCE


def add_labels(
    platform: Platform, feedback: Sequence[Feedback], outcomes: dict[str, Outcome]
) -> int:
    """Make labels of the corrections that are accepted, as `servewell labels add` does.

    Returns how many have a prediction to stand beside.

    Raises: StateUnavailableError.
    """
    labels = 0
    sliced = sliced_inputs(platform)
    for one in feedback:
        if one.state is not CorrectionState.ACCEPTED or one.correction is None:
            continue
        told = Told(prediction_id=one.prediction_id, row=one.row, value=one.correction)
        found = labelled(
            [told],
            outcomes.values(),
            sliced=sliced,
            added_at=platform.clock.now(),
            principal=one.principal or AUTOMATIC,
            source=one.source,
        )
        platform.labels.add(found.labels)
        labels += len(found.labels)
    return labels


def outcomes_of(platform: Platform, ids: Sequence[str]) -> dict[str, Outcome]:
    """Return what was predicted, by prediction id; what has no record is left out."""
    found = platform.records.find(set(ids), inputs=bool(sliced_inputs(platform)))
    return {one.prediction_id: one for one in found}


def _keep(platform: Platform, said: Sequence[Said]) -> None:
    """Keep what was said; to do it again changes nothing."""
    over = platform.feedback.closed([feedback_id(one) for one in said])
    said = [one for one in said if one.withdrawn or feedback_id(one) not in over]
    _close(platform, [feedback_id(one) for one in said if closes(one)])
    query = FeedbackQuery(ids=tuple(map(feedback_id, said)), limit=len(said))
    known = {one.id: one for one in platform.feedback.find(query)}
    truths = {
        _place(one): one.source for one in known.values() if one.state is CorrectionState.ACCEPTED
    }
    outcomes = outcomes_of(platform, [one.prediction_id for one in said])
    rules = {one.name: _corrections(one) for one in platform.endpoints.list()}
    kept: list[Feedback] = []
    gone: list[Feedback] = [_replaced(one) for one in said if one.replaces]
    for one in said:
        before = known.get(feedback_id(one))
        if before is not None and not is_newer(one, before):
            kept.append(before)  # its label may still be missing
            continue
        corrections = rules.get(one.endpoint, Corrections.REVIEW)
        truth = _truth(platform, one, truths)
        arrived = _arrived(one, outcomes.get(one.prediction_id), corrections, truth=truth)
        if arrived.state is CorrectionState.ACCEPTED:
            truths[_place(one)] = arrived.source
        (gone if one.withdrawn else kept).append(arrived)
        _keep_text(platform, one)
    add_labels(platform, kept, outcomes)
    platform.feedback.keep(kept)
    platform.feedback.remove(gone)


def _close(platform: Platform, ids: Sequence[str]) -> None:
    if ids:
        now = platform.clock.now()
        platform.feedback.close(ids, now=now, until=now + TOKEN_S_MAX)


def _arrived(
    said: Said, outcome: Outcome | None, corrections: Corrections, *, truth: str
) -> Feedback:
    deployment = answered_by(outcome, said)
    decision = decide_arrival(said, corrections=corrections, deployment=deployment, truth=truth)
    return feedback_of(said, decision, deployment=deployment)


def _replaced(said: Said) -> Feedback:
    """Return what was said before by whoever this author was until they told who they are."""
    nothing = CorrectionDecision(state=CorrectionState.NONE, because="")
    return feedback_of(replace(said, author=said.replaces), nothing, deployment="")


def _truth(platform: Platform, said: Said, accepted: Mapping[tuple[str, int], str]) -> str:
    """Return the source of a label that the row has, or is about to have, from elsewhere.

    Empty for none. `accepted` are the sources of corrections that are not labels yet.
    """
    labels = platform.labels.history(said.prediction_id) if said.correction is not None else ()
    own = source_of(feedback_id(said))
    sources = [one.source for one in labels if one.row == said.row]
    others = [one for one in (accepted.get(_place(said), own), *sources) if one != own]
    return others[-1] if others else ""


def _place(one: Said | Feedback) -> tuple[str, int]:
    return one.prediction_id, one.row


def _keep_text(platform: Platform, said: Said) -> None:
    if said.consent is not None:
        given = said.consent
        text = ConsentText(version=given.version, text=given.text, scope=given.scope)
        platform.consent_texts.keep(said.endpoint, text, at=said.at)


def _corrections(endpoint: Endpoint) -> Corrections:
    policy = endpoint.policy.feedback
    return policy.corrections if policy else Corrections.REVIEW


def _rules(platform: Platform, endpoint: Endpoint) -> FeedbackRules:
    known = {one.name: one.workload.feedback for one in platform.workloads.list()}
    return known.get(endpoint.workload, FeedbackRules())


def _tell_damaged(platform: Platform, batches: Sequence[Batch]) -> None:
    for batch in batches:
        if batch.damaged:
            _tell(platform, f"the batch {batch.name} could not be read, and is set aside")


def _tell_swept(platform: Platform, names: Sequence[str]) -> None:
    for name in names:
        _tell(platform, f"the batch {name}, which nobody could read, is removed: it is old")


def _tell(platform: Platform, because: str) -> None:
    change = Change(
        at=platform.clock.now(),
        principal=platform.principal,
        kind=ChangeKind.FEEDBACK,
        subject="feedback",
        because=because,
    )
    platform.history.keep(change)
