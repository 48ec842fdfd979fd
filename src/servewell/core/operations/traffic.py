"""Decide how an endpoint's traffic changes: deploy, split, roll back.

Every decision returns the whole endpoint as it is to become. The deployments of the newest
`WARM_MAPS` earlier traffic maps stay loaded in the workers, so that a rollback loads nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.endpoint import BP_FULL, Deployment, Endpoint
from servewell.core.catalog.model import ModelVersion
from servewell.errors import ServewellError

WARM_MAPS: Final = 2
BP_PER_PERCENT: Final = 100
PERCENTAGE: Final = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?%")
BASIS_POINTS: Final = re.compile(r"([0-9]{1,5})bp")

TrafficMap = tuple[tuple[str, int], ...]


class DeploymentMissingError(ServewellError):
    """The endpoint has no deployment of that name."""

    code = "SW-205"


class NothingToRollBackError(ServewellError):
    """No earlier traffic is known to go back to."""

    code = "SW-206"


class TrafficInvalidError(ServewellError):
    """The shares do not make a traffic map."""

    code = "SW-207"


class DeploymentTakenError(ServewellError):
    """The name of the deployment belongs to another model version."""

    code = "SW-208"


class QuarantinedError(ServewellError):
    """The deployment kept ending its process, and gets no traffic but by an explicit deploy."""

    code = "SW-412"

    @classmethod
    def of(cls, endpoint: str, version: str, *, because: str) -> "QuarantinedError":
        """Return the refusal of a version that an endpoint has in quarantine."""
        return cls(
            f"{version} is in quarantine at `{endpoint}`.",
            why=because,
            fix="correct the model and make a new version; to try this one again, "
            f"`servewell deploy {endpoint} {version} --share 1%` and "
            f"`servewell rollback {endpoint}` end the quarantine",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficDecision:
    """The endpoint as it is to become, and the sentence that says why."""

    endpoint: Endpoint
    kind: ChangeKind
    because: str

    def changes(self, before: Endpoint) -> bool:
        """Whether carrying it out would change anything."""
        return self.endpoint != before


def decide_deploy(
    endpoint: Endpoint, version: ModelVersion, *, share_bp: int = BP_FULL, name: str = ""
) -> TrafficDecision:
    """Return the endpoint with `version` served under `name` (default `v<number>`) at `share_bp`.

    The other deployments share the rest in their present proportions.

    Units:  shares in basis points, 0..10 000.
    Raises: DeploymentTakenError, TrafficInvalidError.
    """
    name = name or f"v{version.number}"
    others = tuple(one for one in endpoint.deployments if one.name != name)
    rest = {one.name: one.share_bp for one in others if one.share_bp and not one.quarantined}
    wanted = BP_FULL if not rest else share_bp
    _check_share(name, wanted)
    shares = {**scale(rest, BP_FULL - wanted), name: wanted}
    grown = with_version(endpoint, version, name=name)
    because = f"{version.name} gets {percent(wanted)} of the requests as `{name}`"
    return _moved(endpoint, grown, shares, kind=ChangeKind.DEPLOYED, because=because)


def with_version(endpoint: Endpoint, version: ModelVersion, *, name: str) -> Endpoint:
    """Return an endpoint with a version deployed anew under a name, without a share.

    Raises: DeploymentTakenError.
    """
    _refuse_other_version(endpoint, version, name)
    others = tuple(one for one in endpoint.deployments if one.name != name)
    new = Deployment(
        name=name,
        model=version.model,
        version=version.number,
        package=version.package,
        package_signature=version.package_signature,
        trial=_trials(endpoint, version),
    )
    return replace(endpoint, deployments=(*others, new))


def decide_traffic(endpoint: Endpoint, shares: Mapping[str, int]) -> TrafficDecision:
    """Return the endpoint with exactly these shares; a deployment not named gets nothing.

    Units:  shares in basis points, summing to 10 000.
    Raises: DeploymentMissingError, TrafficInvalidError.
    """
    for name, share_bp in shares.items():
        _require(endpoint, name)
        _check_share(name, share_bp)
    _refuse_quarantined(endpoint, shares)
    if sum(shares.values()) != BP_FULL:
        raise TrafficInvalidError(
            f"The shares sum to {percent(sum(shares.values()))}.",
            why="every request must go to exactly one deployment, so shares sum to 100 %",
            fix=f"give all deployments of `{endpoint.name}` a share; those not named get none",
        )
    because = f"traffic set to {describe(shares)}"
    return _moved(endpoint, endpoint, shares, kind=ChangeKind.TRAFFIC_SET, because=because)


def decide_rollback(endpoint: Endpoint, *, to: str = "") -> TrafficDecision:
    """Return the endpoint with the traffic it had before its last change, or all of it to `to`.

    A second rollback goes one change further back; nothing is ever rolled forward.

    Raises: DeploymentMissingError, NothingToRollBackError.
    """
    if to:
        _require(endpoint, to)
        because = f"rolled back to `{to}`"
        shares = {to: BP_FULL}
        _refuse_quarantined(endpoint, shares)
        return _moved(endpoint, endpoint, shares, kind=ChangeKind.ROLLED_BACK, because=because)
    if not endpoint.past:
        raise NothingToRollBackError(
            f"`{endpoint.name}` has no earlier traffic.",
            why=f"only the last {WARM_MAPS} earlier splits are kept; none was made, or each has "
            "been rolled back",
            fix=f"`servewell history {endpoint.name}` shows what served when; "
            f"`servewell rollback {endpoint.name} --to DEPLOYMENT` names one",
        )
    shares = dict(endpoint.past[-1])
    _refuse_quarantined(endpoint, shares)
    back = replace(with_shares(endpoint, shares), past=endpoint.past[:-1])
    because = f"rolled back from {describe(endpoint.traffic)} to {describe(shares)}"
    return TrafficDecision(endpoint=back, kind=ChangeKind.ROLLED_BACK, because=because)


def taken_back(
    decision: TrafficDecision, before: Endpoint, *, by: str, because: str = ""
) -> TrafficDecision:
    """Return a decision of a person, with their word on each deployment that loses all by it.

    Such a version is not rolled out again by itself.
    """
    words = f"{by} took it back: {because or decision.because}"
    deployments = tuple(
        replace(one, withdrawn=words) if _lost(before, one) else one
        for one in decision.endpoint.deployments
    )
    return replace(decision, endpoint=replace(decision.endpoint, deployments=deployments))


def _lost(before: Endpoint, after: Deployment) -> bool:
    """Whether a deployment had requests and gets none."""
    return not after.share_bp and bool(before.traffic.get(after.name))


def scale(shares: Mapping[str, int], total: int) -> dict[str, int]:
    """Return `shares` scaled to sum to `total`, by largest remainder; none is lost to rounding."""
    before = sum(shares.values())
    if not before:
        return dict(shares)
    floors = {name: share * total // before for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: (-(shares[name] * total % before), name))
    for name in by_remainder[: total - sum(floors.values())]:
        floors[name] += 1
    return floors


def parse_share(text: str) -> int:
    """Return basis points from `10%`, `2.5%` or `250bp`.

    Raises: TrafficInvalidError.
    """
    share_bp = _basis_points(text)
    if share_bp is None or share_bp > BP_FULL:
        raise TrafficInvalidError(
            f"`{text[:40]}` is not a share.",
            why="a share is a percentage with at most two decimals, or whole basis points",
            fix="write it like `10%`, `2.5%` or `250bp`, between 0 and 100 %",
        )
    return share_bp


def _basis_points(text: str) -> int | None:
    if percentage := PERCENTAGE.fullmatch(text):
        whole, decimals = percentage.groups(default="")
        return int(whole) * BP_PER_PERCENT + int(decimals.ljust(2, "0"))
    if basis_points := BASIS_POINTS.fullmatch(text):
        return int(basis_points[1])
    return None


def percent(share_bp: int) -> str:
    """Return a share as people read it."""
    return f"{share_bp / BP_PER_PERCENT:g} %"


def describe(shares: Mapping[str, int]) -> str:
    """Return a traffic map as people read it."""
    parts = [f"`{name}` {percent(share)}" for name, share in shares.items() if share]
    return ", ".join(parts) or "no deployment"


def _moved(
    before: Endpoint, after: Endpoint, shares: Mapping[str, int], *, kind: ChangeKind, because: str
) -> TrafficDecision:
    moved = with_shares(after, shares)
    if moved.traffic != before.traffic and before.traffic:
        moved = replace(moved, past=(*before.past, tuple(before.traffic.items())))
    return TrafficDecision(endpoint=retired(moved), kind=kind, because=because)


def with_shares(endpoint: Endpoint, shares: Mapping[str, int]) -> Endpoint:
    """Return an endpoint with exactly these shares."""
    return replace(
        endpoint,
        deployments=tuple(
            _with_share(one, shares.get(one.name, 0)) for one in endpoint.deployments
        ),
    )


def _with_share(one: Deployment, share_bp: int) -> Deployment:
    return replace(one, share_bp=share_bp, withdrawn="" if share_bp else one.withdrawn)


def retired(endpoint: Endpoint) -> Endpoint:
    """Drop the deployments that neither serve nor stay warm, unless they are the newest.

    One in quarantine stays, so that it is known for what it is; one that is a shadow does too.
    """
    past = endpoint.past[-WARM_MAPS:]
    warm = {name for one in past for name, _ in one}
    warm |= {endpoint.shadow.deployment} if endpoint.shadow else set()
    newest = endpoint.deployments[-1:]
    kept = tuple(
        one
        for one in endpoint.deployments
        if one.share_bp or one.name in warm or one in newest or one.quarantined
    )
    return replace(endpoint, deployments=kept, past=past)


def _trials(endpoint: Endpoint, version: ModelVersion) -> int:
    """Return how often a version was deployed here after a quarantine, this time included."""
    known = [one for one in endpoint.deployments if one.package == version.package]
    return max((one.trial + bool(one.quarantined) for one in known), default=0)


def _refuse_quarantined(endpoint: Endpoint, shares: Mapping[str, int]) -> None:
    for one in endpoint.deployments:
        if one.quarantined and shares.get(one.name):
            raise QuarantinedError(
                f"`{one.name}` of `{endpoint.name}` is in quarantine.",
                why=one.quarantined,
                fix=f"correct the model and bring it up as a new version; to try this one again, "
                f"`servewell deploy {endpoint.name} {one.model}:{one.version}`",
            )


def _refuse_other_version(endpoint: Endpoint, version: ModelVersion, name: str) -> None:
    for one in endpoint.deployments:
        if one.name == name and one.package != version.package:
            raise DeploymentTakenError(
                f"`{endpoint.name}` has `{name}` already, and it serves {one.model}:{one.version}.",
                why="a deployment serves one model version for as long as it exists",
                fix="give the new one another name with `--name`",
            )


def _require(endpoint: Endpoint, name: str) -> None:
    if name not in {one.name for one in endpoint.deployments}:
        known = ", ".join(f"`{one.name}`" for one in endpoint.deployments) or "none yet"
        raise DeploymentMissingError(
            f"`{endpoint.name}` has no deployment `{name}`.",
            why=f"its deployments are: {known}",
            fix=f"`servewell endpoints show {endpoint.name}` lists them; "
            "`servewell deploy` makes one",
        )


def _check_share(name: str, share_bp: int) -> None:
    if not 0 <= share_bp <= BP_FULL:
        raise TrafficInvalidError(
            f"The share of `{name}` is {percent(share_bp)}.",
            why="a share lies between 0 and 100 %",
            fix="write it like `10%`",
        )
