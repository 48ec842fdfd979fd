"""The OpenAPI document of an endpoint, that the worker keeps to it, and the page made of it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from jsonschema import Draft202012Validator
from onnx import helper
from playwright.sync_api import Page, sync_playwright
from schemathesis.generation import GenerationMode
from schemathesis.generation.case import Case
from schemathesis.specs.openapi.checks import positive_data_acceptance

from servewell.core.catalog.endpoint import Endpoint, EndpointPolicy
from servewell.core.catalog.feedback import ConsentText, FeedbackPolicy, Scope
from servewell.core.catalog.key import Role
from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.core.operations.monitoring.feedback import text_digest
from serving.conftest import Running
from serving.home import FLIGHT, POISON, Home, flight_model, onnx_bytes

pytestmark = pytest.mark.enable_socket
CHROMIUM = shutil.which("chromium")
HTML = {"Accept": "text/html,application/xhtml+xml"}
TEXT = ConsentText(version="2", text="We may keep it.", scope=Scope.LABEL)
SEATS = replace(FLIGHT.inputs[2], maximum=float(POISON - 1), example=180)
DELAY = replace(
    FLIGHT.inputs[0], description="Minutes.", minimum_seen=-20.0, maximum_seen=9.0, example=2.5
)
# The model cannot fail within these bounds.
BOUNDED = replace(FLIGHT, inputs=(DELAY, FLIGHT.inputs[1], SEATS, FLIGHT.inputs[3]))
VECTOR = Signature(
    inputs=(Input(name="x", datatype=Datatype.FP64, row_shape=(3,), example=0.5),),
    outputs=(Output(name="y", datatype=Datatype.FP64, row_shape=(3,), classes=("a", "b", "c")),),
)
MATRIX = Signature(
    inputs=(
        Input(name="m", datatype=Datatype.FP32, row_shape=(-1, 2)),
        Input(name="n", datatype=Datatype.FP32, row_shape=(2, 1)),
    ),
    outputs=(Output(name="y", datatype=Datatype.FP32, row_shape=(-1, 2)),),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Documented:
    """A worker with the endpoints `flights`, `a vector` and `matrix`, and a key for them."""

    home: Home
    key: str

    def document(self, path: str) -> dict[str, Any]:
        """Return a document."""
        reply = self.home.send("GET", path, key=self.key)
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
        return reply.json


@pytest.fixture(scope="module")
def _documented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Documented]:
    home = Home(tmp_path_factory.mktemp("documented"))
    key, grant = home.key(Role.OPERATOR, endpoints=("flights", "a vector", "matrix"))
    vector = onnx_bytes(VECTOR, [helper.make_node("Identity", ["x"], ["y"])], [])
    matrix = onnx_bytes(MATRIX, [helper.make_node("Add", ["m", "n"], ["y"])], [])
    deployments = {
        "flights": home.deployment("blue", flight_model(2.0), signature=BOUNDED),
        "a vector": home.deployment("blue", vector, signature=VECTOR),
        "matrix": home.deployment("blue", matrix, signature=MATRIX),
    }
    rules = {"flights": EndpointPolicy(feedback=FeedbackPolicy(consent=TEXT))}
    endpoints = tuple(
        Endpoint(
            name=name,
            workload="tests",
            deployments=(one,),
            policy=rules.get(name, EndpointPolicy()),
        )
        for name, one in deployments.items()
    )
    home.publish_endpoints(endpoints, (grant,))
    with home.process():
        home.wait_for_snapshot()
        yield Documented(home=home, key=key)
    home.close()


@pytest.fixture
def documented(socket_enabled: None, _documented: Documented) -> Documented:
    """The worker that the tests of this module share."""
    del socket_enabled
    return _documented


@pytest.mark.parametrize("endpoint", ["flights", "a%20vector"])
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_keeps_to_its_document(documented: Documented, endpoint: str, mode: GenerationMode) -> None:
    """No request that schemathesis makes gets a 5xx or anything that the document does not name.

    What breaks the schema is refused. What keeps to it may still be refused, with a name: a schema
    cannot say that two lists are equally long.
    """
    document = documented.document(f"/endpoints/{endpoint}/openapi.json")
    del document["paths"][f"/v1/models/{endpoint}:explain"]  # it is a 5xx by its nature
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and operation.method != "post":
            continue  # little of a GET can break a schema, and finding it takes long
        with suppress(Unsatisfiable):
            exercise(documented, operation.as_strategy(generation_mode=mode))


def exercise(documented: Documented, cases: SearchStrategy[Case]) -> None:
    """Send some of the cases, and hold each answer to the document."""

    @settings(
        max_examples=5,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=cases)
    def run(case: Case) -> None:
        case.call_and_validate(
            base_url=f"http://127.0.0.1:{documented.home.port}",
            headers={"Authorization": f"Bearer {documented.key}"},
            excluded_checks=[positive_data_acceptance],
        )

    run()


@pytest.mark.parametrize("endpoint", ["flights", "a%20vector", "matrix"])
def test_shows_requests_that_are_answered(documented: Documented, endpoint: str) -> None:
    """Each example of a prediction keeps to its schema, and is answered."""
    document = documented.document(f"/endpoints/{endpoint}/openapi.json")
    sent = 0
    others = ("/stop", "/feedback")
    predicting = {p: one for p, one in document["paths"].items() if not p.endswith(others)}
    for path, item in predicting.items():
        for method, operation in item.items():
            content = operation.get("requestBody", {"content": {}})["content"]
            schema = content.get("application/json", {}).get("schema", {})
            for example in schema.get("examples", []):
                resolved = schema | {"components": document["components"]}
                Draft202012Validator(resolved).validate(example)
                reply = documented.home.send(
                    method.upper(), path.replace("{version}", "1"), key=documented.key, body=example
                )
                assert reply.status == 200, (path, reply.body)
                sent += 1
    assert sent == 5


def test_tells_what_the_signature_says(documented: Documented) -> None:
    """Types, bounds, allowed texts, null, examples and facts of the data are in the document."""
    document = documented.document("/endpoints/flights/openapi.json")
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    record = schemas["Rows"]["anyOf"][0]["items"]["anyOf"][0]
    told = {name: one["anyOf"][0] for name, one in record["properties"].items()}
    assert told["delay"]["type"] == ["number", "null"]
    assert told["delay"]["format"] == "float"
    assert (told["delay"]["maximum"], told["delay"]["examples"]) == (1000.0, [2.5])
    assert told["delay"]["description"] == "Minutes. Seen in training: -20 to 9."
    assert (told["carrier"]["type"], told["carrier"]["enum"]) == ("string", ["AA", "UA", "DL"])
    assert (told["seats"]["minimum"], told["seats"]["maximum"]) == (0, 999)
    assert told["name"]["type"] == ["string", "null"]
    assert record["examples"][0]["carrier"] == "AA"
    operations = [
        one["operationId"] for item in document["paths"].values() for one in item.values()
    ]
    assert len(operations) == len(set(operations))


def test_feedback_is_told_where_it_is_taken(documented: Documented) -> None:
    """What may be said, with the consent that is asked for; elsewhere there is no such path."""
    path = "/endpoints/flights/feedback"
    item = documented.document("/endpoints/flights/openapi.json")["paths"][path]
    assert set(item) == {"get", "post", "delete"}
    schema = item["post"]["requestBody"]["content"]["application/json"]["schema"]
    (said,) = schema["examples"]
    given = {"given": True, "version": "2", "digest": text_digest(TEXT.text)}
    for body, good in ((said | {"consent": given}, True), (said | {"consent": True}, False)):
        assert Draft202012Validator(schema).is_valid(body) is good
        reply = documented.home.send("POST", path, key=documented.key, body=body)
        assert (reply.status == 202) is good
    vector = documented.document("/endpoints/a%20vector/openapi.json")
    assert "/endpoints/a%20vector/feedback" not in vector["paths"]


@pytest.mark.parametrize(
    ("path", "version", "prefix"),
    [
        ("/endpoints/flights/swagger.json", "2.0", "/endpoints/flights"),
        ("/endpoints/flights/swagger.json?version=2", "2.0", "/endpoints/flights"),
        ("/endpoints/flights/swagger.json?version=3", "3.0.3", "/endpoints/flights"),
        ("/endpoints/flights/swagger.json?version=3.1", "3.1.0", "/endpoints/flights"),
    ],
)
def test_speaks_older_versions(
    documented: Documented, path: str, version: str, prefix: str
) -> None:
    """Azure's document comes in the version that is asked for, with that version's words alone."""
    document = documented.document(path)
    assert version in (document.get("swagger"), document.get("openapi"))
    assert set(document["paths"]) == {"/", "/score", "/swagger.json"}
    assert prefix in (document.get("basePath"), document.get("servers", [{}])[0].get("url"))
    text = json.dumps(document)
    if version != "3.1.0":
        assert not [
            one for one in ('"const"', "prefixItems", '"null"', '"examples"') if one in text
        ]
    if version == "2.0":
        assert not [one for one in ("anyOf", "oneOf", '"nullable', "components") if one in text]


def test_names_the_versions_of_azures_document(running: Running) -> None:
    """A version that there is not is 404; at the root the document is that of the only endpoint."""
    reply = running.home.send("GET", "/swagger.json?version=9", key=running.invoker)
    assert (reply.status, reply.json["code"]) == (404, "SW-304")
    found = running.home.send("GET", "/swagger.json", key=running.invoker).json
    assert (found["basePath"], found["info"]["title"]) == ("/", "flights")


def test_needs_a_key_for_each_document(running: Running) -> None:
    """Documents are for those who may read the endpoint; a browser is asked for a key."""
    for name in ("openapi.json", "docs"):
        path = f"/endpoints/flights/{name}"
        assert running.home.send("GET", path).status == 401
        assert running.home.send("GET", path, key=running.stranger).status == 403
        assert running.home.send("GET", path, key=running.reader).status == 200
    asked = running.home.send("GET", "/endpoints/flights/docs", headers=HTML)
    assert asked.status == 401
    program = running.home.send("GET", "/endpoints/flights/docs")
    assert "Basic" not in program.headers["www-authenticate"]


def test_lets_nothing_into_the_page(documented: Documented) -> None:
    """The page names no other place, and its policy allows its own script and style alone."""
    reply = documented.home.send("GET", "/endpoints/flights/docs", key=documented.key)
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert reply.headers["cache-control"] == "no-store"
    text = reply.body.decode()
    assert not [one for one in ("http://", "https://", "src=", "@import", " url(") if one in text]


@pytest.fixture
def page(documented: Documented) -> Iterator[Page]:
    """A browser that knows the key, with complaints of the page as failures."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(
            http_credentials={"username": "key", "password": documented.key},
            viewport={"width": 375, "height": 800},
        )
        made = context.new_page()
        made.on("pageerror", lambda error: complaints.append(str(error)))
        made.goto(f"http://127.0.0.1:{documented.home.port}/endpoints/flights/docs")
        yield made
        browser.close()
    assert not complaints


def test_is_a_page_to_try_the_endpoint_with(page: Page) -> None:
    """With keys alone: the example is sent, a fault is shown at its field, snippets follow."""
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#answer .good")
    assert "185" in page.inner_text("#answer table")
    page.fill("#input-2", "-5")
    page.press("#input-2", "Enter")
    page.wait_for_selector("#answer .bad")
    assert "found `-5`" in page.inner_text("#answer")
    assert page.get_attribute("#input-2", "aria-invalid") == "true"
    page.focus("[role=tab][aria-selected=true]")
    page.keyboard.press("ArrowRight")
    assert "urlopen" in page.inner_text("#snippet")
    assert "-5" in page.inner_text("#snippet")
    assert page.evaluate("document.documentElement.scrollWidth") == 375


def test_shows_names_as_text(home: Home) -> None:
    """A name that would end the script, or is a word of JSON Schema, stays a name."""
    key, grant = home.key()
    nasty = "</script><script>alert(1)</script>{style}"
    names = (nasty, "const", "examples", "type", "nullable")
    signature = Signature(
        inputs=tuple(Input(name=one, datatype=Datatype.FP32) for one in names),
        outputs=(Output(name="y", datatype=Datatype.FP32, row_shape=(1,)),),
    )
    model = onnx_bytes(signature, [helper.make_node("Sum", list(names), ["y"])], [])
    home.publish(home.deployment("blue", model, signature=signature), grants=(grant,))
    with home.process():
        home.wait_for_snapshot()
        text = home.send("GET", "/docs", key=key).body.decode()
        document = home.send("GET", "/openapi.json", key=key)
        reply = home.send("POST", "/score", key=key, body={"data": [dict.fromkeys(names, 1.5)]})
        older = home.send("GET", "/swagger.json", key=key).json
    assert text.count("<script") == 2
    assert document.status == 200
    assert json.loads(reply.body) == [7.5]
    assert set(older["definitions"]["Table"]["properties"]) == {"columns", "index", "data"}
