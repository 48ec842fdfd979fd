"""Times as people write them on the command line."""

from datetime import UTC, datetime

import click


class Moment(click.ParamType[float]):
    """An ISO 8601 time, in UTC where it names no zone; seconds since the epoch."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds since the epoch."""
        try:
            found = datetime.fromisoformat(str(value))
            moment = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
            return moment.timestamp()
        except (ValueError, OverflowError):
            self.fail(
                f"`{value}` is no time; write it like 2026-03-01, 2026-03-01T12:00 or "
                "2026-03-01T12:00+01:00",
                param,
                ctx,
            )
