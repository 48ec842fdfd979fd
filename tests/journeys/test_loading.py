"""Loading and unloading an endpoint: over the API and by the command line, with real processes."""

from http import HTTPStatus

import pytest
import tritonclient.http as triton

from journeys.house import House, eventually

pytestmark = pytest.mark.enable_socket


def test_an_endpoint_is_unloaded_and_loaded_by_whoever_may(ready_house: House) -> None:
    """The API and the command line take one path: all workers follow, and the history tells."""
    key = ready_house.up()["key"]
    made = ready_house.json("keys", "create", "night-job", "--role", "administrator")
    headers = {"Authorization": f"Bearer {made['key']}"}
    with triton.InferenceServerClient(
        f"127.0.0.1:{ready_house.port}",
        ssl=True,
        ssl_options={"ca_certs": str(ready_house.authority)},
        network_timeout=20.0,
    ) as client:
        client.unload_model("small", headers=dict(headers))
        assert not client.is_model_ready("small", headers=dict(headers))
        # The worker that answered serves it so; the others follow within a few looks.
        eventually(
            lambda: all(
                ready_house.ask(key)[0] == HTTPStatus.SERVICE_UNAVAILABLE for _ in range(8)
            ),
            within_s=10,
        )
        status, answer = ready_house.ask(key)
        assert (status, answer["code"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "SW-319")
        last = ready_house.look("history", "small")[-1]
        assert (last["principal"], last["kind"]) == ("night-job", "unloaded")
        assert "unloaded" in ready_house.run("endpoints", "list").stdout

        words = ("endpoints", "load", "small", "--because", "needed again")
        assert ready_house.json(*words, "--dry-run")["carried_out"] is False
        assert "would be" in ready_house.run(*words, "--dry-run").stdout
        assert not client.is_model_ready("small", headers=dict(headers))
        done = ready_house.json(*words)
        assert (done["carried_out"], done["loaded"], done["behind"]) == (True, True, [])
        assert "nothing to change" in ready_house.run(*words).stdout
        assert client.is_model_ready("small", headers=dict(headers))
        assert {ready_house.ask(key)[0] for _ in range(8)} == {HTTPStatus.OK}
