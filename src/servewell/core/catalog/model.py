"""A model version: an immutable, signed package."""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import msgspec

from servewell.core.catalog.signature import Signature
from servewell.core.catalog.workload import HeldOut

Parameter = str | float | int | bool | None


class Format(StrEnum):
    """What a model was before it was packaged."""

    ONNX = "onnx"
    SKLEARN = "sklearn"
    XGBOOST = "xgboost"
    LIGHTGBM = "lightgbm"
    TORCH = "torch"
    MLFLOW = "mlflow"
    PYFUNC = "pyfunc"
    PREDICTOR = "predictor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence:
    """The proof that the served answers are the trained model's.

    Of an optimised version the difference is that to the version it was made of. It may be larger
    than the tolerance: what bounds it is the gate that the lineage tells of.
    """

    rows: int  # held-out rows compared; 0 where a model came as ONNX and nothing was converted
    largest_difference: float  # of any number of any output, absolute
    tolerance: float
    labels_changed: float = 0.0  # share of the labels of the output where most are others, 0..1


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimised:
    """How a version was made of another one, and what it was judged by."""

    of: str  # `model:number`
    package: str  # digest of that version's package
    variant: str
    about: str
    metric: str
    dataset: str | None  # `name:number` whose held-out rows judged; None for rows made up
    quality: float  # the metric, of the original
    loss: tuple[float, float, float]  # value, low and high of the 95 % interval; above 0 is worse
    loss_max: float  # that was allowed
    rows_per_request: int  # that speed was judged by
    speedup: tuple[float, float, float]  # as many times as fast: value, low, high, as above
    seed: int
    runtime: str
    processor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where a model version came from."""

    run: str  # id of the training or import run
    format: Format
    source: str  # the script, or the imported file
    source_digest: str  # SHA-256, hex
    dataset: str | None  # `name:number`
    dataset_digest: str | None
    commit: str | None  # git commit of the workload, None outside a repository
    dirty: bool  # whether files of the workload differed from that commit
    environment_digest: str  # SHA-256 of the lock, hex; the lock itself is in the package's files
    parameters: dict[str, Parameter] = field(default_factory=dict)
    label: str | None = None  # column of the dataset that the model learned
    held_out: HeldOut | None = None  # rows of the dataset that it did not learn from
    optimised: Optimised | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """How a package of Python code is run: in a process of its own, within these bounds."""

    script: str  # path within the archive
    class_name: str = "Predictor"
    environment: str = ""  # digest of the locked environment; empty for the platform's own
    timeout_s: float = 30.0  # that one call may take before its process is killed
    memory_bytes_max: int = 2 << 30  # that its process may hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a package holds. Its canonical bytes are what is signed and what names the package."""

    model: str
    artifact: str  # SHA-256 of the ONNX file, or of the archive of a predictor, hex
    artifact_bytes: int
    signature: Signature
    lineage: Lineage
    equivalence: Equivalence
    metrics: dict[str, float] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)  # name -> SHA-256: lock, log, report
    runtime: Literal["onnx", "python"] = "onnx"
    predictor: Predictor | None = None  # of the runtime `python`


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return the canonical bytes of a manifest: JSON with sorted keys."""
    return msgspec.json.encode(manifest, order="sorted")


def manifest_from(data: bytes) -> Manifest:
    """Read what `manifest_bytes` wrote.

    Raises: msgspec.DecodeError where the bytes are no manifest.
    """
    return msgspec.json.decode(data, type=Manifest)


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of `data`, in hex: the address of a blob."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One registered version of a model."""

    model: str
    number: int  # 1, 2, 3 … per model
    package: str  # digest of the manifest's canonical bytes
    package_signature: str  # Ed25519 over those bytes, base64
    manifest: Manifest
    created_at: float  # seconds since the epoch, UTC
    created_by: str

    @property
    def name(self) -> str:
        """The version as people write it: `model:number`."""
        return f"{self.model}:{self.number}"
