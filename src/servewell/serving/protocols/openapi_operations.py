"""What may be asked of an endpoint, protocol by protocol, as OpenAPI 3.1 path items."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from servewell.core.catalog.feedback import FeedbackPolicy
from servewell.core.catalog.signature import Signature
from servewell.serving.protocols.openapi_feedback import (
    ASKED,
    TAKEN,
    said_schema,
    withdrawal_schema,
)
from servewell.serving.protocols.openapi_schemas import Schema, example_of, ref, tensor_examples
from servewell.serving.refusals import STATUS

Item = dict[str, Any]

JSON: Final = "application/json"
TEXT: Final = "text/plain"
BINARY: Final = "application/octet-stream"
# What is not answered where no model is asked.
OF_MODELS: Final = frozenset({500, 502, 504})
GONE: Final = 499  # nobody is there to read it
AZURE: Final = {500: 424, 502: 424, 504: 408}
ANY_JSON: Final[Schema] = {}
STRING: Final[Schema] = {"type": "string"}
BYTES: Final[Schema] = {
    "type": "string",
    "format": "binary",
    "description": "JSON, then tensors in binary; `Inference-Header-Content-Length` parts them.",
}
READY: Final[Schema] = {
    "type": "object",
    "properties": {"name": STRING, "ready": {"type": "boolean"}},
    "required": ["ready"],
}


def error_schemas() -> dict[str, Schema]:
    """Return how each protocol tells of an error, by name."""
    told: Schema = {
        "code": {"type": "string", "description": "Its page is in the reference of errors."},
        "faults": {"type": "array", "items": ref("Fault")},
    }
    keys = {
        "OpenInferenceError": ("error",),
        "KserveError": ("error",),
        "MlflowError": ("error_code", "message"),
        "AzureError": ("message",),
    }
    return {
        name: {
            "type": "object",
            "properties": {**dict.fromkeys(own, STRING), **told},
            "required": [*own, "code"],
        }
        for name, own in keys.items()
    }


def paths(
    endpoint: str,
    versions: Iterable[str],
    signature: Signature,
    feedback: FeedbackPolicy | None = None,
) -> dict[str, Item]:
    """Return every path of an endpoint with what may be sent there.

    Without a policy it takes no feedback.
    """
    name = quote(endpoint, safe="")
    return {
        **_open_inference(name, list(versions), signature),
        **_mlflow(f"/endpoints/{name}", signature),
        **_kserve(name, signature),
        **azure(f"/endpoints/{name}", signature),
        **_documents(f"/endpoints/{name}"),
        **_emergency(f"/endpoints/{name}", signature),
        **({} if feedback is None else _feedback(f"/endpoints/{name}", feedback)),
    }


def azure(prefix: str, signature: Signature) -> dict[str, Item]:
    """Return the paths of the scoring protocol of Azure Machine Learning."""
    row = list(example_of(signature).values())
    names = [one.name for one in signature.inputs]
    either = {"anyOf": [ref("Table"), ref("Rows")]}
    body = _exactly_one(
        {"input_data": either, "data": either, "inputs": either},
        example={"input_data": {"columns": names, "data": [row]}},
    )
    score = _infer("azure", body, ref("Predictions"))
    score["parameters"] += [_header(one) for one in AZURE_HEADERS]
    version = {
        "name": "version",
        "in": "query",
        "schema": {"enum": ["2", "3", "3.1"], "default": "2"},
    }
    older = "This protocol as Swagger 2.0, OpenAPI 3.0 or 3.1"
    get = _page("azure", "score_get", "Rows in the body of a GET", {JSON: ref("Predictions")})
    first = "What a browser asks before it sends rows; no origin is allowed"
    return {
        f"{prefix}/": {
            "get": _page("azure", "healthy", "Is the endpoint healthy?", {TEXT: STRING})
        },
        f"{prefix}/score": {
            "post": score,
            "get": get,
            "options": _page("azure", "options", first, {TEXT: STRING}),
        },
        f"{prefix}/swagger.json": {
            "get": _page("azure", "swagger", older, {JSON: ANY_JSON}, parameters=[version])
        },
    }


def _open_inference(name: str, versions: list[str], signature: Signature) -> dict[str, Item]:
    example = {"inputs": tensor_examples(signature)}
    infer = {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "parameters": {"type": ["object", "null"]},
            "inputs": ref("Tensors"),
            "outputs": {"type": ["array", "null"], "items": _wanted(signature)},
        },
        "required": ["inputs"],
        "examples": [example],
    }
    answer = {
        "type": "object",
        "properties": {
            "model_name": STRING,
            "model_version": STRING,
            "id": STRING,
            "parameters": {"type": "object"},
            "outputs": ref("OutputTensors"),
        },
        "required": ["model_name", "model_version", "outputs"],
    }
    version = {
        "name": "version",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": versions},
    }
    found: dict[str, Item] = {
        "/v2": {"get": _page("oip", "server", "What this server is", {JSON: ANY_JSON})},
        "/v2/health/live": {
            "get": _page("oip", "live", "Is this worker alive? Needs no key", {JSON: ANY_JSON})
            | {"security": []}
        },
        "/v2/repository/index": {"post": _page("oip", "index", "The models", {JSON: ANY_JSON})},
        f"/v2/repository/models/{name}/load": {
            "post": _page("oip", "load", "Load its models", {JSON: ANY_JSON})
        },
        f"/v2/repository/models/{name}/unload": {
            "post": _page("oip", "unload", "Unload its models", {JSON: ANY_JSON})
        },
        "/v2/health/ready": {
            "get": _or_not(_page("oip", "ready", "Is this worker ready?", {JSON: READY}))
        },
    }
    for place, parameters in (("", []), ("/versions/{version}", [version])):
        suffix = "_version" if place else ""
        path = f"/v2/models/{name}{place}"
        one = _infer("oip", infer, answer, suffix=suffix, parameters=parameters)
        for content in (one["requestBody"]["content"], one["responses"]["200"]["content"]):
            content[BINARY] = {"schema": BYTES}
        found |= {
            path: {
                "get": _page(
                    "oip", f"model{suffix}", "Names, types and shapes", {JSON: ANY_JSON},
                    parameters=parameters,
                )
            },
            f"{path}/ready": {
                "get": _or_not(
                    _page(
                        "oip", f"model_ready{suffix}", "Is the endpoint ready?", {JSON: READY},
                        parameters=parameters,
                    )
                )
            },
            f"{path}/config": {
                "get": _page(
                    "oip", f"config{suffix}", "Its configuration, in Triton's words",
                    {JSON: ANY_JSON}, parameters=parameters,
                )
            },
            f"{path}/infer": {"post": one},
        }  # fmt: skip
    return found


def _mlflow(prefix: str, signature: Signature) -> dict[str, Item]:
    row = list(example_of(signature).values())
    names = [one.name for one in signature.inputs]
    body = _exactly_one(
        {
            "dataframe_split": ref("Table"),
            "dataframe_records": ref("Rows"),
            "instances": ref("Rows"),
            "inputs": ref("Rows"),
        },
        example={"dataframe_split": {"columns": names, "data": [row]}},
    )
    invoke = _infer("mlflow", body, _named_predictions())
    invoke["requestBody"]["content"]["text/csv"] = {"schema": STRING}
    invoke["responses"]["415"]["content"] = {TEXT: {"schema": STRING}}
    told = {TEXT: STRING}
    return {
        f"{prefix}/ping": {"get": _page("mlflow", "ping", "Is the endpoint ready?", told)},
        f"{prefix}/health": {"get": _page("mlflow", "health", "Is the endpoint ready?", told)},
        f"{prefix}/version": {"get": _page("mlflow", "version", "The release", told)},
        f"{prefix}/invocations": {"post": invoke},
    }


def _kserve(name: str, signature: Signature) -> dict[str, Item]:
    body = _exactly_one(
        {"instances": ref("Rows"), "inputs": ref("Rows")},
        example={"instances": [example_of(signature)]},
    )
    event = "application/cloudevents+json"
    predict = _infer("kserve", body, _named_predictions())
    predict["requestBody"]["content"][event] = {"schema": _event(body)}
    answer = predict["responses"]["200"]["content"]
    answer[event] = {"schema": _event(_named_predictions())}
    explain = _page("kserve", "explain", "Not offered", {})
    del explain["responses"]["200"]
    models = {
        "type": "object",
        "properties": {"models": {"type": "array", "items": STRING}},
        "required": ["models"],
    }
    listed = _page("kserve", "models", "The endpoints", {JSON: models})
    ready = _page("kserve", "model", "Is it ready?", {JSON: READY})
    return {
        "/v1/models": {"get": listed},
        f"/v1/models/{name}": {"get": ready},
        f"/v1/models/{name}:predict": {"post": predict},
        f"/v1/models/{name}:explain": {"post": explain},
    }


def _documents(prefix: str) -> dict[str, Item]:
    document, page = "This document", "A page to try the endpoint with"
    return {
        f"{prefix}/openapi.json": {
            "get": _page("documents", "openapi", document, {JSON: ANY_JSON})
        },
        f"{prefix}/docs": {"get": _page("documents", "docs", page, {"text/html": STRING})},
    }


def _emergency(prefix: str, signature: Signature) -> dict[str, Item]:
    """Return what an administrator may order of a worker."""
    reason: Schema = {"type": "string", "minLength": 1, "description": "For the history."}
    names = {one.name: ANY_JSON for one in signature.outputs}
    stop = {
        "type": "object",
        "properties": {
            "because": reason,
            "fallback": {"type": "string", "description": "Deployment that answers instead."},
            "constant": {
                "type": "object",
                "properties": names,
                "description": "Outputs that every row is answered with instead.",
            },
        },
        "required": ["because"],
        "additionalProperties": False,
        "examples": [{"because": "it answers nonsense"}],
    }
    resume = {
        "type": "object",
        "properties": {"because": {"type": "string"}},
        "additionalProperties": False,
    }
    told = {
        "type": "object",
        "properties": {"endpoint": STRING, "stopped": {"type": "boolean"}},
        "required": ["endpoint", "stopped"],
    }
    found = {}
    for name, summary, body in (
        ("stop", "Refuse every request, or answer it in another way, until resumed", stop),
        ("resume", "Lift the emergency stop", resume),
    ):
        one = _page("emergency", name, summary, {JSON: told})
        one["requestBody"] = {"required": name == "stop", "content": {JSON: {"schema": body}}}
        found[f"{prefix}/{name}"] = {"post": one}
    return found


def _feedback(prefix: str, policy: FeedbackPolicy) -> dict[str, Item]:
    """Return what people may say of an answer, by a key or by the token of that answer."""
    asked = _page("feedback", "asked", "What people are asked to agree to", {JSON: ASKED})
    item = {"get": asked}
    for method, name, summary, body in (
        ("post", "say", "Rate an answer, correct it, comment on it", said_schema(policy)),
        ("delete", "withdraw", "Have what was said erased", withdrawal_schema()),
    ):
        one = _page("feedback", name, summary, {JSON: TAKEN})
        one["requestBody"] = {"required": True, "content": {JSON: {"schema": body}}}
        one["responses"]["202"] = one["responses"].pop("200")
        item[method] = one
    return {f"{prefix}/feedback": item}


TAGS: Final = {
    "oip": "Open Inference Protocol",
    "mlflow": "MLflow",
    "kserve": "KServe V1",
    "azure": "Azure ML",
    "documents": "Documents",
    "emergency": "Emergency",
    "feedback": "Feedback",
}
ERRORS: Final = {"mlflow": "MlflowError", "kserve": "KserveError", "azure": "AzureError"}


def _page(
    protocol: str,
    name: str,
    summary: str,
    content: dict[str, Schema],
    *,
    parameters: list[Item] | None = None,
) -> Item:
    """Return something to read."""
    return {
        "tags": [TAGS[protocol]],
        "operationId": f"{protocol}_{name}",
        "summary": summary,
        "parameters": [*(parameters or []), *(_header(one) for one in PAGE_HEADERS)],
        "responses": _responses(protocol, content, without=OF_MODELS),
    }


def _or_not(page: Item) -> Item:
    """Return something to read that has the same form while it is not ready."""
    content = page["responses"]["503"]["content"][JSON]
    content["schema"] = {"anyOf": [READY, content["schema"]]}
    return page


def _infer(
    protocol: str,
    body: Schema,
    answer: Schema,
    *,
    suffix: str = "",
    parameters: list[Item] | None = None,
) -> Item:
    return {
        "tags": [TAGS[protocol]],
        "operationId": f"{protocol}_infer{suffix}",
        "summary": "Predict",
        "parameters": [*(parameters or []), *(_header(one) for one in HEADERS)],
        "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
        "responses": _responses(protocol, {JSON: answer}),
    }


def _responses(
    protocol: str, content: dict[str, Schema], *, without: frozenset[int] = frozenset()
) -> Item:
    """Return the answers: 200, and each status that a refusal can have."""
    error = ref(ERRORS.get(protocol, "OpenInferenceError"))
    own = AZURE if protocol == "azure" else {}
    refused = {own.get(one, one) for one in STATUS.values() if one not in without}
    answers = {
        str(one): {
            "description": HTTPStatus(one).description or HTTPStatus(one).phrase,
            "content": {JSON: {"schema": error}},
        }
        for one in sorted(refused - {GONE})
    }
    told = {media: {"schema": schema} for media, schema in content.items()}
    return {"200": {"description": "As asked", "content": told}, **answers}


def _exactly_one(keys: dict[str, Schema], *, example: Schema) -> Schema:
    """Return the schema of an object that has one of the keys, and maybe others."""
    return {
        "type": "object",
        "properties": {"params": {"type": ["object", "null"], "description": "Read past."}},
        "oneOf": [
            {"title": key, "properties": {key: schema}, "required": [key]}
            for key, schema in keys.items()
        ],
        "examples": [example],
    }


def _named_predictions() -> Schema:
    return {
        "type": "object",
        "properties": {
            "predictions": ref("Predictions"),
            "prediction_id": STRING,
            "deployment": STRING,
        },
        "required": ["predictions", "prediction_id", "deployment"],
    }


def _event(data: Schema) -> Schema:
    """Return the schema of a CloudEvent in JSON."""
    text = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": text,
            "source": text,
            "type": text,
            "data": data,
        },
        "required": ["specversion", "id", "source", "type"],
    }


def _wanted(signature: Signature) -> Schema:
    return {
        "type": "object",
        "properties": {
            "name": {"enum": [one.name for one in signature.outputs]},
            "parameters": {"type": ["object", "null"]},
        },
        "required": ["name"],
    }


def _header(one: tuple[str, str, Schema]) -> Item:
    name, description, schema = one
    return {"name": name, "in": "header", "description": description, "schema": schema}


PAGE_HEADERS: Final = (
    ("servewell-deployment", "Ask this deployment, whatever the traffic says.", STRING),
)
HEADERS: Final = (
    *PAGE_HEADERS,
    (
        "servewell-timeout-ms",
        "How long the request may take, in milliseconds; 0 for no wish.",
        {"type": "integer", "minimum": 0, "maximum": 999_999_999_999},
    ),
    (
        "servewell-priority",
        "How urgent it is, up to what the key may have.",
        {"enum": ["high", "normal", "low"]},
    ),
    ("traceparent", "W3C Trace Context.", STRING),
)
AZURE_HEADERS: Final = (
    ("azureml-model-deployment", "Ask this deployment, whatever the traffic says.", STRING),
    ("x-ms-client-request-id", "Comes back, and is kept in the record.", {"type": "string"}),
    ("traceid", "Comes back.", STRING),
)
