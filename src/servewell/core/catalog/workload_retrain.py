"""When a workload is trained again, and who may promote what comes of it."""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from servewell.core.catalog.workload_tracking import ServerUrl

Text = Annotated[str, Meta(min_length=1)]
Signal = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9-]{0,62}$",
        extra_json_schema={
            "patternErrorMessage": "lower-case letters, digits and hyphens, a letter first, "
            "at most 63 characters"
        },
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Where models appear that are made elsewhere. One of `folder` and `mlflow` is given."""

    folder: Annotated[
        Text | None,
        Meta(
            description="Folder in which each file, or folder of MLflow, is a new version of the "
            "model; absolute, or beside the workload file.",
            examples=["incoming"],
        ),
    ] = None
    mlflow: Annotated[
        ServerUrl | None,
        Meta(
            description="MLflow server whose registry is looked at. A token or a password comes "
            "from the environment alone, by the variables of MLflow.",
            examples=["http://127.0.0.1:5000"],
        ),
    ] = None
    model: Annotated[
        Annotated[str, Meta(pattern=r"^[^'\"/:%\\]+$")] | None,
        Meta(
            description="Name of the model in that registry. Without it: the name of the model "
            "here.",
            examples=["flight-delays"],
        ),
    ] = None
    format: Annotated[
        Literal["onnx", "sklearn", "xgboost", "lightgbm", "torch", "mlflow", "pyfunc"] | None,
        Meta(
            description="What the models are. Without it: by the ending of the file; a folder is "
            "one of MLflow.",
            examples=["mlflow"],
        ),
    ] = None
    allow_pickle: Annotated[
        bool,
        Meta(
            description="Whether what appears may be unpickled, as in `artifact.allow_pickle`.",
            examples=[True],
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainRules:
    """What starts a training, and what happens to the version that it makes."""

    schedule: Annotated[
        Text | None,
        Meta(
            description="When to train, as in cron: minute, hour, day of month, month, day of "
            "week; six fields begin with the second.",
            examples=["0 3 1 * *"],
        ),
    ] = None
    time_zone: Annotated[
        Text,
        Meta(
            description="Time zone of the schedule, by its IANA name. A time that the change to "
            "summer time leaves out counts at the moment of the change, and one that comes twice "
            "counts the first time.",
            examples=["Europe/Berlin"],
        ),
    ] = "UTC"
    on_new_data: Annotated[
        bool,
        Meta(
            description="Whether to train when the files of `data` have changed, or when there is "
            "a dataset version newer than the one that was last learned from.",
            examples=[True],
        ),
    ] = False
    data_pattern: Annotated[
        Text | None,
        Meta(
            description="Files that count as data beside `data.path`, as a pattern below the "
            "folder of the workload file.",
            examples=["incoming/*.parquet"],
        ),
    ] = None
    settle_s: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="Seconds for which a file must have stayed as it is before it counts as "
            "written to its end.",
            examples=[10],
        ),
    ] = 10.0
    on_signal: Annotated[
        Annotated[tuple[Signal, ...], Meta(min_length=1, extra_json_schema={"uniqueItems": True})]
        | None,
        Meta(
            description="Signals that start a training; `servewell retrain signal NAME` sends one.",
            examples=[["drift"]],
        ),
    ] = None
    watch: Annotated[
        Watch | None,
        Meta(
            description="Where models appear that are made elsewhere; each is imported, gated and "
            "rolled out like one that was trained here."
        ),
    ] = None
    at_most_every_s: Annotated[
        float,
        Meta(
            ge=0,
            le=31_622_400,
            description="Seconds from the start of one training to that of the next, at least.",
            examples=[3_600],
        ),
    ] = 60.0
    promote: Annotated[
        Literal["automatic", "approval"],
        Meta(
            description="Who lets the new version take over: `automatic` is what `rollout` says, "
            "`approval` waits for a person besides.",
            examples=["approval"],
        ),
    ] = "automatic"
    timeout_s: Annotated[
        int,
        Meta(
            ge=1,
            le=2_592_000,
            description="Seconds after which a training, with all that belongs to it, is killed.",
            examples=[14_400],
        ),
    ] = 14_400
    attempts: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description="How often a training is begun that a kill, or something that is away, "
            "like a server, interrupts; pauses grow. One that fails by itself is not begun again.",
            examples=[3],
        ),
    ] = 3
