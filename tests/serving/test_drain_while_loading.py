"""A worker that is told to end does not wait for code that loads for ever."""

import signal
import time

import pytest

from serving.home import Home, flight_model
from serving.predictors import predictor

pytestmark = pytest.mark.enable_socket

HANGS = """
import time


class Predictor:
    def load(self, folder):
        (folder / "loading").touch()
        time.sleep(600)

    def predict(self, columns):
        return {}
"""


@pytest.mark.parametrize("serves", [False, True])
def test_code_that_hangs_while_it_loads_is_ended(home: Home, *, serves: bool) -> None:
    """A worker, at its start or serving, ends with 0 at once; the code might take two minutes."""
    if serves:
        home.publish(home.deployment("blue", flight_model(2.0)))
    else:
        home.publish(predictor(home, script=HANGS))
    with home.process() as worker:
        if serves:
            home.wait_for_snapshot()
            home.publish(predictor(home, script=HANGS))
        end = time.monotonic() + 20
        while not list((home.folder / "run").rglob("loading")):
            assert time.monotonic() < end
            time.sleep(0.02)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=10) == 0
