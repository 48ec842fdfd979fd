"""The steps of a workload's own that run before or after its training."""

from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from msgspec import Meta

from servewell.core.catalog.workload_values import Identifier, InnerPath, Name, Scalar

TRAIN: Final = "train"  # the step that makes the model; what needs it runs after it

Paths = Annotated[
    tuple[InnerPath, ...], Meta(min_length=1, extra_json_schema={"uniqueItems": True})
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRules:
    """One step: a Python function or script, run as a job."""

    script: Annotated[
        InnerPath,
        Meta(description="Python file of the step.", examples=["prepare.py"]),
    ]
    function: Annotated[
        Identifier | None,
        Meta(
            description="Function in it that gets `inputs` (the folder of each step that it needs, "
            "by name), `output` (an empty folder to write to) and the parameters, all as keyword "
            "arguments. It may return a dictionary of metrics. Without it the file is run as a "
            "program.",
            examples=["prepare"],
        ),
    ] = None
    needs: Annotated[
        Annotated[tuple[Name, ...], Meta(min_length=1, extra_json_schema={"uniqueItems": True})]
        | None,
        Meta(
            description="Steps that run before this one, whose output it gets. `train` is the step "
            "that makes the model: what needs it, also through others, runs after it, everything "
            "else before it.",
            examples=[["ingest"]],
        ),
    ] = None
    kind: Annotated[
        Literal["ingest", "validate", "prepare", "train", "evaluate", "other"],
        Meta(description="What the step is for, as a label.", examples=["prepare"]),
    ] = "other"
    parameters: Annotated[
        dict[Identifier, Scalar],
        Meta(
            description="Keyword arguments of the function, or `--name=value` arguments of the "
            "program; recorded with the run.",
            examples=[{"months": 3}],
        ),
    ] = field(default_factory=dict)
    files: Annotated[
        Paths | None,
        Meta(
            description="Files and folders beside the code that the step reads. When one of them "
            "changes, the step is run again.",
            examples=[["raw.csv"]],
        ),
    ] = None
    requirements: Annotated[
        InnerPath | None,
        Meta(
            description="Lock of its own environment: every package as `name==version`. Without "
            "it: the environment that Servewell runs in.",
            examples=["requirements.txt"],
        ),
    ] = None
    cached: Annotated[
        bool,
        Meta(
            description="Whether the output of an earlier run is taken where inputs, code, "
            "parameters and environment are the same. A step that reads what changes by itself, a "
            "database for one, says false.",
            examples=[False],
        ),
    ] = True
    timeout_s: Annotated[
        int,
        Meta(
            ge=1,
            le=604_800,
            description="Seconds after which an attempt is ended.",
            examples=[600],
        ),
    ] = 3_600
    memory_bytes_max: Annotated[
        int,
        Meta(
            ge=1 << 28,
            le=1 << 42,
            description="Bytes that its process, and each one that it starts, may allocate.",
            examples=[2_147_483_648],
        ),
    ] = 8 << 30
    retries: Annotated[
        int,
        Meta(
            ge=0,
            le=10,
            description="Times that it is tried again after it failed.",
            examples=[2],
        ),
    ] = 0
