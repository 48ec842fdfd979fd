"""A verified package, loaded and ready to run."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from servewell.core.catalog.endpoint import Deployment
from servewell.core.catalog.model import Manifest, manifest_from
from servewell.core.catalog.signature import Signature
from servewell.errors import ServewellError
from servewell.ports.blobs import Blobs
from servewell.ports.predictors import Predictors
from servewell.ports.signer import Signer
from servewell.serving.protocols.dialect import Reader
from servewell.serving.routes import DIALECTS
from servewell.serving.runtimes.model import Model, ModelUnusableError
from servewell.serving.runtimes.onnx import OnnxModel
from servewell.serving.runtimes.python import PythonModel
from servewell.serving.tensors import Gatherer
from servewell.serving.warm_up import Latencies, warm_up


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Where packages come from, and what runs them."""

    blobs: Blobs
    signer: Signer
    predictors: Predictors
    worker: int


def load_package(deployment: Deployment, shelf: Shelf) -> Package:
    """Verify a package, load its model and warm it up. What was verified is what is loaded.

    Raises: ModelUnusableError.
    """
    try:
        manifest = manifest_from(_verified(deployment, shelf))
        return _warm(_package(deployment, manifest.signature, _model(manifest, deployment, shelf)))
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


def _model(manifest: Manifest, deployment: Deployment, shelf: Shelf) -> Model:
    if manifest.predictor is None:
        return OnnxModel(shelf.blobs.read(manifest.artifact), manifest.signature)
    log = f"{deployment.model}-{deployment.version}-worker-{shelf.worker}"
    archive = shelf.blobs.path(manifest.artifact)
    host = shelf.predictors.open(archive, manifest.predictor, log=log)
    try:
        return PythonModel(host, manifest.predictor, manifest.signature)
    except BaseException:
        host.close()
        raise


def _warm(package: Package) -> Package:
    try:
        return replace(package, latencies=warm_up(package.model, package.signature))
    except BaseException:
        package.model.close()
        raise


def _package(deployment: Deployment, signature: Signature, model: Model) -> Package:
    return Package(
        digest=deployment.package,
        signature=signature,
        model=model,
        readers={one.name: one.reader(signature) for one in DIALECTS},
        gatherer=Gatherer(signature),
        batches=not any(-1 in one.row_shape for one in signature.inputs),
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
