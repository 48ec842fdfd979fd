"""What may get traffic, after the gates have spoken."""

import pytest

from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.gate import GateOverride, GateReport, GateVerdict
from servewell.core.operations.clearance import Clearance, decide_clearance

NEW = 2


def report(verdict: GateVerdict, *, overridden: bool = False) -> GateReport:
    """Return what the gates say of the new version."""
    return GateReport(
        id="1",
        version=f"m:{NEW}",
        package=f"package-{NEW}",
        champion=None,
        verdict=verdict,
        because="of its rows",
        rows=(),
        at=0.0,
        override=GateOverride(principal="ada", because="a drill", at=1.0) if overridden else None,
    )


def endpoint(*served: int) -> Endpoint:
    """Return an endpoint that gives all requests to the last of these versions."""
    deployments = tuple(
        Deployment(
            name=f"v{number}",
            model="m",
            version=number,
            package=f"package-{number}",
            package_signature="",
            share_bp=10_000 if number == served[-1] else 0,
        )
        for number in served
    )
    return Endpoint(name="m", workload="m", deployments=deployments)


@pytest.mark.parametrize(
    ("served", "verdict", "overridden", "clearance"),
    [
        ((), GateVerdict.PASS, False, Clearance.SERVE),
        ((), GateVerdict.CANNOT_TELL, False, Clearance.SERVE),
        ((), GateVerdict.FAIL, False, Clearance.KEEP_OUT),
        ((), GateVerdict.FAIL, True, Clearance.SERVE),
        ((1,), GateVerdict.PASS, False, Clearance.ROLL_OUT),
        ((1,), GateVerdict.CANNOT_TELL, False, Clearance.KEEP_OUT),
        ((1,), GateVerdict.CANNOT_TELL, True, Clearance.ROLL_OUT),
        ((1,), GateVerdict.FAIL, False, Clearance.KEEP_OUT),
        ((1,), GateVerdict.FAIL, True, Clearance.ROLL_OUT),
        ((1, 2), GateVerdict.FAIL, False, Clearance.STAY),
        ((2, 1), GateVerdict.PASS, False, Clearance.STAY),
    ],
)
def test_nothing_unproved_takes_traffic_from_what_serves(
    *, served: tuple[int, ...], verdict: GateVerdict, overridden: bool, clearance: Clearance
) -> None:
    """Only a pass or a person's word does; the very first version may also be one of few rows."""
    decision = decide_clearance(endpoint(*served), report(verdict, overridden=overridden))
    assert decision.clearance is clearance
    assert f"m:{NEW}" in decision.because


def test_an_endpoint_that_is_not_there_serves_its_first_version() -> None:
    """Before the first `up` there is none."""
    decision = decide_clearance(None, report(GateVerdict.PASS))
    assert decision.clearance is Clearance.SERVE
