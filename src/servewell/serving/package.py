"""A verified package, loaded and ready to run."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from servewell.core.catalog.endpoint import Deployment
from servewell.core.catalog.model import Manifest, manifest_from
from servewell.core.catalog.signature import Signature
from servewell.core.catalog.stop import Constant
from servewell.errors import ServewellError
from servewell.ports.blobs import Blobs
from servewell.ports.predictors import PredictorHost, Predictors
from servewell.ports.signer import Signer
from servewell.serving.crash_notes import CrashNotes, NotedSession, mark_of
from servewell.serving.protocols.dialect import Reader
from servewell.serving.routes import DIALECTS
from servewell.serving.runtimes.constant import ConstantModel
from servewell.serving.runtimes.model import Latencies, Model, ModelUnusableError
from servewell.serving.runtimes.on_demand import OnDemandModel
from servewell.serving.runtimes.onnx import OnnxModel
from servewell.serving.runtimes.python import PythonModel
from servewell.serving.tensors import Gatherer
from servewell.serving.warm_up import warm_up


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Package:
    """A model version in memory."""

    digest: str
    signature: Signature
    model: Model
    readers: Mapping[str, Reader]  # by the name of the protocol
    gatherer: Gatherer
    batches: bool  # whether rows of several requests fit in one array
    latencies: Latencies = ()  # of its first calls
    idle_s: float | None = None  # where it is loaded on demand
    trial: int = 0  # of the deployment that it was loaded for

    @property
    def quarantine(self) -> str:
        """Why the model is not run any more, or nothing."""
        return self._python.quarantine if self._python else ""

    @property
    def memory_bytes(self) -> int:
        """What the model holds in a process of its own; 0 where it has none."""
        return self._python.memory_bytes if self._python else 0

    @property
    def _python(self) -> PythonModel | None:
        model = self.model.model if isinstance(self.model, OnDemandModel) else self.model
        return model if isinstance(model, PythonModel) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Where packages come from, and what runs them."""

    blobs: Blobs
    signer: Signer
    predictors: Predictors
    notes: CrashNotes
    worker: int
    starting: set[PredictorHost] = field(default_factory=set)  # whose code loads, for who ends it


def load_package(deployment: Deployment, shelf: Shelf, *, idle_s: float | None = None) -> Package:
    """Verify a package, load its model and warm it up. What was verified is what is loaded.

    With `idle_s` all but the manifest waits for the first request.

    Raises: ModelUnusableError.
    """
    with _refusing(deployment):
        manifest = manifest_from(_verified(deployment, shelf))
        if idle_s is not None:
            model = _on_demand(manifest, deployment, shelf, idle_s=idle_s)
            return _package(deployment, manifest.signature, model, idle_s=idle_s)
        loaded, latencies = _warm(manifest, deployment, shelf)
        return _package(deployment, manifest.signature, loaded, latencies=latencies)


def constant_package(
    deployment: Deployment, shelf: Shelf, outputs: Mapping[str, Constant]
) -> Package:
    """Return what takes the requests of a deployment, and answers each row with these outputs.

    Raises: ModelUnusableError.
    """
    with _refusing(deployment):
        signature = manifest_from(_verified(deployment, shelf)).signature
        model = ConstantModel(signature, outputs)
        return _package(deployment, signature, model, latencies=warm_up(model, signature))


def signature_of(deployment: Deployment, shelf: Shelf) -> Signature:
    """Return what a deployment takes and gives, whether or not it is loaded.

    Raises: ModelUnusableError.
    """
    with _refusing(deployment):
        return manifest_from(_verified(deployment, shelf)).signature


@contextmanager
def _refusing(deployment: Deployment) -> Iterator[None]:
    """Say of whatever goes wrong which deployment it concerns.

    Raises: ModelUnusableError.
    """
    try:
        yield
    except msgspec.DecodeError as error:
        raise _refused(deployment, f"its manifest cannot be read ({error})") from error
    except ModelUnusableError as error:
        raise _refused(deployment, error.why) from error
    except ServewellError as error:
        raise _refused(deployment, f"{error.what} {error.why}") from error
    except Exception as error:
        why = f"this version of Servewell cannot load it: {type(error).__name__} ({error})"
        raise _refused(deployment, why) from error


def _verified(deployment: Deployment, shelf: Shelf) -> bytes:
    content = shelf.blobs.read(deployment.package)
    if not shelf.signer.verify(content, _signature_bytes(deployment.package_signature)):
        raise _refused(deployment, "its signature was not made with the key of this home")
    return content


def _on_demand(
    manifest: Manifest, deployment: Deployment, shelf: Shelf, *, idle_s: float
) -> OnDemandModel:
    def load() -> tuple[Model, Latencies]:
        with _refusing(deployment):
            return _warm(manifest, deployment, shelf)

    return OnDemandModel(load, manifest.signature, idle_s=idle_s)


def _warm(manifest: Manifest, deployment: Deployment, shelf: Shelf) -> tuple[Model, Latencies]:
    model = _model(manifest, deployment, shelf)
    try:
        return model, warm_up(model, manifest.signature)
    except BaseException:
        model.close()
        raise


def _model(manifest: Manifest, deployment: Deployment, shelf: Shelf) -> Model:
    if manifest.predictor is None:
        mark = mark_of(deployment.package)
        return OnnxModel(
            shelf.blobs.read(manifest.artifact),
            manifest.signature,
            noted=lambda session: NotedSession(session, shelf.notes, mark),
        )
    log = f"{deployment.model}-{deployment.version}-worker-{shelf.worker}"
    archive = shelf.blobs.path(manifest.artifact)
    host = shelf.predictors.open(archive, manifest.predictor, log=log)
    shelf.starting.add(host)
    try:
        return PythonModel(host, manifest.predictor, manifest.signature)
    except BaseException:
        host.close()
        raise
    finally:
        shelf.starting.discard(host)


def _package(
    deployment: Deployment,
    signature: Signature,
    model: Model,
    *,
    latencies: Latencies = (),
    idle_s: float | None = None,
) -> Package:
    return Package(
        digest=deployment.package,
        signature=signature,
        model=model,
        readers={one.name: one.reader(signature) for one in DIALECTS},
        gatherer=Gatherer(signature),
        batches=not any(-1 in one.row_shape for one in signature.inputs),
        latencies=latencies,
        idle_s=idle_s,
        trial=deployment.trial,
    )


def _signature_bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


def _refused(deployment: Deployment, why: str) -> ModelUnusableError:
    return ModelUnusableError(
        f"The deployment `{deployment.name}` ({deployment.model}:{deployment.version}) "
        "cannot be served.",
        why=why,
        fix="`servewell rollback` returns to the deployment before it; import or train the model "
        "again to replace the package",
    )
