"""The kinds of value that several keys of a workload file share."""

from typing import Annotated, Final

from msgspec import Meta

NAME_PATTERN: Final = r"^[a-z][a-z0-9-]{0,62}$"
IDENTIFIER_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"

# `patternErrorMessage` is what editors, and our own faults, say instead of the pattern.
Name = Annotated[
    str,
    Meta(
        pattern=NAME_PATTERN,
        extra_json_schema={
            "patternErrorMessage": "lower-case letters, digits and hyphens, a letter first, "
            "at most 63 characters"
        },
    ),
]
Identifier = Annotated[
    str,
    Meta(
        pattern=IDENTIFIER_PATTERN,
        extra_json_schema={
            "patternErrorMessage": "a Python name: letters, digits and underscores, no digit first"
        },
    ),
]
NonEmpty = Annotated[str, Meta(min_length=1)]
InnerPath = Annotated[
    str,
    Meta(
        min_length=1,
        extra_json_schema={
            "patternErrorMessage": "a path inside the folder of the workload file, relative to it"
        },
    ),
]
Scalar = str | float | int | bool
