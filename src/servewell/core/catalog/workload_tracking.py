"""Where the runs and versions of a workload are mirrored to."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

ServerUrl = Annotated[
    str,
    Meta(
        pattern=r"^https?://[^@/?#\s]+(/[^@?#\s]*)?$",
        extra_json_schema={
            "patternErrorMessage": "a URL such as http://127.0.0.1:5000, without a user, a "
            "password or a query"
        },
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """The tracking server that gets a copy of what was done."""

    mlflow: Annotated[
        ServerUrl | None,
        Meta(
            description="MLflow tracking server that runs and versions are mirrored to. A token or "
            "a password comes from the environment alone, by the variables of MLflow. It needs "
            "`servewell[mlflow]`.",
            examples=["http://127.0.0.1:5000"],
        ),
    ] = None
    experiment: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="Experiment of MLflow. Without it: the name of the workload.",
            examples=["flight-delays"],
        ),
    ] = None
