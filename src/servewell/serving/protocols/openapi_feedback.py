"""What an endpoint takes as feedback, as OpenAPI 3.1 path items."""

from typing import Any, Final

from servewell.core.catalog.feedback import RATINGS, ConsentText, FeedbackPolicy
from servewell.core.catalog.prediction_id import PATTERN
from servewell.core.operations.monitoring.feedback import text_digest
from servewell.core.operations.monitoring.feedback_reading import (
    COMMENT_CHARS_MAX,
    CORRECTION_CHARS_MAX,
    COVERED,
    NUMBER_MAX,
    ROW_MAX,
    SUBJECT_CHARS_MAX,
)
from servewell.serving.protocols.openapi_schemas import Schema

EXAMPLE_ID: Final = "18ea64a26c00390068d6597900000004"
TEXT: Final[Schema] = {"type": "string"}
ID: Final[Schema] = {
    "type": "string",
    "pattern": f"^{PATTERN.pattern}$",
    "description": "`servewell-prediction-id` of the answer; with its token it may be left out.",
}
ROW: Final[Schema] = {"type": ["integer", "null"], "minimum": 0, "maximum": ROW_MAX}
SUBJECT: Final[Schema] = {
    "type": ["string", "null"],
    "maxLength": SUBJECT_CHARS_MAX,
    "description": "Who it is, as the application knows them; kept as a keyed token.",
}
STARS: Final = [int(one) for one in RATINGS if one.isdecimal()]
TAKEN: Final[Schema] = {
    "type": "object",
    "properties": {
        "feedback": TEXT,
        "prediction_id": TEXT,
        "row": {"type": "integer"},
        "consent": {"type": "boolean"},
        "dropped": {"type": "array", "items": TEXT},
        "withdrawn": {"type": "boolean"},
    },
    "required": ["feedback", "prediction_id", "row"],
}
ASKED: Final[Schema] = {
    "type": "object",
    "properties": {
        "endpoint": TEXT,
        "prediction_id": TEXT,
        "consent": {"type": ["object", "null"]},
        "corrections": {"type": "boolean"},
        "component": {"type": "object"},
    },
    "required": ["endpoint", "consent", "corrections"],
}


def said_schema(policy: FeedbackPolicy) -> Schema:
    """Return what a piece of feedback looks like."""
    number = {"type": "number", "minimum": -NUMBER_MAX, "maximum": NUMBER_MAX}
    text = {"type": "string", "minLength": 1, "maxLength": CORRECTION_CHARS_MAX}
    properties: dict[str, Any] = {
        "prediction_id": ID,
        "row": ROW,
        "rating": {"enum": [*RATINGS, *STARS]},
        "correction": {"anyOf": [number, text, {"type": ["boolean", "null"]}]},
        "comment": {"type": ["string", "null"], "maxLength": COMMENT_CHARS_MAX},
        "subject": SUBJECT,
        "consent": _consent(policy.consent),
    }
    return {
        "type": "object",
        "properties": properties,
        "required": ["prediction_id", "rating"],
        "additionalProperties": False,
        "examples": [{"prediction_id": EXAMPLE_ID, "row": 0, "rating": "up"}],
    }


def withdrawal_schema() -> Schema:
    """Return what a withdrawal looks like."""
    return {
        "type": "object",
        "properties": {"prediction_id": ID, "row": ROW, "subject": SUBJECT},
        "required": ["prediction_id"],
        "additionalProperties": False,
    }


def _consent(asked: ConsentText | None) -> Schema:
    """Return how consent is given, or not; what else stands beside `false` does not matter."""
    names = ("version", "scope", "digest")
    refused = _object({"given": {"const": False}, **{name: {} for name in names}}, "given")
    if asked is None:
        return {"anyOf": [{"type": "null"}, refused]}
    given = {
        "given": {"const": True},
        "version": {"const": asked.version},
        "scope": {"enum": [None, *(one.value for one in COVERED[asked.scope])]},
        "digest": {"enum": [None, text_digest(asked.text)]},
    }
    return {"anyOf": [{"type": "null"}, refused, _object(given, "given", "version")]}


def _object(properties: dict[str, Any], *required: str) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
