"""What a signature takes and gives, as JSON Schema (draft 2020-12, as OpenAPI 3.1 uses it)."""

from typing import Any, Final

from servewell.core.catalog.signature import Datatype, Input, Output, Signature, example_row
from servewell.serving.protocols.bounds import bounds_of
from servewell.serving.protocols.elements import may_be_null

Schema = dict[str, Any]

FORMATS: Final = {
    Datatype.INT32: "int32",
    Datatype.INT64: "int64",
    Datatype.FP32: "float",
    Datatype.FP64: "double",
}
CATEGORIES_TOLD: Final = 20


def ref(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def schemas(signature: Signature) -> dict[str, Schema]:
    """Return the schemas of an endpoint by name: what may be sent, what comes back."""
    return {
        "Rows": rows(signature),
        "Table": table(signature),
        "Tensors": tensors(signature),
        "Prediction": prediction(signature.outputs),
        "Predictions": {"type": "array", "items": ref("Prediction")},
        "OutputTensors": {"type": "array", "items": {"anyOf": _output_tensors(signature)}},
        "Fault": FAULT,
    }


def element(declared: Input) -> Schema:
    """Return the schema of one element of an input."""
    schema: Schema = {"title": declared.name, "type": _json_type(declared.datatype)}
    if declared.datatype in FORMATS:
        schema["format"] = FORMATS[declared.datatype]
    if declared.datatype.is_integer or declared.datatype.is_float:
        schema["minimum"], schema["maximum"] = bounds_of(declared)
    if declared.allowed is not None:
        schema["enum"] = list(declared.allowed)
    description = _description(declared)
    if description:
        schema["description"] = description
    examples = _examples(declared)
    if examples:
        schema["examples"] = examples
    return _or_null(schema) if may_be_null(declared) else schema


def value(declared: Input) -> Schema:
    """Return the schema of one row's value; a single one may stand in a list of its own."""
    one = element(declared)
    if declared.row_shape in ((), (1,)):
        return {"anyOf": [one, _list_of(one, 1)]}
    nested = one
    for size in reversed(declared.row_shape):
        nested = _list_of(nested, size)
    return nested


def rows(signature: Signature) -> Schema:
    """Return the schema of rows: as objects, as lists, or as one list for each input."""
    inputs = signature.inputs
    names = [one.name for one in inputs]
    values = {one.name: value(one) for one in inputs}
    example = example_of(signature)
    record = {
        "type": "object",
        "properties": values,
        "required": names,
        "additionalProperties": False,
        "examples": [example],
    }
    columns = {
        "title": "A list for each input",
        "type": "object",
        "properties": {name: _some(one) for name, one in values.items()},
        "required": names,
        "additionalProperties": False,
        "examples": [{name: [one] for name, one in example.items()}],
    }
    return {"anyOf": [_some({"anyOf": [record, _row(inputs)]}), columns]}


def table(signature: Signature) -> Schema:
    """Return the schema of a table: names once, then a list for each row."""
    inputs = signature.inputs
    names = [one.name for one in inputs]
    only = inputs[0]
    named: Schema = {
        "type": "array",
        "items": {"enum": names},
        "minItems": len(names),
        "maxItems": len(names),
        "uniqueItems": True,
    }
    width = len(names)
    if len(inputs) == 1 and len(only.row_shape) == 1:
        width = max(only.row_shape[0], 1)
        named = {"anyOf": [named, _list_of({"type": "string"}, only.row_shape[0])]}
    numbered = {"enum": [list(range(width))]}
    in_any_order = [value(one) for one in inputs]
    row = _list_of({"anyOf": in_any_order}, len(names)) if len(inputs) > 1 else _row(inputs)
    example = example_of(signature)
    return {
        "type": "object",
        "properties": {
            "columns": {"anyOf": [named, numbered, {"type": "null"}]},
            "index": {"description": "Read past."},
            "data": _some(row),
        },
        "required": ["data"],
        "additionalProperties": False,
        "examples": [{"columns": names, "data": [list(example.values())]}],
    }


def example_of(signature: Signature) -> dict[str, Any]:
    """Return an example row, each value nested as its shape says; an open dimension has one."""
    flat = example_row(signature)
    return {one.name: _shaped(flat[one.name], one.row_shape) for one in signature.inputs}


def tensors(signature: Signature) -> Schema:
    """Return the schema of the inputs in the Open Inference Protocol."""
    count = len(signature.inputs)
    return {
        "type": "array",
        "items": {"anyOf": [_tensor(one) for one in signature.inputs]},
        "minItems": count,
        "maxItems": count,
        "examples": [tensor_examples(signature)],
    }


def tensor_examples(signature: Signature) -> list[Schema]:
    """Return the inputs of one example row in the Open Inference Protocol."""
    example = example_row(signature)
    return [
        {
            "name": one.name,
            "shape": [1, *(max(size, 1) for size in one.row_shape)],
            "datatype": one.datatype.value,
            "data": _as_list(example[one.name]),
        }
        for one in signature.inputs
    ]


def prediction(outputs: tuple[Output, ...]) -> Schema:
    """Return the schema of what one row gives: a value, or an object of several outputs."""
    values = {one.name: _output_value(one) for one in outputs}
    if len(outputs) == 1:
        return values[outputs[0].name]
    return {"type": "object", "properties": values, "required": list(values)}


def _row(inputs: tuple[Input, ...]) -> Schema:
    """Return the schema of a row without names; of one input it may be the value alone."""
    listed = {
        "type": "array",
        "prefixItems": [value(one) for one in inputs],
        "minItems": len(inputs),
        "maxItems": len(inputs),
    }
    return {"anyOf": [value(inputs[0]), listed]} if len(inputs) == 1 else listed


def _tensor(declared: Input) -> Schema:
    shapes = [_shape((-1, *declared.row_shape))]
    if declared.row_shape == (1,):
        shapes.append(_shape((-1,)))
    one = element(declared)
    return {
        "title": declared.name,
        "type": "object",
        "properties": {
            "name": {"const": declared.name},
            "shape": {"anyOf": shapes},
            "datatype": {"const": declared.datatype.value},
            "data": {
                "description": "Row by row: one flat list, or nested as `shape` says.",
                "type": "array",
                "items": {"anyOf": [one, _nested(one, len(declared.row_shape))]},
            },
            "parameters": {"type": ["object", "null"]},
        },
        "required": ["name", "shape", "datatype", "data"],
    }


def _nested(one: Schema, depth: int) -> Schema:
    for _ in range(max(depth, 1)):
        one = {"type": "array", "items": one}
    return one


def _shape(sizes: tuple[int, ...]) -> Schema:
    items = [{"type": "integer", "minimum": 1} if size == -1 else {"const": size} for size in sizes]
    return {
        "type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)
    }  # fmt: skip


def _output_tensors(signature: Signature) -> list[Schema]:
    return [
        {
            "title": one.name,
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "shape": {"type": "array", "items": {"type": "integer"}},
                "datatype": {"type": "string"},
                "data": {"type": "array", "items": _output_element(one)},
            },
            "required": ["name", "shape", "datatype"],
        }
        for one in signature.outputs
    ]


def _output_value(one: Output) -> Schema:
    schema = _output_element(one)
    for size in reversed(() if one.row_shape == (1,) else one.row_shape):
        schema = {"type": "array", "items": schema}
        if size != -1:
            schema |= {"minItems": size, "maxItems": size}
    if one.classes:
        schema["description"] = "One for each of: " + ", ".join(one.classes[:CATEGORIES_TOLD])
    return schema


def _output_element(one: Output) -> Schema:
    kind = _json_type(one.datatype)
    schema: Schema = {"type": [kind, "null"] if one.datatype.is_float else kind}
    if one.datatype in FORMATS:
        schema["format"] = FORMATS[one.datatype]
    return schema


def _list_of(one: Schema, size: int) -> Schema:
    if size == -1:
        return _some(one)
    return {"type": "array", "items": one, "minItems": size, "maxItems": size}


def _some(one: Schema) -> Schema:
    return {"type": "array", "items": one, "minItems": 1}


def _shaped(value: Any, row_shape: tuple[int, ...]) -> Any:  # noqa: ANN401  (any JSON)
    for size in reversed(row_shape[1:]):
        value = [
            value[start : start + max(size, 1)] for start in range(0, len(value), max(size, 1))
        ]
    return value


def _as_list(example: object) -> list[Any]:
    return example if isinstance(example, list) else [example]


def _json_type(datatype: Datatype) -> str:
    if datatype is Datatype.BYTES:
        return "string"
    if datatype is Datatype.BOOL:
        return "boolean"
    return "integer" if datatype.is_integer else "number"


def _or_null(schema: Schema) -> Schema:
    schema["type"] = [schema["type"], "null"]
    if "enum" in schema:
        schema["enum"].append(None)
    return schema


def _description(declared: Input) -> str:
    told = [declared.description] if declared.description else []
    if declared.categories and declared.allowed is None:
        seen = ", ".join(declared.categories[:CATEGORIES_TOLD])
        told.append(f"Seen in training: {seen}.")
    if declared.minimum_seen is not None and declared.maximum_seen is not None:
        told.append(f"Seen in training: {declared.minimum_seen:g} to {declared.maximum_seen:g}.")
    return " ".join(told)


def _examples(declared: Input) -> list[Any]:
    if declared.example is not None:
        return [declared.example]
    return list(declared.categories[:3]) if declared.categories and not declared.allowed else []


FAULT: Final[Schema] = {
    "title": "One thing that is wrong with a request",
    "type": "object",
    "properties": {
        "kind": {"type": "string"},
        "name": {"type": "string", "description": "Of the input or output."},
        "row": {"type": ["integer", "null"], "description": "From 0."},
        "found": {"type": "string"},
        "allowed": {"type": "string"},
    },
    "required": ["kind", "name", "row", "found", "allowed"],
}
