"""What is served, and what is sent: the same model and the same rows for every server."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import model
import msgspec
import onnxruntime
import rows
from peers import FLIGHTS, PEERS, Peer, open_inference
from servers import Home, Server, constant, free_port, peer, servewell

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "flight-delays" / "servewell.yaml"
ROWS: Final = 128
PEERS_OF: Final[dict[str, dict[str, Peer]]] = {"quick": PEERS, "flights": {FLIGHTS.name: FLIGHTS}}


@dataclass(kw_only=True)
class Case:
    """A model, and rows for it."""

    home: Home  # in which the model is registered; nothing runs there
    model: Path
    bodies: list[bytes]  # of the Open Inference Protocol
    expected: list[float]
    given: list[Any]  # rows, as the peers' `body` takes them
    peers: dict[str, Peer]

    @contextmanager
    def started(self, name: str, scratch: Path, *, workers: int = 1) -> Iterator[Server]:
        """Run a server by its name, with this case."""
        with self._server(name, scratch, workers) as server:
            server.expected = None if name == "constant" else self.expected
            yield server

    def _server(self, name: str, scratch: Path, workers: int) -> AbstractContextManager[Server]:
        if name == "servewell":
            self.home.workers = workers
            return servewell(self.home, self.bodies)
        if name == "constant":
            return constant(self.bodies, scratch)
        one = self.peers[name]
        bodies = [msgspec.json.encode(one.body(row)) for row in self.given]
        return peer(one, bodies, self.model, scratch, workers=workers)


def quick(scratch: Path) -> Case:
    """Return the case of 30 numbers in one tensor."""
    folder = model.write(scratch / "models")["quick"]
    home = _home(scratch, folder / "servewell.yaml")
    given = [row.reshape(1, -1) for row in model.rows(ROWS)]
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    answers = [session.run(["probabilities"], {"features": row})[0] for row in given]
    return Case(
        home=home,
        model=folder / "model.onnx",
        bodies=[msgspec.json.encode(open_inference(row)) for row in given],
        expected=[float(one[0][1]) for one in answers],
        given=given,
        peers=PEERS_OF["quick"],
    )


def flights(scratch: Path) -> Case:
    """Return the case of 15 named inputs of three types, some null."""
    home = _home(scratch, EXAMPLE)
    held_out = rows.held_out(ROWS)
    return Case(
        home=home,
        model=home.model(),
        bodies=[rows.open_inference(row).encode() for row in held_out],
        expected=rows.answers(held_out, home.model()),
        given=held_out,
        peers=PEERS_OF["flights"],
    )


CASES: Final = {"quick": quick, "flights": flights}


def _home(scratch: Path, workload: Path) -> Home:
    """Return a home in which the model is made, so that its first start is like any other."""
    home = Home(folder=scratch / "home", workload=workload, port=free_port())
    home.up()
    home.key("invoker")
    home.down()
    return home
