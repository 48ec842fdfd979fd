"""A home folder with models, endpoints and keys, and workers that serve from it."""

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import onnx
from onnx import TensorProto, helper

from servewell.adapters.embedded.blobs import FileBlobs
from servewell.adapters.embedded.clock import SystemClock
from servewell.adapters.embedded.errands import FileErrands
from servewell.adapters.embedded.monitoring.feedback_inbox import FolderFeedbackInbox
from servewell.adapters.embedded.predictor.packages import ProcessPredictors
from servewell.adapters.embedded.secrets import FileSecrets
from servewell.adapters.embedded.signer import HomeSigner
from servewell.adapters.embedded.snapshots import FileSnapshots
from servewell.adapters.embedded.stops import FileStops
from servewell.core.catalog.endpoint import BP_FULL, Deployment, Endpoint, EndpointPolicy
from servewell.core.catalog.key import Grant, Role
from servewell.core.catalog.model import (
    Equivalence,
    Format,
    Lineage,
    Manifest,
    digest_of,
    manifest_bytes,
)
from servewell.core.catalog.prediction_record import (
    Damage,
    PredictionRecord,
    RecordSchema,
    frames,
    salt_of,
)
from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.core.catalog.snapshot import Snapshot
from servewell.core.security.access import key_digest
from servewell.core.security.api_key import format_key
from servewell.ports.snapshots import WorkerReport
from servewell.serving.worker import WorkerParts

TYPES: Final = {
    Datatype.FP32: TensorProto.FLOAT,
    Datatype.FP64: TensorProto.DOUBLE,
    Datatype.INT64: TensorProto.INT64,
    Datatype.FP16: TensorProto.FLOAT16,
    Datatype.INT8: TensorProto.INT8,
    Datatype.INT16: TensorProto.INT16,
    Datatype.INT32: TensorProto.INT32,
    Datatype.UINT8: TensorProto.UINT8,
    Datatype.UINT16: TensorProto.UINT16,
    Datatype.UINT32: TensorProto.UINT32,
    Datatype.UINT64: TensorProto.UINT64,
    Datatype.BOOL: TensorProto.BOOL,
    Datatype.BYTES: TensorProto.STRING,
}
POISON: Final = 1_000
FLIGHT: Final = Signature(
    inputs=(
        Input(name="delay", datatype=Datatype.FP32, nullable=True, maximum=1_000.0),
        Input(name="carrier", datatype=Datatype.BYTES, allowed=("AA", "UA", "DL")),
        Input(name="seats", datatype=Datatype.INT64, minimum=0.0),
        Input(name="name", datatype=Datatype.BYTES, nullable=True, personal=True),
    ),
    outputs=(
        Output(name="late", datatype=Datatype.FP32, row_shape=(1,)),
        Output(name="echo", datatype=Datatype.BYTES, row_shape=(1,)),
    ),
)


def flight_model(factor: float) -> bytes:
    """Return a model that answers `late = delay * factor + seats` and `echo = carrier`.

    It fails where there are `POISON` seats or more: it looks them up in a table.
    """
    nodes = [
        helper.make_node("Gather", ["table", "seats"], ["seats_float"]),
        helper.make_node("Mul", ["delay", "factor"], ["scaled"]),
        helper.make_node("Add", ["scaled", "seats_float"], ["late"]),
        helper.make_node("Identity", ["carrier"], ["echo"]),
        helper.make_node("Identity", ["name"], ["unused"]),
    ]
    constants = [
        helper.make_tensor("factor", TensorProto.FLOAT, [1], [factor]),
        helper.make_tensor("table", TensorProto.FLOAT, [POISON], list(range(POISON))),
    ]
    return onnx_bytes(FLIGHT, nodes, constants)


def onnx_bytes(
    signature: Signature, nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]
) -> bytes:
    """Return an ONNX file with the inputs and outputs of a signature."""
    inputs, outputs = (
        [
            helper.make_tensor_value_info(
                one.name,
                TYPES[one.datatype],
                [None, *(None if size == -1 else size for size in one.row_shape)],
            )
            for one in tensors
        ]
        for tensors in (signature.inputs, signature.outputs)
    )
    graph = helper.make_graph(nodes, "model", inputs, outputs, constants)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a worker answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body, read as JSON."""
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass(slots=True)
class Home:
    """A home folder, its listener, and what its snapshot says."""

    folder: Path
    listener: socket.socket = field(init=False)
    snapshot: Snapshot = field(default=Snapshot(version=0, created_at=0.0))

    def __post_init__(self) -> None:
        """Listen on a port that is free."""
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)

    @property
    def port(self) -> int:
        """The port of the listener."""
        return int(self.listener.getsockname()[1])

    @property
    def secrets(self) -> FileSecrets:
        """The secrets of the home."""
        return FileSecrets(self.folder / "keys")

    @property
    def snapshots(self) -> FileSnapshots:
        """The snapshots of the home."""
        return FileSnapshots(
            self.folder / "snapshot", reports=self.folder / "run", signer=HomeSigner(self.secrets)
        )

    @property
    def live(self) -> Path:
        """The folder of the live segments."""
        return self.folder / "records" / "live"

    def parts(self, index: int = 0) -> WorkerParts:
        """Return the parts of a worker of this home."""
        return WorkerParts(
            index=index,
            listener=self.listener,
            snapshots=self.snapshots,
            blobs=FileBlobs(self.folder / "blobs"),
            signer=HomeSigner(self.secrets),
            predictors=ProcessPredictors(self.folder),
            secrets=self.secrets,
            clock=SystemClock(),
            errands=FileErrands(self.folder / "run" / "errands"),
            stops=FileStops(self.folder / "stops", signer=HomeSigner(self.secrets)),
            feedback=FolderFeedbackInbox(self.folder / "feedback"),
            records=self.live,
            runtime_dir=self.folder / "run",
            drain_s=5.0,
        )

    def deployment(
        self,
        name: str,
        model: bytes,
        *,
        signature: Signature = FLIGHT,
        version: int = 1,
        share_bp: int = BP_FULL,
    ) -> Deployment:
        """Keep a model as a signed package, and return a deployment of it."""
        blobs = FileBlobs(self.folder / "blobs")
        content = manifest_bytes(
            Manifest(
                model="flights",
                artifact=blobs.put(model),
                artifact_bytes=len(model),
                signature=signature,
                lineage=_lineage(model),
                equivalence=Equivalence(rows=0, largest_difference=0.0, tolerance=0.0),
            )
        )
        signed = HomeSigner(self.secrets).sign(content)
        return Deployment(
            name=name,
            model="flights",
            version=version,
            package=blobs.put(content),
            package_signature=base64.b64encode(signed).decode(),
            share_bp=share_bp,
        )

    def publish(
        self,
        *deployments: Deployment,
        policy: EndpointPolicy | None = None,
        grants: tuple[Grant, ...] | None = None,
    ) -> None:
        """Publish a snapshot with one endpoint, `flights`, of these deployments."""
        endpoint = Endpoint(
            name="flights",
            workload="flights",
            deployments=deployments,
            policy=policy or EndpointPolicy(),
        )
        self.publish_endpoints(
            (endpoint,) if deployments else self.snapshot.endpoints,
            self.snapshot.grants if grants is None else grants,
        )

    def publish_endpoints(self, endpoints: tuple[Endpoint, ...], grants: tuple[Grant, ...]) -> None:
        """Publish the next snapshot."""
        version = self.snapshot.version + 1
        self.snapshot = replace(self.snapshot, version=version, endpoints=endpoints, grants=grants)
        self.snapshots.publish(self.snapshot)

    def key(
        self,
        role: Role = Role.OPERATOR,
        *,
        endpoints: tuple[str, ...] = ("*",),
        expires_at: float | None = None,
    ) -> tuple[str, Grant]:
        """Return a new key and its grant, which is in no snapshot yet."""
        key = format_key(id_entropy=os.urandom(8), secret_entropy=os.urandom(32))
        grant = Grant(
            id=key[3:14],
            digest=key_digest(key, self.secrets.get("pepper")),
            principal=f"{role.value}-of-{'-'.join(endpoints)}",
            role=role,
            endpoints=endpoints,
            expires_at=expires_at,
        )
        return key, grant

    def send(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        body: dict[str, Any] | bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = dict(headers or {})
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, body=content, headers=sent)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(status=answer.status, headers=names, body=answer.read())
        finally:
            connection.close()

    def records(self, *, torn: bool = False) -> list[PredictionRecord]:
        """Return all records, oldest first. Segments have to be whole, or `torn` at their end."""
        found: list[PredictionRecord] = []
        for path in sorted(self.live.glob("*.segment")):
            for one in frames(path.read_bytes(), salt_of(path.stem)):
                assert not isinstance(one, Damage) or (torn and one.torn), (path, one)
                if isinstance(one, PredictionRecord):
                    found.append(one)
        return sorted(found, key=lambda one: one.time_ns)

    def schemas(self) -> list[RecordSchema]:
        """Return the schemas of the live segments."""
        return [
            one
            for path in sorted(self.live.glob("*.segment"))
            for one in frames(path.read_bytes(), salt_of(path.stem))
            if isinstance(one, RecordSchema)
        ]

    def report(self, index: int = 0) -> WorkerReport | None:
        """Return the last report of a worker."""
        found = {one.worker: one for one in self.snapshots.reports()}
        return found.get(index)

    def wait_for_snapshot(self, *, index: int = 0, fault: bool = False) -> WorkerReport:
        """Wait until a worker serves the newest snapshot, or reports a fault."""
        version = self.snapshot.version
        for _ in range(1_000):
            report = self.report(index)
            if report and (report.fault if fault else report.snapshot == version):
                return report
            time.sleep(0.02)
        raise AssertionError(f"the worker reports {self.report(index)}, not version {version}")

    @contextmanager
    def process(self, index: int = 0, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a worker in a process of its own until the block ends."""
        (self.folder / "run" / f"worker-{index}.json").unlink(missing_ok=True)
        script = Path(__file__).with_name("worker_process.py")
        arguments = [str(self.folder), str(index), str(self.listener.fileno()), *options]
        process = subprocess.Popen(
            [sys.executable, str(script), *arguments],
            pass_fds=[self.listener.fileno()],
            stderr=subprocess.PIPE,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)

    def close(self) -> None:
        """Stop to listen."""
        self.listener.close()


def request(rows: int = 1, **columns: list[Any] | None) -> dict[str, Any]:
    """Return a request of the flight model; a column given as None is left out."""
    plain: dict[str, list[Any] | None] = {
        "delay": [2.0] * rows,
        "carrier": ["AA"] * rows,
        "seats": [10] * rows,
        "name": ["Ada"] * rows,
    }
    types = {one.name: one.datatype.value for one in FLIGHT.inputs}
    return {
        "inputs": [
            {"name": name, "shape": [rows, 1], "datatype": types[name], "data": values}
            for name, values in (plain | columns).items()
            if values is not None
        ]
    }


def _lineage(model: bytes) -> Lineage:
    return Lineage(
        run="test",
        format=Format.ONNX,
        source="model.onnx",
        source_digest=digest_of(model),
        dataset=None,
        dataset_digest=None,
        commit=None,
        dirty=False,
        environment_digest=digest_of(b""),
    )
