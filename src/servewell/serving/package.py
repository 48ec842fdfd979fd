"""A verified package, loaded and ready to run."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from servewell.core.catalog.endpoint import Deployment
from servewell.core.catalog.model import manifest_from
from servewell.core.catalog.signature import Signature
from servewell.errors import ServewellError
from servewell.ports.blobs import Blobs
from servewell.ports.signer import Signer
from servewell.serving.protocols.dialect import Reader
from servewell.serving.routes import DIALECTS
from servewell.serving.runtimes.model import Model, ModelUnusableError
from servewell.serving.runtimes.onnx import OnnxModel
from servewell.serving.tensors import Gatherer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Package:
    """A model version in memory."""

    digest: str
    signature: Signature
    model: Model
    readers: Mapping[str, Reader]  # by the name of the protocol
    gatherer: Gatherer
    batches: bool  # whether rows of several requests fit in one array


def load_package(deployment: Deployment, *, blobs: Blobs, signer: Signer) -> Package:
    """Verify a package and load its model. What was verified is what is loaded.

    Raises: ModelUnusableError.
    """
    try:
        manifest = manifest_from(_verified(deployment, blobs, signer))
        model = OnnxModel(blobs.read(manifest.artifact), manifest.signature)
        return _package(deployment, manifest.signature, model)
    except msgspec.DecodeError as error:
        raise _refused(deployment, f"its manifest cannot be read ({error})") from error
    except ModelUnusableError as error:
        raise _refused(deployment, error.why) from error
    except ServewellError as error:
        raise _refused(deployment, f"{error.what} {error.why}") from error
    except Exception as error:
        why = f"this version of Servewell cannot load it: {type(error).__name__} ({error})"
        raise _refused(deployment, why) from error


def _verified(deployment: Deployment, blobs: Blobs, signer: Signer) -> bytes:
    content = blobs.read(deployment.package)
    if not signer.verify(content, _signature_bytes(deployment.package_signature)):
        raise _refused(deployment, "its signature was not made with the key of this home")
    return content


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
