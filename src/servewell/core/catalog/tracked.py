"""What a tracking server gets of one run, and what it has of it."""

from dataclasses import dataclass, field
from typing import Final

from servewell.core.catalog.model import Parameter
from servewell.core.catalog.run import RunState

CHAMPION: Final = "champion"  # the alias of the version that most requests go to


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCopy:
    """One run with the version that it made, as a tracking server is to show them."""

    run: str
    workload: str
    experiment: str
    state: RunState
    started_at: float  # seconds since the epoch, UTC
    ended_at: float | None
    parameters: dict[str, Parameter] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)  # path there -> digest of the blob
    model: str = ""  # registered under this name; empty where the run made none
    artifact: str = ""  # digest of the model's file
    runtime: str = ""  # `onnx` or `python`
    champion: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """What a server has of a run."""

    run: str
    url: str
    digest: str  # of the copy that it has
    mlflow_run: str  # id there
    mlflow_version: str = ""  # number of the registered version there
    at: float  # seconds since the epoch, UTC
