"""What a person does about TLS: nothing; or callers get certificates; or one brings one's own."""

import http.client
import json
import ssl
import subprocess
from http import HTTPStatus
from pathlib import Path

import pytest

from journeys.house import House, ask_over
from serving.issued import Issued

pytestmark = pytest.mark.enable_socket

BOOKING = "spiffe://example.org/booking"


def with_certificate(house: House, folder: Path, shown: Issued) -> tuple[int, str]:
    """Send one row without a key, by a certificate; return the status and the code, if any."""
    context = ssl.create_default_context(cafile=house.authority)
    context.load_cert_chain(*shown.write(folder, "shown"))
    connection = http.client.HTTPSConnection("127.0.0.1", house.port, timeout=10, context=context)
    try:
        status, answer = ask_over(connection, "", x=1.0, headers={})
    finally:
        connection.close()
    return status, str(answer.get("code", ""))


@pytest.mark.timeout(120)
def test_callers_are_known_by_their_certificates(ready_house: House, tmp_path: Path) -> None:
    """Where all have to show one: the command line does, and an identity gets rights and loses."""
    callers = Issued.authority("callers")
    (ready_house.folder / "callers.pem").write_bytes(callers.pem)
    wishes = ("--set", "serving.tls.clients=required", "--set", "serving.tls.client_ca=callers.pem")
    done = ready_house.up(*wishes)
    assert done["url"].startswith("https://")
    assert done["trust"] == str(ready_house.authority)
    assert len(done["certificate"]["fingerprint"]) == 64
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        ready_house.ask(done["key"])
    caller = callers.client(uri=BOOKING)
    assert with_certificate(ready_house, tmp_path, caller) == (401, "SW-366")
    made = ready_house.json("keys", "create", "booking", "--certificate", BOOKING)
    assert (made["key"], made["certificate"]) == (None, BOOKING)
    assert with_certificate(ready_house, tmp_path, caller) == (200, "")
    again = ready_house.run("keys", "create", "x", "--certificate", BOOKING, check=False)
    assert "SW-134" in again.stderr
    assert "SW-133" in ready_house.run("keys", "rotate", made["id"], check=False).stderr
    ready_house.run("keys", "revoke", made["id"])
    assert with_certificate(ready_house, tmp_path, caller) == (401, "SW-366")


@pytest.mark.timeout(120)
def test_the_line_that_is_shown_works(ready_house: House) -> None:
    """The first start shows how to call with curl, and `status` whom to believe."""
    shown = ready_house.run("up", str(ready_house.folder), "--detach").stdout
    line = next(one for one in shown.splitlines() if "curl --cacert" in one)
    command = line.partition("curl ")[2].strip()
    done = subprocess.run(
        ["bash", "-c", command + " -sS"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["name"] == "small"
    status = ready_house.run("status").stdout
    assert str(ready_house.authority) in status
    assert "until" in status


def test_a_bad_certificate_stops_everything(ready_house: House, tmp_path: Path) -> None:
    """What cannot be used is said before anything is made or started."""
    certificate, _ = Issued.authority().server("a.example").write(tmp_path, "a")
    wishes = {"mode": "files", "certificate": certificate, "key": tmp_path / "no.key"}
    words = [word for key, one in wishes.items() for word in ("--set", f"serving.tls.{key}={one}")]
    done = ready_house.run("up", str(ready_house.folder), "--detach", *words, check=False)
    assert (done.returncode, "SW-130" in done.stderr) == (3, True)
    assert "no.key" in done.stderr
    assert ready_house.pids() == {}
    assert not (ready_house.home / "blobs").exists()


@pytest.mark.timeout(120)
def test_plain_http_stays_on_the_machine(ready_house: House) -> None:
    """`off` is refused for an address that others reach, and serves on loopback."""
    off = ("--set", "serving.tls.mode=off")
    folder = str(ready_house.folder)
    refused = ready_house.run("up", folder, *off, "--set", "serving.host=0.0.0.0", check=False)
    assert (refused.returncode, "serving.tls.mode" in refused.stderr) == (3, True)
    done = ready_house.up(*off)
    assert done["url"].startswith("http://127.0.0.1")
    connection = http.client.HTTPConnection("127.0.0.1", ready_house.port, timeout=10)
    assert ask_over(connection, done["key"], x=1.0, headers={})[0] == HTTPStatus.OK
    connection.close()
