"""What stands around gRPC: TLS, certificates for keys, loading and unloading, curl, the guide."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import tritonclient.grpc as client

from servewell.adapters.embedded.certificates import FileCertificates
from servewell.adapters.embedded.clock import SystemClock
from servewell.core.catalog.key import Role
from servewell.core.catalog.tls import Clients, TlsFiles
from serving.conftest import Running
from serving.home import Home, flight_model
from serving.issued import Issued
from serving.real_worker import real_worker
from serving.test_grpc import inputs, key, refusal
from serving.test_oip_repository import Repository, repository

__all__ = ["repository"]  # a fixture
pytestmark = pytest.mark.enable_socket

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "grpc.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secure:
    """What a caller of a worker with TLS has."""

    files: TlsFiles
    operator: str
    shown: tuple[str, str]  # a certificate and its key


@pytest.fixture
def secure(home: Home) -> Iterator[Secure]:
    """A worker that speaks TLS and knows the holder of one certificate."""
    made = FileCertificates(home.folder / "tls", clock=SystemClock())
    callers = Issued.authority("callers")
    (home.folder / "callers.pem").write_bytes(callers.pem)
    files = replace(
        made.own(()), client_ca=str(home.folder / "callers.pem"), clients=Clients.OPTIONAL
    )
    made.ensure(files)
    operator, granted = home.key()
    _, known = home.key(Role.INVOKER)
    known = replace(known, certificate="spiffe://example.org/booking", digest="")
    shown = callers.client(uri="spiffe://example.org/booking").write(home.folder, "shown")
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(granted, known))
    with real_worker(home, tls=files):
        yield Secure(files=files, operator=operator, shown=shown)


def test_calls_come_over_tls(home: Home, secure: Secure) -> None:
    """A key is believed over TLS, and so is a certificate that stands for one."""
    address, trust = f"localhost:{home.port}", {"root_certificates": secure.files.authority}
    with client.InferenceServerClient(address, ssl=True, **trust) as triton:
        result = triton.infer("flights", inputs(), headers=key(secure.operator))
        assert result.as_numpy("late").tolist() == [[14.0]]
        status, _ = refusal(lambda: triton.infer("flights", inputs()))
        assert status == "UNAUTHENTICATED"
    chain, private = secure.shown
    trust |= {"certificate_chain": chain, "private_key": private}
    with client.InferenceServerClient(address, ssl=True, **trust) as triton:
        assert triton.infer("flights", inputs()).as_numpy("late").tolist() == [[14.0]]


def test_endpoints_are_unloaded_and_loaded(repository: Repository) -> None:
    """An administrator unloads and loads an endpoint; an operator may not."""
    headers = key(repository.administrator)
    with client.InferenceServerClient(f"127.0.0.1:{repository.home.port}") as triton:
        status, _ = refusal(
            lambda: triton.unload_model("flights", headers=key(repository.operator))
        )
        assert status == "PERMISSION_DENIED"
        triton.unload_model("flights", headers=headers)
        assert not triton.is_model_ready("flights", headers=headers)
        status, _ = refusal(lambda: triton.infer("flights", inputs(), headers=headers))
        assert status == "UNAVAILABLE"
        index = triton.get_model_repository_index(headers=headers).models
        assert ("flights", "UNAVAILABLE") in [(one.name, one.state) for one in index]
        triton.load_model("flights", headers=headers)
        assert triton.infer("flights", inputs(), headers=headers).as_numpy("late") is not None
        status, _ = refusal(lambda: triton.load_model("flights", headers=headers, config="{}"))
        assert status == "UNIMPLEMENTED"


def test_curl_speaks_http_2(running: Running) -> None:
    """Curl gets the pages of the other protocols over HTTP/2."""
    url = f"http://127.0.0.1:{running.home.port}/v2/models/flights"
    words = ["curl", "-sS", "--http2-prior-knowledge", "-w", " %{http_version}", url]
    done = subprocess.run(
        [*words, "-H", f"Authorization: Bearer {running.operator}"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.endswith(" 2")
    assert '"name":"flights"' in done.stdout


def test_the_guide_works(running: Running, tmp_path: Path) -> None:
    """The example of the guide prints what the model answers."""
    found = re.search(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert found is not None
    script = tmp_path / "guide.py"
    script.write_text(found[1].replace("127.0.0.1:8080", f"127.0.0.1:{running.home.port}"))
    done = subprocess.run(
        [sys.executable, str(script)],
        env={"SERVEWELL_KEY": running.operator},
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.split() == ["[[205.]", "[101.]]", "[[b'AA']", "[b'UA']]"]
