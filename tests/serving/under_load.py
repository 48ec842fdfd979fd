"""Callers that keep asking while something breaks, and check each answer that they get."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from serving.home import Home, request

SECONDS_MAX = 30  # that anything is waited for


class Right(NamedTuple):
    """An answer that is the model's."""

    prediction_id: str
    took_s: float


class Refused(NamedTuple):
    """An answer that is an error."""

    status: int
    code: str


@dataclass(kw_only=True)
class Callers:
    """Callers of `flights`, each with a connection that it keeps."""

    home: Home
    key: str
    callers: int = 3
    headers: dict[str, str] = field(default_factory=dict)
    right: list[Right] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    wrong: list[object] = field(default_factory=list)  # answers of another request, or none
    asked: int = 0
    _threads: list[threading.Thread] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._threads = [
            threading.Thread(target=self._call, args=(n,)) for n in range(self.callers)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait(self, more: int) -> list[Right]:
        """Return the next right answers, so many."""
        start = len(self.right)
        wait_for(lambda: len(self.right) >= start + more)
        return self.right[start : start + more]

    def _call(self, place: int) -> None:
        line = http.client.HTTPConnection("127.0.0.1", self.home.port, timeout=SECONDS_MAX)
        headers = {"Authorization": f"Bearer {self.key}", **self.headers}
        number = place
        while not self._stop.wait(0.003):
            number = (number + self.callers) % 997  # so that each knows its answer
            self.asked += 1
            began = time.monotonic()
            try:
                body = json.dumps(request(delay=[float(number)]))
                line.request("POST", "/v2/models/flights/infer", body, headers)
                answer = line.getresponse()
                content = json.loads(answer.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.wrong.append(repr(error))
                line.close()
                continue
            self._note(number, answer, content, time.monotonic() - began)
        line.close()

    def _note(
        self,
        number: int,
        answer: http.client.HTTPResponse,
        content: dict[str, Any],
        took_s: float,
    ) -> None:
        if answer.status != 200:
            self.refused.append(Refused(answer.status, content.get("code", "")))
        elif content["outputs"][0]["data"] != [2.0 * number + 10.0]:
            self.wrong.append(content)
        else:
            self.right.append(Right(answer.headers["servewell-prediction-id"], took_s))

    def assert_unharmed(self) -> None:
        """Each request that was asked has its right answer."""
        assert (self.refused, self.wrong) == ([], [])
        assert len(self.right) == self.asked


def wait_for(holds: Callable[[], object], within_s: float = SECONDS_MAX) -> None:
    """Wait until something holds."""
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def most_s(answers: list[Right]) -> float:
    """Return the seconds in which nineteen of twenty were answered."""
    return sorted(one.took_s for one in answers)[len(answers) * 19 // 20]
