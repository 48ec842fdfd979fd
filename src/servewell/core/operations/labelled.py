"""Put labels beside what was predicted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.label import Label, Told
from servewell.core.catalog.outcome import Outcome
from servewell.core.operations.label_loss import loss_of

NANOSECONDS: Final = 1_000_000_000

Sliced = Mapping[tuple[str, str], Sequence[str]]  # by endpoint and deployment
NOTHING: Final[Sliced] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Labels with their predictions, and what has none."""

    labels: tuple[Label, ...]
    unknown: tuple[str, ...]  # ids without a record, each once for every label
    unanswered: int  # labels of rows that were given no answer


def labelled(  # noqa: PLR0913 - what was told, what was predicted, and what goes into each label
    told: Sequence[Told],
    outcomes: Iterable[Outcome],
    *,
    added_at: float,
    principal: str,
    source: str,
    sliced: Sliced = NOTHING,
) -> Labelled:
    """Return each label with what was predicted, in the order in which they were told.

    `sliced` names the inputs whose texts are kept beside a label.

    Units: `added_at` in seconds since the epoch, UTC.
    """
    known = {one.prediction_id: one for one in outcomes}
    labels = []
    unanswered = 0
    for one in told:
        outcome = known.get(one.prediction_id)
        outputs = _row(outcome, one.row) if outcome else {}
        if outcome is None:
            continue
        if not outputs:
            unanswered += 1
            continue
        loss = loss_of(outputs, one.value)
        labels.append(
            Label(
                prediction_id=one.prediction_id,
                row=one.row,
                endpoint=outcome.endpoint,
                deployment=outcome.deployment,
                role=outcome.role,
                predicted_at=outcome.time_ns / NANOSECONDS,
                value=one.value,
                outputs=outputs,
                loss=None if loss is None else loss.value,
                measure="" if loss is None else loss.measure.value,
                added_at=added_at,
                principal=principal,
                source=source,
                slices=_slices(outcome, one.row, sliced),
            )
        )
    unknown = tuple(one.prediction_id for one in told if one.prediction_id not in known)
    return Labelled(labels=tuple(labels), unknown=unknown, unanswered=unanswered)


def _row(outcome: Outcome, row: int) -> dict[str, object]:
    """Return the outputs of one row; nothing where the request has no such row."""
    return {name: values[row] for name, values in outcome.outputs.items() if row < len(values)}


def _slices(outcome: Outcome, row: int, sliced: Sliced) -> dict[str, str]:
    """Return the texts of a row in the inputs that are sliced by; a missing one has none."""
    names = sliced.get((outcome.endpoint, outcome.deployment), ())
    values = {name: outcome.inputs.get(name, ()) for name in names}
    found = {name: those[row] for name, those in values.items() if row < len(those)}
    return {name: value for name, value in found.items() if isinstance(value, str) and value}
