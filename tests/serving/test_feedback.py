"""Feedback at the data plane: who may give it, what reaches the disk, and the component."""

import http.server
import json
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from servewell.adapters.embedded.monitoring.feedback_inbox import FolderFeedbackInbox
from servewell.core.catalog.endpoint import Endpoint, EndpointPolicy
from servewell.core.catalog.feedback import ConsentText, FeedbackPolicy, Said, Scope
from servewell.core.catalog.key import Role
from servewell.core.operations.monitoring.feedback import text_digest
from servewell.serving.feedback_limits import FeedbackLimits
from servewell.serving.feedback_refusals import FeedbackLimitedError
from servewell.serving.protocols.feedback import INTEGRITY, NAME_OF_VERSION
from serving.home import Home, Reply, flight_model, request

pytestmark = pytest.mark.enable_socket
CHROMIUM = shutil.which("chromium")
PATH = "/endpoints/flights/feedback"
CANARY = "the-yellow-bird-sings"
TEXT = ConsentText(version="2", text="We may keep what I say, to learn from it.", scope=Scope.LABEL)
GIVEN = {"given": True, "version": "2", "scope": "label"}
APP = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>App</title>
<style nonce="app">body {{ font: 16px/1.5 system-ui; margin: 2rem; }}
body.dark {{ background: #12161c; color: #e4e9f0; }}</style>
<script src="{base}/feedback/{name}" integrity="{integrity}" crossorigin="anonymous"></script>
</head><body><h1>Your flight will be late.</h1>
<servewell-feedback endpoint="flights" base="{base}" token="{token}" subject="Ada"
  correction-type="number"></servewell-feedback></body></html>"""


@dataclass(slots=True, kw_only=True)
class Place:
    """A worker whose endpoint `flights` takes feedback, and an application of another origin."""

    home: Home
    operator: str
    giver: str  # may give feedback, and nothing else
    reader: str
    origin: str  # of the application
    page: dict[str, str]  # what the application answers with

    def ask(self) -> tuple[str, str]:
        """Return the id and the feedback token of a new prediction."""
        reply = self.home.send(
            "POST", "/v2/models/flights/infer", key=self.operator, body=request()
        )
        return reply.headers["servewell-prediction-id"], reply.headers["servewell-feedback-token"]

    def say(self, key: str | None, body: object, **headers: str) -> Reply:
        """Send feedback."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.home.send("POST", PATH, key=key, body=content, headers=headers)

    def said(self, prediction_id: str) -> list[Said]:
        """Return what stands in the inbox about a prediction, oldest first."""
        batches = FolderFeedbackInbox(self.home.folder / "feedback").waiting(100_000)
        every = (one for batch in batches for one in batch.said)
        return [one for one in every if one.prediction_id == prediction_id]


class Application(http.server.BaseHTTPRequestHandler):
    """An application of another origin, under a strict Content-Security-Policy."""

    page: dict[str, str]

    def do_GET(self) -> None:
        """Answer with the page."""
        body = self.page.get("html", "").encode()
        base = self.page.get("base", "")
        policy = f"default-src 'none'; script-src {base}; connect-src {base}; style-src 'nonce-app'"
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-security-policy", policy)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the library's own)
        """Say nothing."""


@pytest.fixture(scope="module")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    page: dict[str, str] = {}
    handler = type("Here", (Application,), {"page": page})
    application = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=application.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{application.server_address[1]}"
    home = Home(tmp_path_factory.mktemp("home"))
    operator, operating = home.key()
    giver, giving = home.key(Role.FEEDBACK, endpoints=("flights",))
    reader, reading = home.key(Role.READER)
    policy = FeedbackPolicy(origins=(origin,), consent=TEXT)
    blue = home.deployment("blue", flight_model(2.0))
    endpoints = (
        Endpoint(
            name="flights",
            workload="flights",
            deployments=(blue,),
            policy=EndpointPolicy(feedback=policy),
        ),
        Endpoint(name="quiet", workload="quiet", deployments=(blue,)),
    )
    home.publish_endpoints(endpoints, (operating, giving, reading))
    with home.process():
        home.wait_for_snapshot()
        yield Place(
            home=home, operator=operator, giver=giver, reader=reader, origin=origin, page=page
        )
    home.close()
    application.shutdown()
    application.server_close()


@pytest.fixture
def place(socket_enabled: None, _place: Place) -> Place:
    """The place that the tests share."""
    del socket_enabled
    return _place


def test_an_answer_brings_the_token_of_its_prediction(place: Place) -> None:
    """With it, and no key, a browser rates that answer and learns what is asked of it."""
    prediction_id, token = place.ask()
    asked = place.home.send("GET", PATH, key=token)
    assert asked.json["consent"] == {
        "version": "2",
        "text": TEXT.text,
        "scope": "label",
        "digest": text_digest(TEXT.text),
    }
    assert asked.json["component"]["integrity"] == INTEGRITY
    assert place.say(token, {"rating": "up"}).status == 202
    (found,) = place.said(prediction_id)
    assert (found.rating, found.author, found.principal) == ("up", "browser", "")
    other, _ = place.ask()
    elsewhere = place.say(token, {"rating": "up", "prediction_id": other})
    assert (elsewhere.status, elsewhere.json["code"]) == (403, "SW-383")
    changed = place.say(token[:-1] + ("0" if token[-1] != "0" else "1"), {"rating": "up"})
    assert (changed.status, changed.json["code"]) == (401, "SW-382")
    assert place.home.send("POST", "/v2/models/flights/infer", key=token).status == 401


def test_where_feedback_is_off_there_is_none_of_it(place: Place) -> None:
    """No token comes with an answer, and what is sent is refused."""
    reply = place.home.send("POST", "/v2/models/quiet/infer", key=place.operator, body=request())
    assert "servewell-feedback-token" not in reply.headers
    told = place.home.send("POST", "/endpoints/quiet/feedback", key=place.operator, body={})
    assert (told.status, told.json["code"]) == (404, "SW-380")
    refused = place.home.send("POST", "/v2/models/flights/infer", key=place.operator, body=b"{}")
    assert "servewell-feedback-token" not in refused.headers


def test_a_key_for_feedback_does_nothing_else(place: Place) -> None:
    """It speaks for many people, each of whom is an author; a reader's key says nothing."""
    prediction_id, _ = place.ask()
    body = {"prediction_id": prediction_id, "rating": 4, "consent": GIVEN}
    for name in ("Ada", "Bo", "Ada"):
        assert place.say(place.giver, body | {"subject": name}).status == 202
    authors = [one.author for one in place.said(prediction_id)]
    assert authors[0] == authors[2] != authors[1]
    assert "Ada" not in str(place.said(prediction_id))
    infer = place.home.send("POST", "/v2/models/flights/infer", key=place.giver, body=request())
    assert infer.status == 403
    assert place.say(place.reader, body).json["code"] == "SW-308"
    assert place.say(None, body).status == 401
    assert place.home.send("PUT", PATH, key=place.giver).headers["allow"].startswith("GET")


@pytest.mark.parametrize(
    "body",
    [b"", b"[1]", b"{", b"[" * 9_000, b'{"a":' * 3_000, b"\xff", b"null", b'{"rating":"\\ud800"}'],
)
def test_nothing_that_is_sent_is_a_fault_of_ours(place: Place, body: bytes) -> None:
    """A body that is no feedback is refused with the field that is wrong."""
    _, token = place.ask()
    reply = place.say(token, body)
    assert (reply.status, reply.json["code"]) == (400, "SW-381")
    assert reply.json["fields"]


def test_faults_are_told_together_and_sizes_are_bounded(place: Place) -> None:
    """Each field is named; a body beyond the bound is refused as such."""
    _, token = place.ask()
    reply = place.say(token, {"rating": 9, "row": -1, "comment": "x" * 2_001})
    assert [one["field"] for one in reply.json["fields"]] == ["row", "rating", "comment"]
    assert place.say(token, {"rating": "up", "comment": "x" * 20_000}).status == 413


def test_only_pages_that_are_named_may_send(place: Place) -> None:
    """Others get no permission from the browser, and are refused if they ask all the same."""
    _, token = place.ask()
    named, other = {"Origin": place.origin}, {"Origin": "https://evil.example.org"}
    before = place.home.send("OPTIONS", PATH, headers=named)
    assert before.headers["access-control-allow-origin"] == place.origin
    assert "authorization" in before.headers["access-control-allow-headers"]
    assert (
        "access-control-allow-origin" not in place.home.send("OPTIONS", PATH, headers=other).headers
    )
    good = place.say(token, {"rating": "up"}, **named)
    assert good.headers["access-control-allow-origin"] == place.origin
    wrong = place.say(token, {"rating": "?"}, **named)
    assert (wrong.status, wrong.headers["access-control-allow-origin"]) == (400, place.origin)
    bad = place.say(token, {"rating": "up"}, **other)
    assert (bad.status, bad.json["code"]) == (403, "SW-386")
    own = {"Origin": f"http://127.0.0.1:{place.home.port}"}
    assert place.say(token, {"rating": "up"}, **own).status == 202


def test_replay_is_limited(place: Place) -> None:
    """A token takes a change of mind, not a flood; the refusal says when to come again."""
    prediction_id, token = place.ask()
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: place.say(token, {"rating": "up"}), range(24)))
    statuses = sorted(one.status for one in replies)
    assert statuses == [202] * 20 + [429] * 4
    late = next(one for one in replies if one.status == 429)
    assert late.json["code"] == "SW-384"
    assert 0 < int(late.headers["retry-after"]) <= 3_601
    assert len({one.author for one in place.said(prediction_id)}) == 1


def test_limits_count_in_windows() -> None:
    """A window ends, also where the clock is set back; who goes on asking is not forgotten."""
    limits = FeedbackLimits()
    limits.take("a", "one key", most=1, window_s=60, now=100.0)
    with pytest.raises(FeedbackLimitedError):
        limits.take("a", "one key", most=1, window_s=60, now=159.0)
    limits.take("a", "one key", most=1, window_s=60, now=160.0)
    limits.take("a", "one key", most=1, window_s=60, now=10.0)
    small = FeedbackLimits(windows_max=2)
    small.take("a", "one key", most=1, window_s=60, now=1.0)
    small.take("b", "one key", most=1, window_s=60, now=1.0)
    for other in ("c", "d", "e"):
        with pytest.raises(FeedbackLimitedError):
            small.take("a", "one key", most=1, window_s=60, now=2.0)
        small.take(other, "one key", most=1, window_s=60, now=2.0)


def test_what_lacks_consent_is_written_nowhere(home: Home) -> None:
    """Not in the inbox, the records, the log or any other file; nor is what was refused."""
    operator, operating = home.key()
    policy = EndpointPolicy(feedback=FeedbackPolicy(consent=TEXT))
    home.publish(home.deployment("blue", flight_model(2.0)), policy=policy, grants=(operating,))
    secret = {"comment": CANARY, "correction": CANARY, "subject": CANARY}
    with home.process() as process:
        home.wait_for_snapshot()
        answer = home.send("POST", "/v2/models/flights/infer", key=operator, body=request())
        token = answer.headers["servewell-feedback-token"]
        said = {"rating": "down", "prediction_id": answer.headers["servewell-prediction-id"]}
        for key in (token, operator):
            for consent in (None, {"given": False}):
                told = home.send("POST", PATH, key=key, body=said | secret | {"consent": consent})
                assert told.json["dropped"] == ["correction", "comment", "subject"]
            faulty = home.send("POST", PATH, key=key, body=said | secret | {CANARY: CANARY})
            assert (faulty.status, CANARY in faulty.body.decode()) == (400, False)
    assert process.stderr is not None
    everything = [one for one in home.folder.rglob("*") if one.is_file()]
    assert [one for one in everything if CANARY.encode() in one.read_bytes()] == []
    assert len(list((home.folder / "feedback").glob("*.feedback"))) == 4


def test_what_was_acknowledged_survives_a_kill(home: Home) -> None:
    """Neither control nor a database is there, and the worker dies at once after its answer."""
    operator, operating = home.key()
    policy = EndpointPolicy(feedback=FeedbackPolicy(consent=TEXT))
    home.publish(home.deployment("blue", flight_model(2.0)), policy=policy, grants=(operating,))
    with home.process() as process:
        home.wait_for_snapshot()
        body = {"prediction_id": "0" * 32, "rating": 5, "consent": GIVEN, "comment": CANARY}
        assert home.send("POST", PATH, key=operator, body=body).status == 202
        process.send_signal(signal.SIGKILL)
        process.wait()
    (batch,) = FolderFeedbackInbox(home.folder / "feedback").waiting(9)
    assert [(one.comment, one.consent and one.consent.text) for one in batch.said] == [
        (CANARY, TEXT.text)
    ]


def test_a_disk_that_takes_nothing_is_told(place: Place) -> None:
    """The caller gets 503 and when to come again, and the worker serves on."""
    folder = place.home.folder / "feedback"
    folder.mkdir(exist_ok=True)
    away = folder.rename(folder.with_name("away"))
    folder.write_text("in the way")
    _, token = place.ask()
    try:
        reply = place.say(token, {"rating": "up"})
    finally:
        folder.unlink()
        away.rename(folder)
    assert (reply.status, reply.json["code"]) == (503, "SW-385")
    assert reply.headers["retry-after"] == "5"
    assert place.say(token, {"rating": "up"}).status == 202


def test_what_became_of_feedback_is_counted(place: Place) -> None:
    """Once it is on the disk, and where it is refused; by endpoint."""

    def counted(outcome: str) -> int:
        text = place.home.send("GET", "/metrics", key=place.operator).body.decode()
        name = f'servewell_feedback_total{{endpoint="flights",outcome="{outcome}"}}'
        return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(name))

    before = [counted(one) for one in ("taken", "withdrawn", "refused")]
    _, token = place.ask()
    assert place.say(token, {"rating": "up"}).status == 202
    assert place.say(token, {"rating": "?"}).status == 400
    assert place.say(f"{token[:-1]}!", {"rating": "up"}).status == 401
    assert place.home.send("DELETE", PATH, key=token, body=b"{}").status == 202
    after = [counted(one) for one in ("taken", "withdrawn", "refused")]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 2]


def test_the_component_is_served_with_its_hash(place: Place) -> None:
    """Under the name of its content it may be kept for ever, under its own for minutes."""
    for name, kept in ((NAME_OF_VERSION, "immutable"), ("servewell-feedback.js", "max-age=300")):
        reply = place.home.send("GET", f"/feedback/{name}")
        assert reply.status == 200
        assert kept in reply.headers["cache-control"]
        assert reply.headers["content-type"].startswith("text/javascript")
    assert place.home.send("GET", "/feedback/other.js").status == 401


@pytest.fixture
def browser_page(place: Place, tmp_path: Path) -> Iterator[Page]:
    """A narrow page of the application, in Chromium, with a new answer; without complaints."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    del tmp_path
    base = f"http://127.0.0.1:{place.home.port}"
    prediction_id, token = place.ask()
    place.page |= {
        "base": base,
        "prediction": prediction_id,
        "html": APP.format(base=base, name=NAME_OF_VERSION, integrity=INTEGRITY, token=token),
    }
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        made = browser.new_context(viewport={"width": 375, "height": 820}).new_page()
        made.on("pageerror", lambda error: complaints.append(str(error)))
        made.on("console", lambda line: complaints.append(line.text))
        made.goto(place.origin)
        made.wait_for_selector("servewell-feedback form button[type=submit]", state="attached")
        yield made
        browser.close()
    assert not complaints


def test_people_say_it_with_keys_alone(place: Place, browser_page: Page) -> None:
    """A thumb is kept at once; more is asked then, and kept only with consent; all is withdrawn."""
    page, prediction_id = browser_page, place.page["prediction"]
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Your rating is kept")
    assert page.get_attribute("button[value=down]", "aria-pressed") == "true"
    page.keyboard.press("Tab")
    page.keyboard.type("1.5")
    page.keyboard.press("Tab")
    page.keyboard.type("It was late.")
    page.get_by_role("button", name="Send").press("Enter")
    page.wait_for_selector("text=your agreement is needed")
    page.keyboard.press("Space")  # the check box has the focus
    assert page.get_by_role("checkbox", name=TEXT.text).is_checked()
    page.get_by_role("button", name="Send").press("Enter")
    page.wait_for_selector("text=What you said is kept")
    rated, told = place.said(prediction_id)
    assert (rated.rating, rated.comment, rated.consent) == ("down", "", None)
    assert (told.correction, told.comment) == (1.5, "It was late.")
    assert (told.subject != "", told.subject != "Ada") == (True, True)
    page.get_by_role("button", name="Withdraw").press("Enter")
    page.wait_for_selector("text=withdrawn")
    assert place.said(prediction_id)[-1].withdrawn
    assert page.get_by_role("button", name="Yes").is_disabled()
    assert page.evaluate("document.documentElement.scrollWidth") == 375


CONTRAST = """() => {
  const light = (color) => {
    const [r, g, b] = color.match(/[0-9.]+/g).slice(0, 3).map((one) => {
      const part = one / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const back = (element) => {
    for (let one = element; one; one = one.parentElement || one.getRootNode().host) {
      const color = getComputedStyle(one).backgroundColor;
      if (color !== "rgba(0, 0, 0, 0)") return color;
    }
    return "rgb(255, 255, 255)";
  };
  const root = document.querySelector("servewell-feedback").shadowRoot;
  return [...root.querySelectorAll("legend, button, label, input, textarea, p")].map((one) => {
    const [a, b] = [light(getComputedStyle(one).color), light(back(one))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  });
}"""


def test_everybody_can_use_it(place: Place, browser_page: Page) -> None:
    """Every field has a name, targets are large, and text stands out, on bright and dark pages."""
    del place
    page = browser_page
    page.get_by_role("button", name="Yes").click()
    page.wait_for_selector("text=Your rating is kept")
    assert page.get_by_role("group", name="Was this answer right?").count() == 1
    assert page.get_by_role("spinbutton", name="What would have been right?").count() == 1
    assert page.get_by_role("textbox", name="Your comment").count() == 1
    assert page.get_by_role("status").count() == 1
    for button in page.get_by_role("button").all():
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 44
    for theme in ("", "dark"):
        page.evaluate("(theme) => { document.body.className = theme; }", theme)
        assert min(page.evaluate(CONTRAST)) >= 4.5
