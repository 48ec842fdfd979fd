"""A document of OpenAPI 3.1 in the words of 3.0 and of Swagger 2.0.

They know less than JSON Schema: what they cannot say is left out, never said wrongly.
Source: OpenAPI Specification 3.0.3 and 2.0.
"""

from collections.abc import Callable
from typing import Any, Final

Json = Any  # a document has no static type

LITERAL: Final = frozenset(
    {"const", "default", "enum", "example", "examples"}
)  # values, no schemas
UNKNOWN_2_0: Final = frozenset({"anyOf", "oneOf", "nullable"})


def as_3_0(document: Json) -> Json:
    """Return a document as OpenAPI 3.0."""
    older = _schemas_3_0(document)
    older["openapi"] = "3.0.3"
    return older


def as_2_0(document: Json) -> Json:
    """Return a document as Swagger 2.0."""
    older = as_3_0(document)
    definitions = {name: _schema_2_0(one) for name, one in older["components"]["schemas"].items()}
    return {
        "swagger": "2.0",
        "info": older["info"],
        "basePath": older["servers"][0]["url"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "securityDefinitions": {
            "Bearer": {"type": "apiKey", "name": "Authorization", "in": "header"},
            "Basic": {"type": "basic"},
        },
        "security": [{"Bearer": []}, {"Basic": []}],
        "paths": {
            path: {method: _operation_2_0(one) for method, one in item.items()}
            for path, item in older["paths"].items()
        },
        "definitions": definitions,
    }


def _schemas_3_0(node: Json) -> Json:
    """Return a part of a document with its schemas in the words of 3.0."""
    if isinstance(node, list):
        return [_schemas_3_0(one) for one in node]
    if not isinstance(node, dict):
        return node
    made = {name: _each(one, name, _schemas_3_0) for name, one in node.items()}
    if isinstance(made.get("type"), list):
        made["type"] = next(one for one in made["type"] if one != "null")
        made["nullable"] = True
    if "const" in made:
        made["enum"] = [made.pop("const")]
    if "prefixItems" in made:
        made["items"] = {"anyOf": made.pop("prefixItems")}
    if isinstance(made.get("examples"), list):
        made["example"] = made.pop("examples")[0]
    if isinstance(made.get("anyOf"), list) and {"type": "null"} in made["anyOf"]:
        made["anyOf"] = [one for one in made["anyOf"] if one != {"type": "null"}]
        made["nullable"] = True
    return made


def _each(node: Json, name: str, older: Callable[[Json], Json]) -> Json:
    """Return a part in older words; names of properties are never taken for words of a schema."""
    if name == "properties":
        return {own: older(one) for own, one in node.items()}
    return node if name in LITERAL else older(node)


def _schema_2_0(node: Json) -> Json:
    if isinstance(node, list):
        return [_schema_2_0(one) for one in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str):
        return {"$ref": reference.replace("#/components/schemas/", "#/definitions/")}
    known = {name: one for name, one in node.items() if name not in UNKNOWN_2_0}
    made = {name: _each(one, name, _schema_2_0) for name, one in known.items()}
    if node.get("nullable"):
        made["x-nullable"] = True
        made.pop("enum", None)  # null would have to be one of its type
    return made


def _operation_2_0(operation: Json) -> Json:
    made = {name: operation[name] for name in ("operationId", "summary", "tags")}
    parameters = [_parameter_2_0(one) for one in operation.get("parameters", [])]
    body = operation.get("requestBody")
    if body is not None:
        schema = _schema_2_0(body["content"]["application/json"]["schema"])
        parameters.append({"name": "body", "in": "body", "required": True, "schema": schema})
    responses = {
        status: {"description": one["description"], **_content_2_0(one)}
        for status, one in operation["responses"].items()
    }
    media = [*operation["responses"]["200"]["content"]]
    return {**made, "parameters": parameters, "responses": responses, "produces": media}


def _content_2_0(response: Json) -> Json:
    content = next(iter(response["content"].values()))
    return {"schema": _schema_2_0(content["schema"])}


def _parameter_2_0(parameter: Json) -> Json:
    made = {name: one for name, one in parameter.items() if name != "schema"}
    return {**made, "type": "string", **_schema_2_0(parameter["schema"])}
