"""Send the rows of a file to an endpoint, one batch after the other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from servewell.core.catalog.rows import Columns, inputs_of, to_columns
from servewell.errors import ServewellError
from servewell.flows.keys import OPERATOR_KEY
from servewell.flows.platform import Platform
from servewell.ports.door import Answer, CallerCertificate, RequestRefusedError
from servewell.ports.fleet import FleetPlan, NotServingError
from servewell.ports.tables import Row


class NoKeyError(ServewellError):
    """Predictions need a key, and there is none."""

    code = "SW-123"


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """What came back for one batch."""

    first_row: int  # in the file, from 1
    rows: int
    columns: Columns
    answer: Answer

    def by_row(self) -> list[dict[str, Any]]:
        """Return the outputs of each row by name, with what its record can be found by."""
        names = tuple(self.answer.outputs)
        who = {
            "prediction_id": self.answer.prediction_id,
            "deployment": self.answer.deployment,
            "model_version": self.answer.model_version,
        }
        values = zip(*self.answer.outputs.values(), strict=True)
        return [
            {"row": row, **who, **dict(zip(names, one, strict=True))}
            for row, one in enumerate(values, self.first_row)
        ]


def caller_key(
    platform: Platform, given: str, *, url: str = "", shown: CallerCertificate | None = None
) -> str:
    """Return the key to call with: the one that was given, else the operator's of this home.

    It is empty where a certificate says who calls.

    The operator's key is read beside the database, so that predictions need none. It is never
    sent to a URL: only to what this home serves.

    Raises: NoKeyError, StorageError.
    """
    if given or shown is not None:
        return given
    kept = None if url else platform.secrets.find(OPERATOR_KEY)
    if kept is None:
        raise NoKeyError(
            "There is no key to call the endpoint with.",
            why="the key of this home is sent nowhere else"
            if url
            else "nothing was ever served from this home, so it has no key of its own",
            fix="put one into the environment variable SERVEWELL_KEY; "
            "`servewell keys create NAME` makes one where the endpoint is served",
        )
    return kept.decode()


def predict(  # noqa: PLR0913 - the words of the command
    platform: Platform,
    endpoint: str,
    batches: Iterable[list[Row]],
    *,
    key: str,
    url: str = "",
    shown: CallerCertificate | None = None,
    deployment: str | None = None,
) -> Iterator[Predicted]:
    """Yield what comes back for each batch, in order; stop at the first that is refused.

    Raises: NotServingError, RequestRefusedError, DoorClosedError, AnswerInvalidError,
    AddressInvalidError, CertificateFaultsError, RowsInvalidError, TableFaultsError.
    """
    if not url:
        require_serving(platform)
    door = platform.door(key, url=url, shown=shown)
    inputs = inputs_of(door.metadata(endpoint, deployment=deployment))
    first = 1
    for batch in batches:
        columns = to_columns(inputs, batch, first_row=first)
        try:
            answer = door.predict(endpoint, dict(columns.values), deployment=deployment)
        except RequestRefusedError as error:
            raise _in_the_file(error, first, len(batch)) from error
        yield Predicted(first_row=first, rows=len(batch), columns=columns, answer=answer)
        first += len(batch)


def require_serving(platform: Platform) -> FleetPlan:
    """Return how this home serves; refuse to call it when it serves nothing.

    Another program may have its port by now, and would be sent the key.

    Raises: NotServingError.
    """
    state = platform.fleet.state()
    if state.plan is None or (state.supervisor is None and not state.workers):
        raise NotServingError(
            "Nothing serves from this home.",
            why="it was never brought up, or it was brought down",
            fix="`servewell up FOLDER` starts it; `--url` names what serves elsewhere",
        )
    return state.plan


def _in_the_file(error: RequestRefusedError, first: int, rows: int) -> RequestRefusedError:
    """Return the refusal with the rows that it speaks of numbered as in the file, from 1."""
    faults = tuple(
        one if one.row is None else replace(one, row=one.row + first - 1) for one in error.faults
    )
    which = f"row {first}" if rows == 1 else f"rows {first} to {first + rows - 1}"
    told = "; ".join(str(one) for one in faults)
    return RequestRefusedError(
        error.what.replace("the request", which),
        why=told or error.why,
        fix=error.fix,
        status=error.status,
        server_code=error.server_code,
        faults=faults,
    )
