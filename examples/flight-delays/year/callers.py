"""Callers that ask for each flight at a steady rate."""

import http.client
import json
import ssl
import threading
import time
from datetime import date
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import pandas as pd
from house import House
from story import Asked, Story

THREADS = 4
PATH = "/endpoints/flight-year/invocations"
TEXTS = ["carrier", "origin", "dest", "engine", "weekday"]
NUMBERS = [
    "dep_minute", "distance", "temp", "humid", "wind_speed",
    "wind_gust", "precip", "pressure", "visib", "plane_year",
]  # fmt: skip


class Callers:
    """A few connections, and the pace that they keep together."""

    def __init__(self, house: House, *, rate: float, story: Story) -> None:
        self._house = house
        self._pace_s = THREADS / rate
        self._story = story
        self._connections: list[http.client.HTTPSConnection] = []

    def __enter__(self) -> Self:
        where = urlsplit(self._house.url)
        context = ssl.create_default_context(cafile=self._house.trust)
        self._connections = [
            http.client.HTTPSConnection(where.hostname or "", where.port, context=context)
            for _ in range(THREADS)
        ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one in self._connections:
            one.close()

    def ask(self, day: date, rows: pd.DataFrame) -> None:
        """Ask for every flight of a day; return when all are answered."""
        flights = rows[[*TEXTS, *NUMBERS, "late"]].to_dict("records")
        threads = [
            threading.Thread(target=self._ask, args=(connection, day, flights[index::THREADS]))
            for index, connection in enumerate(self._connections)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()

    def _ask(
        self, connection: http.client.HTTPSConnection, day: date, flights: list[dict[str, Any]]
    ) -> None:
        due = time.monotonic()
        for flight in flights:
            late = flight.pop("late")
            asked = self._one(connection, flight)
            self._story.asked(day, asked, late=None if pd.isna(late) else int(late))
            due += self._pace_s
            time.sleep(max(0.0, due - time.monotonic()))

    def _one(self, connection: http.client.HTTPSConnection, flight: dict[str, Any]) -> Asked:
        row = {name: None if pd.isna(value) else value for name, value in flight.items()}
        body = json.dumps({"dataframe_records": [row]})
        headers = {
            "Authorization": f"Bearer {self._house.key}",
            "Content-Type": "application/json",
        }
        connection.request("POST", PATH, body, headers)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        return Asked(
            status=answer.status,
            deployment=answer.headers.get("servewell-deployment", ""),
            prediction=answer.headers.get("servewell-prediction-id", ""),
            probability=_late(told) if answer.status == http.client.OK else None,
        )


def _late(told: dict[str, Any]) -> float:
    """Return the probability of being late."""
    first = told["predictions"][0]
    return float(first["probabilities"][1])
