"""What is wrong in a workload file: the rules of its types, and the rules between its keys."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from re import fullmatch
from typing import Any, Final, TypeGuard, cast

from jsonschema import Draft202012Validator, TypeChecker, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from servewell.core.catalog.alert_rules import alert_breaches
from servewell.core.catalog.breach import SHOWN_MAX, Breach, Path, printable, shown
from servewell.core.catalog.data_rules import row_breaches
from servewell.core.catalog.feedback_rules import feedback_breaches
from servewell.core.catalog.objective_rules import objective_breaches
from servewell.core.catalog.retrain_rules import retrain_breaches
from servewell.core.catalog.rollout_rules import rollout_breaches
from servewell.core.catalog.step_graph import step_breaches
from servewell.core.catalog.tls_rules import tls_breaches
from servewell.core.catalog.workload_schema import (
    SOURCES,
    Schema,
    allowed_by,
    workload_keys,
    workload_schema,
)

LIKENESS_MIN: Final = 0.7  # of two names, 0..1, above which one may be a typo of the other


def breaches(data: Mapping[str, object]) -> tuple[Breach, ...]:
    """Return everything that is wrong with a workload, as it was written.

    A key that is missing is not named where an unknown key beside it looks like a typo of it:
    one mistake, one fault.
    """
    errors = _errors(data)
    unknown = tuple(_unknown_keys(errors))
    meant = {one.meant for one in unknown}
    present = {*data, *(path[0] for path in meant if len(path) == 1)}
    rest = (*_against_types(errors), *_one_source(present), *_between_keys(data))
    kept = (one for one in rest if not (one.missing and one.path in meant))
    return tuple(dict.fromkeys((*unknown, *kept)))


def dotted(path: Path) -> str:
    """Return a path as people write it: `inputs.origin.allowed[2]`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return printable(text.removeprefix("."))


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that `name` may be a typo of, or None.

    Case, and whether words are joined by `-`, `_` or a space, count for nothing.
    Source: Ratcliff and Obershelp's likeness, as `difflib` computes it.
    """
    folded = {_folded(one)[:SHOWN_MAX]: one for one in candidates}
    typed = _folded(name)[:SHOWN_MAX]
    close = get_close_matches(typed, folded, cutoff=LIKENESS_MIN)
    close.sort(key=lambda one: sorted(one) != sorted(typed))  # letters swapped are the surer slip
    return folded[close[0]] if close else None


def _folded(name: str) -> str:
    return "".join(one for one in name.lower() if one not in "-_ ")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Error:
    """What `jsonschema` says of one value, with the types that it really has."""

    rule: str  # the word of the schema that is broken: `type`, `required`
    path: Path
    value: Any
    schema: Schema
    on_name: bool  # `value` is the name of a key


def _errors(data: Mapping[str, object]) -> tuple[_Error, ...]:
    return tuple(
        _Error(
            rule=str(error.validator),
            path=tuple(error.absolute_path),
            value=error.instance,
            schema=cast(Schema, error.schema),
            on_name="propertyNames" in error.absolute_schema_path,
        )
        for error in _validator().iter_errors(dict[str, Any](data))
    )


def _is_integer(_checker: TypeChecker, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _whole_text(
    _validator: Validator, pattern: str, value: object, _schema: Schema
) -> Iterator[ValidationError]:
    # JSON Schema's `$` is the end of the text; Python's also matches before a last line break.
    if isinstance(value, str) and not fullmatch(pattern, value):
        yield ValidationError("pattern")


@cache
def _validator() -> Validator:
    checker = Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer)
    rules = {"pattern": _whole_text}
    # `extend` has no types of its own.
    strict = extend(Draft202012Validator, rules, type_checker=checker)  # type: ignore[no-untyped-call]
    return cast(Validator, strict(workload_schema()))


@cache
def _homes() -> dict[str, tuple[tuple[str, ...], ...]]:
    """Where each name of a key belongs: the paths of the parents that may hold it."""
    homes: dict[str, tuple[tuple[str, ...], ...]] = {}
    for key in workload_keys(workload_schema()):
        homes[key.path[-1]] = (*homes.get(key.path[-1], ()), key.path[:-1])
    return homes


def _unknown_keys(errors: Iterable[_Error]) -> Iterator[Breach]:
    for error in errors:
        if error.rule == "additionalProperties":
            names = list(error.schema["properties"])
            for name in error.value:
                if name not in names:
                    unknown = _unknown(error.path, name, names)
                    yield replace(unknown, meant=()) if _taken(unknown, error.value) else unknown


def _taken(breach: Breach, written: Mapping[str, object]) -> bool:
    return bool(breach.meant) and breach.meant[-1] in written


def _unknown(place: Path, name: str, names: list[str]) -> Breach:
    others = [one for one in _homes() if one not in names]
    near = nearest(name, [*names, *others]) or ""
    belongs = "" if near in names else _belongs(near)
    guess = f"did you mean `{near}`? " if near and near != name else ""
    return Breach(
        path=(*place, name),
        found="a key that is not known here",
        allowed=", ".join(f"`{one}`" for one in names),
        hint=_dotted_name(name) or f"{guess}{belongs}".strip(),
        on_key=True,
        meant=(*place, near) if near in names else (),
    )


def _dotted_name(name: str) -> str:
    parent, _, last = name.rpartition(".")
    if parent and tuple(parent.split(".")) in _homes().get(last, ()):
        return f"write `{last}:` on a line of its own below `{parent}:`"
    return ""


def _belongs(name: str) -> str:
    match _homes().get(name, ()):
        case ():
            return ""
        case ((),):
            return f"`{name}` belongs at the top of the file"
        case homes:
            return f"`{name}` belongs under " + " or ".join(f"`{dotted(one)}`" for one in homes)


def _against_types(errors: Iterable[_Error]) -> Iterator[Breach]:
    for error in errors:
        if error.on_name:
            yield _bad_name(error)
        elif error.rule == "required":
            yield from _missing(error)
        elif error.rule == "uniqueItems":
            yield from _repeated(error)
        elif error.rule in _VALUE_RULES:
            yield _bad_value(error)


_VALUE_RULES: Final = ("type", "enum", "minimum", "maximum", "pattern", "minLength", "minItems")


def _bad_value(error: _Error) -> Breach:
    return Breach(
        path=error.path,
        found=shown(error.value),
        allowed=allowed_by(error.schema),
        hint=_value_hint(error.value, error.schema),
    )


def _bad_name(error: _Error) -> Breach:
    return Breach(
        path=(*error.path, error.value),
        found=f"the name {shown(error.value)}",
        allowed=error.schema.get("patternErrorMessage", "a name that is not empty"),
        on_key=True,
    )


def _missing(error: _Error) -> Iterator[Breach]:
    # `jsonschema` gives one error a key, each with the whole list: the same breaches again.
    for name in error.schema.get("required", ()):
        if name not in error.value:
            yield _absent((*error.path, name), allowed_by(error.schema["properties"][name]))


def _absent(path: Path, allowed: str, hint: str = "") -> Breach:
    return Breach(
        path=path, found="nothing: the key is missing", allowed=allowed, hint=hint, missing=True
    )


def _repeated(error: _Error) -> Iterator[Breach]:
    seen: set[str] = set()
    for index, item in enumerate(error.value):
        written = json.dumps(item)
        if written in seen:
            path = (*error.path, index)
            yield Breach(path=path, found=f"{shown(item)} again", allowed="each value once")
        seen.add(written)


def _value_hint(value: object, schema: Schema) -> str:
    if value is None:
        return "write a value, or leave the key out"
    if isinstance(value, str):
        return _text_hint(value, schema)
    if schema.get("type") == "string" and isinstance(value, (bool, int, float)):
        return f'as text it is written in quotes: "{json.dumps(value)}"'
    if schema.get("type") == "array":
        return f"a list of one is written [{shown(value).strip('`')}]"
    return ""


def _text_hint(text: str, schema: Schema) -> str:
    if near := nearest(text, [str(one) for one in schema.get("enum", ())]):
        return f"did you mean `{near}`?"
    kind = schema.get("type")
    if kind == "boolean" and (truth := _BOOLEAN_WORDS.get(text.lower())):
        return f"write {truth}, without quotes"
    if kind in ("integer", "number") and fullmatch(r"[+-]?[\d_,]*\.?\d+", text):
        return f"write {text.replace('_', '').replace(',', '')}, without quotes or separators"
    if "pattern" in schema and fullmatch(schema["pattern"], text.lower().replace("_", "-")):
        return f"did you mean `{text.lower().replace('_', '-')}`?"
    return ""


_BOOLEAN_WORDS: Final = {
    "true": "true", "yes": "true", "on": "true", "y": "true",
    "false": "false", "no": "false", "off": "false", "n": "false",
}  # fmt: skip


def _one_source(present: set[str | int]) -> Iterator[Breach]:
    sources = [one for one in SOURCES if one in present]
    for one in sources[1:]:
        yield Breach(
            path=(one,),
            found=f"both `{sources[0]}` and `{one}`",
            allowed="one of them",
            hint="`train` makes the model here, `artifact` brings one, `predictor` is code that is "
            "one",
            on_key=True,
        )
    if not sources:
        hint = (
            "`train` says how the model is made, `artifact` where one lies that was made, "
            "`predictor` which code is one"
        )
        yield _absent(("train",), "one of `train`, `artifact` and `predictor`", hint)
    if "data" not in present and "train" in sources:
        yield _absent(("data",), "the rows to train on", "write `data:` with a `path:` below it")
    if "data" not in present and "predictor" in sources:
        allowed = "rows that it can be tried and described on"
        yield _absent(("data",), allowed, "write `data:` with a `path:` below it")


def _between_keys(data: Mapping[str, object]) -> Iterator[Breach]:
    yield from _label_is_no_input(data)
    yield from _held_out_has_rows(data)
    yield from row_breaches(data.get("data"))
    yield from step_breaches(data)
    yield from tls_breaches(_mapping(data.get("serving")))
    yield from retrain_breaches(data)
    yield from rollout_breaches(data.get("rollout"))
    yield from alert_breaches(data.get("alerts"))
    yield from objective_breaches(data.get("objectives"))
    yield from feedback_breaches(data.get("feedback"))
    for name, rule in _mapping(data.get("inputs")).items():
        yield from _input_is_possible(("inputs", name), _mapping(rule))


def _label_is_no_input(data: Mapping[str, object]) -> Iterator[Breach]:
    label = _mapping(data.get("data")).get("label")
    if isinstance(label, str) and label in _mapping(data.get("inputs")):
        yield Breach(
            path=("inputs", label),
            found="a rule on the label",
            allowed="inputs of the model",
            hint="the label is what the model answers; nobody sends it",
            on_key=True,
        )


def _held_out_has_rows(data: Mapping[str, object]) -> Iterator[Breach]:
    held_out = _mapping(_mapping(data.get("data")).get("held_out"))
    start, until = held_out.get("start"), held_out.get("until")
    if isinstance(start, str) and isinstance(until, str) and until and not _before(start, until):
        yield Breach(
            path=("data", "held_out", "until"),
            found=f"{shown(until)}, which is not after `start`",
            allowed=f"a value after {shown(start)}",
            hint="`until` is the first value not held out; without it all rows from `start` are",
        )


def _before(start: str, until: str) -> bool:
    """Compare as numbers or times where both are, as text otherwise."""
    for read in (_number_in, _time_in):
        one, other = read(start), read(until)
        if one is not None and other is not None:
            return one < other
    return start < until


def _number_in(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _time_in(text: str) -> float | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _input_is_possible(path: Path, rule: Mapping[str, object]) -> Iterator[Breach]:
    low, high = rule.get("minimum"), rule.get("maximum")
    if _is_number(low) and _is_number(high) and low > high:
        yield Breach(
            path=(*path, "maximum"),
            found=shown(high),
            allowed=f"{low:,} or more, the `minimum`",
            hint="as it stands no value could be sent",
        )
    for bound in ("minimum", "maximum"):
        if "allowed" in rule and bound in rule:
            yield Breach(
                path=(*path, bound),
                found="a bound on numbers beside a list of texts",
                allowed="`minimum` and `maximum` for a number, or `allowed` for a text",
                on_key=True,
            )


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
