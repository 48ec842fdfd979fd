"""The JSON Schema of a workload file, made from the types in `workload`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from servewell.core.catalog.workload import FILE_NAME, Workload

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_ID: Final = "urn:servewell:workload:1"
SOURCES: Final = ("train", "artifact", "predictor")  # a workload has one of them

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key that a workload file may hold. A name that the user chooses is `<name>`."""

    path: tuple[str, ...]
    schema: Schema
    required: bool


def workload_schema() -> Schema:
    """Return the schema, without references, and without null.

    A key that is written must hold something: what a type calls `None` is the key left out.
    """
    root = msgspec.json.schema(Workload)
    return {
        "$schema": DIALECT,
        "$id": SCHEMA_ID,
        **_plain(root["$defs"]["Workload"], root["$defs"]),
        "title": FILE_NAME,
        "oneOf": [{"required": [one]} for one in SOURCES],
        "dependentRequired": {"train": ["data"], "predictor": ["data"]},
    }


def workload_keys(schema: Schema, path: tuple[str, ...] = ()) -> Iterator[Key]:
    """Yield every key below `schema`, parents first, in the order of the types."""
    for name, below in schema.get("properties", {}).items():
        yield Key(path=(*path, name), schema=below, required=name in schema["required"])
        yield from workload_keys(below, (*path, name))
    if isinstance(named := schema.get("additionalProperties"), dict) and "properties" in named:
        yield from workload_keys(named, (*path, "<name>"))


def allowed_by(schema: Schema) -> str:
    """Return in words what a value may be."""
    if "enum" in schema:
        return "one of " + ", ".join(f"`{one}`" for one in schema["enum"])
    if isinstance(schema["type"], list):
        return "text, a number, `true` or `false`"
    return _WORDS[schema["type"]](schema)


def _object(schema: Schema) -> str:
    if names := schema.get("properties"):
        return "the keys " + ", ".join(f"`{name}`" for name in names)
    return "keys with values below it"


def _array(schema: Schema) -> str:
    least = f" of at least {schema['minItems']}" if "minItems" in schema else ""
    return f"a list{least}, each of them {allowed_by(schema['items'])}"


def _text(schema: Schema) -> str:
    if words := schema.get("patternErrorMessage"):
        return str(words)
    return "text that is not empty" if schema.get("minLength") else "text"


def _boolean(_schema: Schema) -> str:
    return "`true` or `false`"


def _number(schema: Schema) -> str:
    kind = "a whole number" if schema["type"] == "integer" else "a number"
    match schema.get("minimum"), schema.get("maximum"):
        case None, None:
            return kind
        case low, None:
            return f"{kind}, {low:,} or more"
        case None, high:
            return f"{kind}, {high:,} or less"
        case low, high:
            return f"{kind} from {low:,} to {high:,}"


_WORDS: Final = {
    "object": _object,
    "array": _array,
    "string": _text,
    "boolean": _boolean,
    "integer": _number,
    "number": _number,
}


def _plain(schema: Schema, definitions: Schema) -> Schema:
    """Put what is referred to in the place of the reference, and leave null out."""
    if name := schema.get("$ref", "").removeprefix("#/$defs/"):
        here = {key: value for key, value in schema.items() if key != "$ref"}
        return _plain({**definitions[name], **here}, definitions)
    if options := _not_null(schema):
        here = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
        return _plain({**_joined(options), **here}, definitions)
    plain = dict(schema)
    if isinstance(named := schema.get("additionalProperties"), dict):
        plain["additionalProperties"] = _plain(named, definitions)
    if isinstance(items := schema.get("items"), dict):
        plain["items"] = _plain(items, definitions)
    if properties := schema.get("properties"):
        plain["properties"] = {key: _plain(one, definitions) for key, one in properties.items()}
        plain["additionalProperties"] = False
    return plain


def _not_null(schema: Schema) -> list[Schema]:
    return [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]


def _joined(options: list[Schema]) -> Schema:
    if len(options) == 1:
        return options[0]
    return {"type": [one["type"] for one in options]}
