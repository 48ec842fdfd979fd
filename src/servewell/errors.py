"""The one base of every error that a person may read."""

from typing import ClassVar, TypeVar

Error = TypeVar("Error", bound=BaseException)


class ServewellError(Exception):
    """Says what happened, why, and what to do next.

    Subclasses set `code`, which never changes once released: it names the page
    `docs/errors/<code>.md`, the `code` of an API error, and the CLI's last line. The hundreds
    digit is the family: 0 a fault of ours, 1 what the user wrote, 2 what does not exist or stands
    in the way, 3 a request, 4 training and models, 5 the machine.
    """

    code: ClassVar[str] = "SW-000"

    def __init__(self, what: str, *, why: str, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what}\n  because: {self.why}\n  next:    {self.fix}\n  code:    {self.code}"


def untraced(error: Error) -> Error:
    """Return an error that is kept for a while, without where it was raised.

    A traceback holds the frames that it went through, and they hold what they worked on. Where that
    holds the error, all of it stays until cycles are looked for, which may be long.
    """
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error
