"""The contract of `Door`: what is sent, what comes back, and what is sent a second time."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ports.scripted_server import DROP, ScriptedServer, reply
from servewell.adapters.embedded.door import HttpDoor, door_at
from servewell.adapters.embedded.trust import trust_elsewhere, trust_in_home
from servewell.core.catalog.rows import RowFault
from servewell.core.catalog.tls import TlsFiles
from servewell.ports.certificates import CertificateFaultsError
from servewell.ports.door import (
    AddressInvalidError,
    AnswerInvalidError,
    CallerCertificate,
    CertificateNotTrustedError,
    Door,
    DoorClosedError,
    RequestRefusedError,
)
from serving.issued import Issued

pytestmark = pytest.mark.enable_socket

KEY = "sw_secret"
COLUMNS: dict[str, list[Any]] = {
    "carrier": ["UA", None],
    "wind": [1.5, float("nan")],
    "position": [[1, 2], [3, 4]],
}
METADATA = {
    "name": "flights",
    "inputs": [
        {"name": "carrier", "datatype": "BYTES", "shape": [-1, 1]},
        {"name": "wind", "datatype": "FP32", "shape": [-1, 1]},
        {"name": "position", "datatype": "INT64", "shape": [-1, 2]},
    ],
}
OUTPUTS = {
    "outputs": [
        {"name": "late", "datatype": "INT64", "shape": [2], "data": [0, 1]},
        {"name": "chance", "datatype": "FP32", "shape": [2, 2], "data": [0.9, 0.1, 0.2, 0.8]},
        {"name": "score", "datatype": "FP32", "shape": [2, 1], "data": [0.5, None]},
    ]
}
KNOWN = reply(200, METADATA)
PREDICTED = reply(
    200,
    OUTPUTS,
    "servewell-prediction-id: abc",
    "servewell-deployment: v2",
    "servewell-model-version: 2",
)
BUSY = reply(503, {"error": "later", "code": "SW-315"}, "retry-after: 1")


@contextmanager
def door_to(*script: bytes) -> Iterator[tuple[Door, ScriptedServer, list[float]]]:
    """Give a door to a server that answers so, and the list of the pauses that it makes."""
    pauses: list[float] = []
    with ScriptedServer(script) as server:
        yield HttpDoor("127.0.0.1", server.port, KEY, sleep=pauses.append), server, pauses


def test_sends_rows_in_the_words_of_the_protocol() -> None:
    """Shapes are rows by width, data flat and row-major, not-a-number null, the key a bearer's."""
    with door_to(KNOWN, PREDICTED) as (door, server, _):
        door.predict("flights", dict(COLUMNS), deployment="v2")
    (_, asked, nothing), (line, headers, body) = server.requests
    assert nothing is None
    assert asked["authorization"] == headers["authorization"] == f"Bearer {KEY}"
    assert line == "POST /v2/models/flights/infer HTTP/1.1"
    assert headers["servewell-deployment"] == "v2"
    assert headers["content-type"] == "application/json"
    assert body == {
        "inputs": [
            {"name": "carrier", "datatype": "BYTES", "shape": [2, 1], "data": ["UA", None]},
            {"name": "wind", "datatype": "FP32", "shape": [2, 1], "data": [1.5, None]},
            {"name": "position", "datatype": "INT64", "shape": [2, 2], "data": [1, 2, 3, 4]},
        ]
    }


def test_gives_outputs_by_row() -> None:
    """One value per row, or one list of them, and who answered."""
    with door_to(KNOWN, PREDICTED) as (door, _, _):
        answer = door.predict("flights", dict(COLUMNS))
    assert answer.outputs == {
        "late": [0, 1],
        "chance": [[0.9, 0.1], [0.2, 0.8]],
        "score": [0.5, None],
    }
    assert (answer.prediction_id, answer.deployment, answer.model_version) == ("abc", "v2", "2")
    assert answer.elapsed_ms > 0


def test_an_open_dimension_takes_what_a_row_holds() -> None:
    """Where the model leaves a dimension open, the shape is that of the rows."""
    inputs = [{"name": "x", "datatype": "FP32", "shape": [-1, -1, 2]}]
    with door_to(reply(200, {"inputs": inputs}), PREDICTED) as (door, server, _):
        door.predict("flights", {"x": [[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]]})
    assert server.requests[-1][2]["inputs"][0]["shape"] == [2, 3, 2]


def test_metadata_is_asked_for_once_and_connections_are_kept() -> None:
    """Three requests need one look at the metadata and one connection."""
    with door_to(KNOWN, PREDICTED, PREDICTED, PREDICTED) as (door, server, _):
        for _ in range(3):
            door.predict("flights", dict(COLUMNS))
    assert len(server.requests) == 4
    assert server.connections == 1


def test_names_are_quoted() -> None:
    """A name from the command line cannot become another path."""
    with door_to(KNOWN) as (door, server, _):
        door.metadata("a/../b c")
    assert server.requests[0][0] == "GET /v2/models/a%2F..%2Fb%20c HTTP/1.1"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 500])
def test_a_refusal_carries_the_words_of_the_server(status: int) -> None:
    """What and why are the server's, with its status and code; there is a next step."""
    words = {
        "error": "The key has expired. Because: it ended. Next: rotate it.",
        "code": "SW-307",
        "faults": [
            {"kind": "null", "name": "wind", "row": 1, "found": "null", "allowed": "a number"},
            {"kind": "missing-input", "name": "x", "row": None, "found": "", "allowed": "x"},
        ],
    }
    with (
        door_to(KNOWN, reply(status, words)) as (door, _, _),
        pytest.raises(RequestRefusedError) as caught,
    ):
        door.predict("flights", dict(COLUMNS))
    refused = caught.value
    assert (refused.status, refused.server_code) == (status, "SW-307")
    assert refused.why == "The key has expired. it ended"
    assert refused.fix
    assert refused.faults == (
        RowFault(row=2, column="wind", found="null", allowed="a number"),
        RowFault(row=None, column="x", found="", allowed="x"),
    )
    assert KEY not in str(refused) + repr(door)


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway", b"\xff\xfe"])
def test_a_refusal_without_words_is_told_all_the_same(body: bytes) -> None:
    """A gateway's page, or nothing, is still a refusal with its status."""
    with (
        door_to(reply(502, body)) as (door, _, _),
        pytest.raises(RequestRefusedError, match="502") as caught,
    ):
        door.metadata("flights")
    assert caught.value.fix


def test_asks_again_for_the_metadata_after_a_refusal() -> None:
    """A refusal may mean that another model serves now: its inputs are looked up anew."""
    with door_to(KNOWN, reply(400, {"error": "no"}), KNOWN, PREDICTED) as (door, server, _):
        with pytest.raises(RequestRefusedError):
            door.predict("flights", dict(COLUMNS))
        door.predict("flights", dict(COLUMNS))
    assert [line.split()[0] for line, _, _ in server.requests] == ["GET", "POST", "GET", "POST"]


def test_a_stale_connection_is_opened_again() -> None:
    """A kept-alive connection that ends without a byte of an answer gets one more attempt."""
    with door_to(KNOWN, DROP, PREDICTED) as (door, server, _):
        assert door.predict("flights", dict(COLUMNS)).prediction_id == "abc"
    assert [line.split()[0] for line, _, _ in server.requests] == ["GET", "POST", "POST"]


def test_it_is_tried_once_more_and_no_oftener() -> None:
    """A server that always closes is said to be closed; a new connection is not tried twice."""
    with (
        door_to(KNOWN, DROP, DROP, PREDICTED) as (door, server, _),
        pytest.raises(DoorClosedError, match="No answer"),
    ):
        door.predict("flights", dict(COLUMNS))
    assert len(server.requests) == 3
    with (
        door_to(DROP, KNOWN) as (door, server, _),
        pytest.raises(DoorClosedError, match="No answer"),
    ):
        door.metadata("flights")
    assert len(server.requests) == 1


@pytest.mark.parametrize("answered", [PREDICTED[:-5], PREDICTED[:40], PREDICTED[:20]])
def test_a_broken_answer_is_not_asked_for_again(answered: bytes) -> None:
    """Once a byte of an answer was seen, nothing is sent a second time."""
    cut = answered.replace(b"HTTP/1.1 200 X\r\n", b"HTTP/1.1 200 X\r\nconnection: close\r\n")
    with (
        door_to(KNOWN, cut, PREDICTED) as (door, server, _),
        pytest.raises((DoorClosedError, AnswerInvalidError)),
    ):
        door.predict("flights", dict(COLUMNS))
    assert len(server.requests) == 2


def test_a_connection_that_the_server_closes_is_replaced() -> None:
    """After `connection: close` the next request goes over a new connection."""
    closing = reply(200, METADATA, "connection: close")
    with door_to(closing, PREDICTED) as (door, server, _):
        door.predict("flights", dict(COLUMNS))
    assert server.connections == 2


def test_waits_as_long_as_it_is_asked_to() -> None:
    """503 with Retry-After is waited out, and then answered."""
    with door_to(KNOWN, BUSY, BUSY, PREDICTED) as (door, _, pauses):
        assert door.predict("flights", dict(COLUMNS)).prediction_id == "abc"
    assert pauses == [1.0, 1.0]


@pytest.mark.parametrize(
    ("headers", "pauses"),
    [
        (["retry-after: 3600"], []),
        (["retry-after: 16"], [16.0]),
        ([], []),
        (["retry-after: x"], []),
    ],
)
def test_waits_no_longer_than_its_bound(headers: list[str], pauses: list[float]) -> None:
    """What asks for more than half a minute in all, or for no known time, is a refusal."""
    busy = reply(503, {"error": "later", "code": "SW-315"}, *headers)
    with (
        door_to(busy, busy, busy) as (door, _, paused),
        pytest.raises(RequestRefusedError, match="503"),
    ):
        door.metadata("flights")
    assert paused == pauses


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, b"not JSON"),
        reply(200, {"outputs": [{"name": "x", "shape": [2, 2], "data": [1]}]}),
        reply(200, {"outputs": [{"name": "x", "shape": [1, 1], "data": [1]}]}),
        reply(200, {"outputs": "none"}),
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    ],
)
def test_what_is_no_endpoint_is_said(answer: bytes) -> None:
    """Another program on the port gives words, not a traceback."""
    with door_to(KNOWN, answer) as (door, _, _), pytest.raises(AnswerInvalidError):
        door.predict("flights", dict(COLUMNS))
    with door_to(reply(200, {"inputs": 1})) as (door, _, _), pytest.raises(AnswerInvalidError):
        door.metadata("flights")


def test_readiness_is_true_or_false() -> None:
    """200 is ready; a refusal, a closed connection, nonsense and no server at all are not."""
    with door_to(reply(200, {}), BUSY, DROP) as (door, _, _):
        assert [door.ready("flights") for _ in range(3)] == [True, False, False]
    assert door.ready("flights") is False


def test_counters_are_read_by_series() -> None:
    """Comments are left out; labels stay in the name of a series."""
    text = b'# TYPE a counter\na 3\n\nb{x="1 2"} 0.5\n'
    with door_to(reply(200, text)) as (door, _, _):
        assert door.metrics() == {"a": 3.0, 'b{x="1 2"}': 0.5}
    with door_to(reply(200, b"<html>")) as (door, _, _), pytest.raises(AnswerInvalidError):
        door.metrics()
    with door_to(reply(403, {"error": "no"})) as (door, _, _), pytest.raises(RequestRefusedError):
        door.metrics()


def test_nobody_there_is_said() -> None:
    """A closed port and a host without an address name the address and the next step."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DoorClosedError, match=str(port)) as caught:
        HttpDoor("127.0.0.1", port, KEY).metadata("flights")
    assert "servewell up" in caught.value.fix


@pytest.mark.parametrize(
    "url", ["", "flights", "ftp://a", "http://", "http://a:x", "http://u:p@a", "http://a/other"]
)
def test_an_address_must_be_one(url: str) -> None:
    """What is no address of an endpoint is refused before anything is sent."""
    with pytest.raises(AddressInvalidError):
        door_at(url, KEY)


@contextmanager
def door_over_tls(tmp_path: Path, trust: ssl.SSLContext) -> Iterator[Door]:
    """Give a door to a server that shows the certificate `server.pem`, and answers once."""
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    with ScriptedServer([KNOWN], tls=shown) as server:
        yield door_at(f"https://127.0.0.1:{server.port}", KEY, trust=trust)


def test_a_certificate_is_checked(tmp_path: Path) -> None:
    """The door of a home believes its own authority alone; a stranger is sent no key."""
    ours, strange = Issued.authority("ours"), Issued.authority("strange")
    (tmp_path / "ca.pem").write_bytes(ours.pem)
    files = TlsFiles(certificate="", key="", authority=str(tmp_path / "ca.pem"))
    ours.server("127.0.0.1").write(tmp_path, "server")
    with door_over_tls(tmp_path, trust_in_home(files)) as door:
        assert door.metadata("flights") == METADATA
    for bad in (strange.server("127.0.0.1"), ours.server("elsewhere.example")):
        bad.write(tmp_path, "server")
        with (
            door_over_tls(tmp_path, trust_in_home(files)) as door,
            pytest.raises(CertificateNotTrustedError, match="is not to be trusted"),
        ):
            door.metadata("flights")


def test_a_given_certificate_is_known_by_itself(tmp_path: Path) -> None:
    """By whatever name: just this one is believed, and no other of the same authority."""
    authority = Issued.authority()
    given = authority.server("models.example.org")
    known, key = given.write(tmp_path, "given")
    trust = trust_in_home(TlsFiles(certificate=known, key=key))
    given.write(tmp_path, "server")
    with door_over_tls(tmp_path, trust) as door:
        assert door.metadata("flights") == METADATA
    authority.server("models.example.org").write(tmp_path, "server")
    with (
        door_over_tls(tmp_path, trust) as door,
        pytest.raises(CertificateNotTrustedError),
    ):
        door.metadata("flights")


def test_a_home_without_its_certificate_says_so(tmp_path: Path) -> None:
    """What the command line cannot read, it does not replace by believing anybody."""
    for files in (
        TlsFiles(certificate="", key="", authority=str(tmp_path / "missing.pem")),
        TlsFiles(certificate=str(tmp_path / "missing.pem"), key=""),
    ):
        with pytest.raises(CertificateFaultsError, match=r"missing\.pem"):
            trust_in_home(files)


def test_other_authorities_are_believed_elsewhere(tmp_path: Path) -> None:
    """Beside those of the machine, that of the own home, where there is one."""
    (tmp_path / "ca.pem").write_bytes(Issued.authority().pem)
    before = len(trust_elsewhere(tmp_path / "missing.pem").get_ca_certs())
    assert len(trust_elsewhere(tmp_path / "ca.pem").get_ca_certs()) == before + 1


def test_a_certificate_is_shown_in_place_of_a_key(tmp_path: Path) -> None:
    """Who calls is told by the certificate; without a key, no header speaks of one."""
    authority = Issued.authority()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    authority.server("127.0.0.1").write(tmp_path, "server")
    certificate, key = authority.client(uri="spiffe://example.org/booking").write(tmp_path, "me")
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    asking.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    asking.load_verify_locations(tmp_path / "ca.pem")
    asking.verify_mode = ssl.CERT_REQUIRED
    shown = CallerCertificate(certificate=certificate, key=key)
    with ScriptedServer([KNOWN], tls=asking) as server:
        url = f"https://127.0.0.1:{server.port}"
        door = door_at(url, "", trust=trust_elsewhere(tmp_path / "ca.pem", shown=shown))
        assert door.metadata("flights") == METADATA
    (asked,) = server.requests
    assert "authorization" not in {name.lower() for name in asked[1]}


def test_a_certificate_that_cannot_be_shown_says_so(tmp_path: Path) -> None:
    """A missing file, the key of another and one with a password are told, and asked of nobody."""
    one, other = Issued.authority().client(), Issued.authority().client()
    certificate, key = one.write(tmp_path, "one")
    _, wrong = other.write(tmp_path, "other")
    (tmp_path / "closed.key").write_bytes(one.key_pem(b"secret"))
    for bad in ("missing.key", wrong, str(tmp_path / "closed.key")):
        shown = CallerCertificate(certificate=certificate, key=bad)
        with pytest.raises(CertificateFaultsError, match="says who calls"):
            trust_elsewhere(tmp_path / "ca.pem", shown=shown)
    trust_elsewhere(tmp_path / "ca.pem", shown=CallerCertificate(certificate=certificate, key=key))


def test_an_address_may_be_copied_from_the_screen() -> None:
    """The URL of an endpoint, as `up` prints it, opens the same door as that of its host."""
    for path in ("", "/", "/v2/models/flights"):
        with ScriptedServer([KNOWN]) as server:
            door = door_at(f"http://127.0.0.1:{server.port}{path}", KEY)
            assert door.metadata("flights") == METADATA
