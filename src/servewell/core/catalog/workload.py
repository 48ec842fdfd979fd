"""Everything that one `servewell.yaml` describes.

These types are the one source of the file's rules: its JSON Schema, its reference page and the
checks on it are all made from the bounds and descriptions here.
"""

from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from msgspec import Meta

from servewell.core.catalog.workload_alerts import AlertRules
from servewell.core.catalog.workload_data import ContractRules
from servewell.core.catalog.workload_delivery import DeliveryRules
from servewell.core.catalog.workload_feedback import FeedbackRules
from servewell.core.catalog.workload_gates import GateRules
from servewell.core.catalog.workload_monitoring import MonitoringRules
from servewell.core.catalog.workload_objectives import ObjectiveRules
from servewell.core.catalog.workload_retrain import RetrainRules
from servewell.core.catalog.workload_rollout import RolloutRules
from servewell.core.catalog.workload_steps import StepRules
from servewell.core.catalog.workload_tracking import Tracking
from servewell.core.catalog.workload_values import (
    Identifier,
    InnerPath,
    Name,
    NonEmpty,
    Scalar,
)

FILE_NAME: Final = "servewell.yaml"
Rate = Annotated[float, Meta(gt=0, le=1e9)]
Quota = Annotated[int, Meta(ge=1, le=10**12)]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Rows kept from training, on which the served answers are proved equal to the model's."""

    column: Annotated[
        NonEmpty,
        Meta(
            description="Column of the dataset that the bounds speak of.",
            examples=["sched_dep_time"],
        ),
    ]
    start: Annotated[
        NonEmpty,
        Meta(
            description="First value that is held out, as text or an ISO date (inclusive).",
            examples=["2013-03-01"],
        ),
    ]
    until: Annotated[
        str,
        Meta(
            description="First value after the held-out rows (exclusive). Empty means to the end.",
            examples=["2013-04-01"],
        ),
    ] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Where the rows come from."""

    path: Annotated[
        InnerPath,
        Meta(
            description="Parquet or CSV file with the rows. Of a workload it is this or `dataset`.",
            examples=["flights.parquet"],
        ),
    ] = ""
    dataset: Annotated[
        str,
        Meta(
            pattern=r"^[a-z][a-z0-9-]{0,62}(:[0-9]{1,9})?$",
            description="Dataset that `servewell data add` keeps: `NAME` for its newest version, "
            "or `NAME:NUMBER`.",
            examples=["flights:3"],
            extra_json_schema={
                "patternErrorMessage": "the name of a dataset, or a name, a colon and a number"
            },
        ),
    ] = ""
    step: Annotated[
        Name | None,
        Meta(
            description="Step whose output folder `path` starts from. Without it: the folder of "
            "the workload file.",
            examples=["prepare"],
        ),
    ] = None
    label: Annotated[
        NonEmpty | None,
        Meta(
            description="Column that the model learns to predict; never an input.",
            examples=["late"],
        ),
    ] = None
    held_out: Annotated[
        HeldOut | None,
        Meta(description="Rows kept from training. Without it: the last tenth of the file."),
    ] = None
    contract: Annotated[
        ContractRules,
        Meta(description="What the rows must keep to; the gates hold them to it."),
    ] = field(default_factory=ContractRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    """How the model is made."""

    script: Annotated[
        InnerPath,
        Meta(
            description="Python file that makes the model. It is run in a job process.",
            examples=["train.py"],
        ),
    ]
    function: Annotated[
        Identifier,
        Meta(
            description="Function in it that gets the path of the data and the parameters, and "
            "returns the fitted model, or the model and a dictionary of metrics.",
            examples=["train"],
        ),
    ] = "train"
    parameters: Annotated[
        dict[Identifier, Scalar],
        Meta(
            description="Keyword arguments of the function; recorded with the run.",
            examples=[{"learning_rate": 0.1, "max_iter": 200}],
        ),
    ] = field(default_factory=dict)
    requirements: Annotated[
        InnerPath | None,
        Meta(
            description="Lock of the script's own environment: every package as `name==version`. "
            "The model is handed over as a file, and converted in the environment that Servewell "
            "runs in. Without it the script runs there too.",
            examples=["requirements.txt"],
        ),
    ] = None
    timeout_s: Annotated[
        int,
        Meta(
            ge=1,
            le=604_800,
            description="Seconds after which training is ended.",
            examples=[3600],
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
            description="Times that it is tried again after the script failed.",
            examples=[2],
        ),
    ] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A model that was trained elsewhere."""

    path: Annotated[
        InnerPath,
        Meta(
            description="File of the model, or folder of an MLflow model.",
            examples=["model.joblib"],
        ),
    ]
    format: Annotated[
        Literal["onnx", "sklearn", "xgboost", "lightgbm", "torch", "mlflow", "pyfunc"],
        Meta(
            description="What the file is. `mlflow` and `pyfunc` are folders of MLflow: of the "
            "first the model is converted, the second is run as Python in a process of its own.",
            examples=["sklearn"],
        ),
    ] = "onnx"
    allow_pickle: Annotated[
        bool,
        Meta(
            description="Whether this file may be unpickled. A pickle can run any program, so "
            "it is never loaded unless this is true, and then only in the job process, after a "
            "scan that refuses everything it does not know.",
            examples=[True],
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictorCode:
    """A model that is Python code, run in a process of its own."""

    script: Annotated[
        InnerPath,
        Meta(description="Python file that holds the class.", examples=["predictor.py"]),
    ]
    class_name: Annotated[
        Identifier,
        Meta(
            description="Class in it with `load(self, folder)` and `predict(self, columns)`. The "
            "columns, and what `predict` returns, are NumPy arrays by name, one value a row.",
            examples=["Predictor"],
        ),
    ] = "Predictor"
    requirements: Annotated[
        InnerPath | None,
        Meta(
            description="Lock of its own environment: every package as `name==version`, NumPy "
            "among them. Without it: the environment that Servewell runs in.",
            examples=["requirements.txt"],
        ),
    ] = None
    files: Annotated[
        Annotated[
            tuple[InnerPath, ...], Meta(min_length=1, extra_json_schema={"uniqueItems": True})
        ]
        | None,
        Meta(
            description="Files and folders that the package holds beside the script; `load` finds "
            "them below its folder, under the same paths.",
            examples=[["weights.npz"]],
        ),
    ] = None
    timeout_ms: Annotated[
        int,
        Meta(
            ge=1,
            le=3_600_000,
            description="Milliseconds that one call of `predict` may take. Then its process is "
            "killed, and another one started.",
            examples=[30_000],
        ),
    ] = 30_000
    memory_bytes_max: Annotated[
        int,
        Meta(
            ge=1 << 28,
            le=1 << 42,
            description="Bytes that its process may hold. A call that needs more fails; a process "
            "that holds three quarters of them is replaced after its call.",
            examples=[2_147_483_648],
        ),
    ] = 2 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimize:
    """The gate that `servewell models optimize` lets a variant of the model through."""

    metric: Annotated[
        Literal["auc", "brier", "log_loss", "accuracy", "rmse", "mae", "difference"] | None,
        Meta(
            description="What quality is judged by. Without it: `auc` for two classes, `log_loss` "
            "for more, `accuracy` for labels alone, `rmse` for a number, and `difference`, the "
            "largest difference of an output, where there is no label.",
            examples=["auc"],
        ),
    ] = None
    loss_max: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(
            description="Most of the metric that may be lost, at the upper end of its 95 % "
            "confidence interval; for `rmse` and `mae` as a share of the model's own. Without it: "
            "0.002 for `auc`, `accuracy` and `log_loss`, 0.001 for `brier`, 0.005 for `rmse` and "
            "`mae`, 0.0001 for `difference`. Where a model has further outputs, no larger share of "
            "their labels may change, and no number by more than the version's own tolerance.",
            examples=[0.001],
        ),
    ] = None
    faster_min: Annotated[
        float,
        Meta(
            ge=0,
            le=10,
            description="Least gain in speed, as a share, at the lower end of its interval. What "
            "gains less must be smaller, and slower by no more than this.",
            examples=[0.2],
        ),
    ] = 0.05
    smaller_min: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Least saving of bytes, as a share, where a variant is not faster.",
            examples=[0.3],
        ),
    ] = 0.1
    rows: Annotated[
        Literal[1, 32, 128],
        Meta(description="Rows of the request that speed is judged by.", examples=[32]),
    ] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The model's name, and what it must prove."""

    name: Annotated[
        Name | None,
        Meta(
            description="Name in the registry. Without it: the name of the workload.",
            examples=["flight-delays"],
        ),
    ] = None
    tolerance: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Largest absolute difference allowed between any number that the served "
            "model answers and the trained model's, on the held-out rows.",
            examples=[0.0001],
        ),
    ] = 1e-4
    optimize: Annotated[
        Optimize, Meta(description="What `servewell models optimize` may register.")
    ] = field(default_factory=Optimize)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRule:
    """What one input may hold, beyond its type."""

    description: Annotated[
        str,
        Meta(description="What it means, with its unit.", examples=["Wind at departure, in mph."]),
    ] = ""
    minimum: Annotated[
        float | None, Meta(description="Smallest number that a request may send.", examples=[0])
    ] = None
    maximum: Annotated[
        float | None, Meta(description="Largest number that a request may send.", examples=[200])
    ] = None
    allowed: Annotated[
        Annotated[tuple[str, ...], Meta(min_length=1, extra_json_schema={"uniqueItems": True})]
        | None,
        Meta(
            description="The only texts that a request may send.", examples=[["EWR", "JFK", "LGA"]]
        ),
    ] = None
    personal: Annotated[
        bool,
        Meta(
            description="Whether it says something about a person. Such a value is never written "
            "in clear: the record holds a keyed token, the signature no facts of it.",
            examples=[True],
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRules:
    """What all callers of an endpoint together may ask for."""

    requests_per_s: Annotated[
        Rate | None,
        Meta(
            description="Requests a second, over all workers; more get 429. For a moment there "
            "may be more, by what one second gives.",
            examples=[200],
        ),
    ] = None
    rows_per_s: Annotated[
        Rate | None,
        Meta(
            description="Rows a second, over all workers; a request with more rows than these "
            "gets 413.",
            examples=[20_000],
        ),
    ] = None
    requests_per_day: Annotated[
        Quota | None,
        Meta(
            description="Requests a day of UTC, over all workers; more get 429.",
            examples=[1_000_000],
        ),
    ] = None
    rows_per_day: Annotated[
        Quota | None,
        Meta(
            description="Rows a day of UTC, over all workers; more get 429.",
            examples=[50_000_000],
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRules:
    """How the model is served."""

    name: Annotated[
        Name | None,
        Meta(
            description="Name in the URL. Without it: the name of the workload.",
            examples=["flight-delays"],
        ),
    ] = None
    body_bytes_max: Annotated[
        int,
        Meta(
            ge=1_024,
            le=1 << 30,
            description="Largest request body, in bytes; more gets 413.",
            examples=[1_048_576],
        ),
    ] = 1 << 20
    rows_max: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Most rows in one request; more gets 400.",
            examples=[10_000],
        ),
    ] = 10_000
    latency_objective_ms: Annotated[
        float,
        Meta(
            ge=1,
            le=3_600_000,
            description="Milliseconds within which a request that is taken is to be answered. "
            "Batches grow no larger than this allows, and when a standing queue would make "
            "requests wait longer, new ones get 503.",
            examples=[50],
        ),
    ] = 100.0
    timeout_ms: Annotated[
        int,
        Meta(
            ge=1,
            le=3_600_000,
            description="Milliseconds after which a request is given up with 504. A caller can "
            "ask for less.",
            examples=[5_000],
        ),
    ] = 30_000
    batch_rows_max: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="Most rows of several requests that share a call of the model; 1 stands "
            "for no batches.",
            examples=[256],
        ),
    ] = 128
    concurrency: Annotated[
        int,
        Meta(
            ge=1,
            le=64,
            description="Calls of the model at once, in each worker.",
            examples=[2],
        ),
    ] = 1
    queue_requests_max: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Most requests that wait for the model, in each worker; more get 503.",
            examples=[200],
        ),
    ] = 1_000
    queue_bytes_max: Annotated[
        int,
        Meta(
            ge=1 << 20,
            le=1 << 40,
            description="Most bytes of bodies that wait for the model, in each worker; more get "
            "503.",
            examples=[16_777_216],
        ),
    ] = 64 << 20
    sticky: Annotated[
        str,
        Meta(
            pattern=r"^(header:[A-Za-z0-9_-]{1,64}|[^:]{0,128})$",
            description="Input whose value keeps a caller on one deployment while the traffic is "
            "split, or `header:NAME` for a header of the request. A larger share only moves "
            "callers towards it. Empty: each request is drawn by itself.",
            examples=["header:x-user-id"],
        ),
    ] = ""
    limits: Annotated[
        LimitRules, Meta(description="What all callers of the endpoint together may ask for.")
    ] = field(default_factory=LimitRules)
    load: Annotated[
        Literal["always", "on-demand"],
        Meta(
            description="When workers hold the models in memory: `always`, or `on-demand` from "
            "the first request, which waits for it, until nobody has asked for `unload_after_s`.",
            examples=["on-demand"],
        ),
    ] = "always"
    unload_after_s: Annotated[
        float,
        Meta(
            ge=1,
            le=604_800,
            description="Seconds without a request after which a model that is loaded on demand "
            "leaves memory.",
            examples=[300],
        ),
    ] = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How connections are protected. Paths start from the folder of the workload file."""

    mode: Annotated[
        Literal["self-made", "files", "off"],
        Meta(
            description="`self-made`: with a certificate that is made on the first start and "
            "renewed before it ends. `files`: with the one in `certificate` and `key`. `off`: "
            "plain HTTP, where `serving.host` is an address of this machine alone.",
            examples=["files"],
        ),
    ] = "self-made"
    certificate: Annotated[
        NonEmpty | None,
        Meta(
            description="Certificate in PEM, and below it those that signed it, each by the next.",
            examples=["/etc/ssl/endpoint.pem"],
        ),
    ] = None
    key: Annotated[
        NonEmpty | None,
        Meta(
            description="Private key of the certificate in PEM, without a password.",
            examples=["/etc/ssl/endpoint.key"],
        ),
    ] = None
    client_ca: Annotated[
        NonEmpty | None,
        Meta(
            description="Certificates in PEM of those who sign the certificates of callers.",
            examples=["/etc/ssl/callers-ca.pem"],
        ),
    ] = None
    clients: Annotated[
        Literal["none", "optional", "required"],
        Meta(
            description="Whether callers are asked for a certificate of their own, and have to "
            "have one.",
            examples=["optional"],
        ),
    ] = "none"
    hostnames: Annotated[
        Annotated[tuple[NonEmpty, ...], Meta(min_length=1)] | None,
        Meta(
            description="Names and addresses by which callers reach this machine, for the "
            "self-made certificate. `localhost`, the loopback addresses, the name of the machine "
            "and `serving.host` are in it without being named.",
            examples=[["models.example.org", "10.0.0.7"]],
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The worker processes of this machine."""

    host: Annotated[
        NonEmpty,
        Meta(
            description="Address to listen on; loopback unless you say so.",
            examples=["0.0.0.0"],  # noqa: S104  # an example in the reference, bound by nobody
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Meta(ge=1, le=65_535, description="TCP port that all workers share.", examples=[8080]),
    ] = 8_080
    workers: Annotated[int, Meta(ge=1, le=64, description="Worker processes.", examples=[4])] = 2
    drain_s: Annotated[
        float,
        Meta(
            ge=0,
            le=300,
            description="Seconds that requests in flight may take to finish when a worker stops; "
            "what takes longer is cut off and recorded as such. Where answers may need all of "
            "`endpoint.timeout_ms`, give it as long, and whoever kills the process longer still.",
            examples=[10],
        ),
    ] = 10.0
    lame_duck_s: Annotated[
        float,
        Meta(
            ge=0,
            le=300,
            description="Seconds in which a worker that was told to end by SIGTERM says that it is "
            "not ready and still takes requests, so that whoever sends them can go elsewhere.",
            examples=[5],
        ),
    ] = 5.0
    connections_max: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Connections that each worker holds at most; 256 fewer than the files that "
            "a process may open, where that is less. When they are so many, the one that has been "
            "silent longest goes for a new one; where none is silent, the new one is turned away.",
            examples=[4096],
        ),
    ] = 4_096
    tls: Annotated[Tls, Meta(description="How connections are protected.")] = field(
        default_factory=Tls
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRules:
    """How predictions are recorded."""

    retention_days: Annotated[
        int, Meta(ge=1, le=3_650, description="Days that a record is kept.", examples=[30])
    ] = 30
    bytes_max: Annotated[
        int,
        Meta(
            ge=1 << 20,
            le=1 << 50,
            description="Bytes that all records of this home may take; the oldest go first.",
            examples=[5_368_709_120],
        ),
    ] = 5 << 30
    when_full: Annotated[
        Literal["serve", "refuse"],
        Meta(
            description="What a worker does when a record cannot be written: `serve` answers and "
            "counts the lost record, `refuse` answers 503.",
            examples=["refuse"],
        ),
    ] = "serve"


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """What the workers tell of their requests, beside metrics and records."""

    otlp_endpoint: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^@/?#\s]+(/[^@?#\s]*)?)?$",
            description="Collector that takes spans by OTLP over HTTP: `/v1/traces` is added to "
            "it. Empty exports none. Headers with secrets come from the environment variable "
            "`OTEL_EXPORTER_OTLP_HEADERS` alone. It needs `servewell[telemetry]`.",
            examples=["http://127.0.0.1:4318"],
            extra_json_schema={
                "patternErrorMessage": "a URL such as http://127.0.0.1:4318, without a user, a "
                "password or a query"
            },
        ),
    ] = ""
    sample_ratio: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Share of the requests without a trace of their own that a span is made "
            "of. A caller's `traceparent` decides for itself; slow and failed requests have one "
            "always.",
            examples=[0.01],
        ),
    ] = 0.01
    slow_ms: Annotated[
        float,
        Meta(
            ge=0,
            le=3_600_000,
            description="Milliseconds after which a request counts as slow: it is logged, and has "
            "a span.",
            examples=[250],
        ),
    ] = 250.0
    logs: Annotated[
        Literal["json", "text"],
        Meta(
            description="How the workers write their logs: one JSON object a line, or plain text.",
            examples=["json"],
        ),
    ] = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One `servewell.yaml`. It has one of `train`, `artifact` and `predictor`."""

    workload: Annotated[
        Name,
        Meta(
            description="Name of the workload: lower-case letters, digits and hyphens.",
            examples=["flight-delays"],
        ),
    ]
    data: Annotated[
        Data | None, Meta(description="Where the rows come from. Training needs it.")
    ] = None
    steps: Annotated[
        dict[Name, StepRules],
        Meta(
            description="Steps of the workload's own before and after training, by name.",
        ),
    ] = field(default_factory=dict)
    train: Annotated[Train | None, Meta(description="How the model is made.")] = None
    artifact: Annotated[
        Artifact | None, Meta(description="A model that was trained elsewhere, instead of `train`.")
    ] = None
    predictor: Annotated[
        PredictorCode | None,
        Meta(description="A model that is Python code, instead of `train`."),
    ] = None
    model: Annotated[Model, Meta(description="The model's name, and what it must prove.")] = field(
        default_factory=Model
    )
    inputs: Annotated[
        dict[NonEmpty, InputRule],
        Meta(description="Rules on the model's inputs, by the name of the input."),
    ] = field(default_factory=dict)
    endpoint: Annotated[EndpointRules, Meta(description="How the model is served.")] = field(
        default_factory=EndpointRules
    )
    gates: Annotated[
        GateRules, Meta(description="What a version must prove before it may be deployed.")
    ] = field(default_factory=GateRules)
    rollout: Annotated[
        RolloutRules, Meta(description="How a new version takes over the traffic.")
    ] = field(default_factory=RolloutRules)
    retrain: Annotated[
        RetrainRules, Meta(description="When the model is made again, and who may promote it.")
    ] = field(default_factory=RetrainRules)
    monitoring: Annotated[
        MonitoringRules, Meta(description="How closely what is served is watched.")
    ] = field(default_factory=MonitoringRules)
    alerts: Annotated[
        AlertRules, Meta(description="Who is told of what goes wrong, when, and how.")
    ] = field(default_factory=AlertRules)
    objectives: Annotated[
        ObjectiveRules,
        Meta(description="What the endpoint is to achieve, each with a budget of what may fail."),
    ] = field(default_factory=ObjectiveRules)
    delivery: Annotated[
        DeliveryRules, Meta(description="What a pipeline does beside the rest: `servewell ci`.")
    ] = field(default_factory=DeliveryRules)
    tracking: Annotated[Tracking, Meta(description="Where runs and versions are mirrored to.")] = (
        field(default_factory=Tracking)
    )
    serving: Annotated[Serving, Meta(description="The worker processes of this machine.")] = field(
        default_factory=Serving
    )
    records: Annotated[RecordRules, Meta(description="How predictions are recorded.")] = field(
        default_factory=RecordRules
    )
    feedback: Annotated[FeedbackRules, Meta(description="What people may say of the answers.")] = (
        field(default_factory=FeedbackRules)
    )
    telemetry: Annotated[
        Telemetry,
        Meta(description="What the workers tell of their requests, beside metrics and records."),
    ] = field(default_factory=Telemetry)

    @property
    def model_name(self) -> str:
        """Name of the model in the registry."""
        return self.model.name or self.workload

    @property
    def endpoint_name(self) -> str:
        """Name of the endpoint in the URL."""
        return self.endpoint.name or self.workload
