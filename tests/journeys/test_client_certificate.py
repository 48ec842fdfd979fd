"""`servewell predict` from another machine, by a certificate."""

import pytest

from journeys.house import House
from serving.issued import Issued

pytestmark = pytest.mark.enable_socket

BOOKING = "spiffe://example.org/booking"
ROW = '{"x": 1.0, "y": 2.5, "colour": "red"}'


@pytest.mark.timeout(120)
def test_the_command_line_shows_a_certificate(ready_house: House) -> None:
    """Where each caller has to show one, it stands for the key; without one nothing is answered."""
    callers = Issued.authority("callers")
    (ready_house.folder / "callers.pem").write_bytes(callers.pem)
    wishes = ("--set", "serving.tls.clients=required", "--set", "serving.tls.client_ca=callers.pem")
    ready_house.up(*wishes)
    ready_house.json("keys", "create", "booking", "--certificate", BOOKING)
    certificate, key = callers.client(uri=BOOKING).write(ready_house.folder, "booking")
    call = ("predict", "small", "--row", ROW, "--url", f"https://127.0.0.1:{ready_house.port}")
    shown = ("--client-certificate", certificate, "--client-key", key)
    assert ready_house.json(*call, *shown)["outputs"]["label"] == [1]
    wrong = (*shown[:3], str(ready_house.folder / "callers.pem"))
    assert "SW-130" in ready_house.run(*call, *wrong, check=False).stderr
    lone = ready_house.run(*call, *shown[2:], check=False)
    assert "belongs to --client-certificate" in lone.stderr
