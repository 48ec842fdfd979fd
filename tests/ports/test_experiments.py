"""The contract of `Experiments`."""

from dataclasses import replace

import pytest

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.endpoints import SqlEndpoints
from servewell.adapters.embedded.experiments import SqlExperiments
from servewell.adapters.embedded.history import SqlHistory
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.evidence import Contrast, Moments
from servewell.core.catalog.experiment import (
    Experiment,
    ExperimentSums,
    Goal,
    Metric,
    Result,
    Standing,
)
from servewell.ports.experiments import (
    ExperimentBusyError,
    ExperimentMissingError,
    Experiments,
)
from servewell.ports.state import StateConflictError

CHANGE = Change(
    at=5.5, principal="ada", kind=ChangeKind.EXPERIMENT, subject="flights", because="to know"
)
FLIGHTS = Endpoint(
    name="flights",
    workload="flights",
    deployments=(
        Deployment(
            name="v1", model="m", version=1, package="p", package_signature="s", share_bp=10_000
        ),
    ),
)
EXPERIMENT = Experiment(
    id="e1",
    endpoint="flights",
    first="v1",
    first_version="m:1",
    second="v2",
    second_version="m:2",
    share_bp=5_000,
    goal=Goal(metric=Metric.OUTPUT, output="late", higher_is_better=True, smallest=0.1),
    began_at=1.0,
    because="to know",
    principal="ada",
    sums=ExperimentSums(
        requests=(3, 4), contrast=Contrast(stable=Moments(n=2, mean=0.5)), missing=1
    ),
    cursor="c",
    result=Result(standing=Standing.UNDECIDED, because="too few", low=-1.0, high=1.0),
)


@pytest.fixture(params=[pytest.param(SqlExperiments, id="sql")])
def experiments(request: pytest.FixtureRequest, database: Database) -> Experiments:
    """Each adapter in turn."""
    made: Experiments = request.param(database)
    return made


def test_an_experiment_reads_back_as_it_was_saved(experiments: Experiments) -> None:
    """Nothing of it is lost, and each save makes the next revision."""
    kept = experiments.save(EXPERIMENT)
    assert kept == replace(EXPERIMENT, revision=1)
    assert experiments.get("e1") == kept
    assert experiments.list() == (kept,)


def test_an_unknown_one_is_missing(experiments: Experiments) -> None:
    """The error says how to see those that there are."""
    with pytest.raises(ExperimentMissingError, match="e9"):
        experiments.get("e9")


def test_experiment_endpoint_and_reason_are_kept_together(
    experiments: Experiments, database: Database
) -> None:
    """The endpoint has the new traffic and the history its reason; a stale endpoint keeps none."""
    endpoints, history = SqlEndpoints(database), SqlHistory(database)
    before = endpoints.save(replace(FLIGHTS, deployments=()), CHANGE)
    after = replace(before, deployments=FLIGHTS.deployments)
    experiments.save(EXPERIMENT, endpoint=after, change=CHANGE)
    assert endpoints.get("flights").traffic == {"v1": 10_000}
    assert history.revision() == 2
    stale = replace(EXPERIMENT, id="e2", endpoint="others")
    with pytest.raises(StateConflictError):
        experiments.save(stale, endpoint=before, change=CHANGE)
    assert len(experiments.list()) == 1


def test_only_what_was_read_is_replaced(experiments: Experiments) -> None:
    """A second observer of the same revision is refused, and nothing counts twice."""
    kept = experiments.save(EXPERIMENT)
    experiments.save(kept)
    with pytest.raises(StateConflictError):
        experiments.save(kept)


def test_an_endpoint_has_one_at_a_time(experiments: Experiments) -> None:
    """The next may begin when the first has ended, and an ended one stays as it is."""
    kept = experiments.save(EXPERIMENT)
    with pytest.raises(ExperimentBusyError):
        experiments.save(replace(EXPERIMENT, id="e2"))
    over = experiments.save(replace(kept, ended_at=9.0))
    experiments.save(replace(EXPERIMENT, id="e2", began_at=10.0))
    assert [one.id for one in experiments.list("flights", open_only=True)] == ["e2"]
    with pytest.raises(StateConflictError):
        experiments.save(over)
    assert experiments.list("others") == ()
