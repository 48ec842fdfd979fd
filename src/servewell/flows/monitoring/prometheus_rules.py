"""The rules and the scrape configuration that Prometheus is given for a home."""

from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.prometheus_rule import PrometheusGroup
from servewell.core.reliability.objective import objectives_of
from servewell.core.reliability.prometheus_rules import endpoint_groups, home_group
from servewell.core.reliability.prometheus_scrape import ScrapeFiles, scrape_config
from servewell.flows.monitoring.objective_events import rules_of
from servewell.flows.platform import Platform
from servewell.ports.fleet import NotServingError


def prometheus_groups(platform: Platform, endpoint: str | None) -> tuple[PrometheusGroup, ...]:
    """Return the rules of one endpoint, or of all, and those of the home.

    Raises: EndpointMissingError, StateUnavailableError.
    """
    endpoints = platform.endpoints
    found = endpoints.list() if endpoint is None else [endpoints.get(endpoint)]
    groups = [group for one in found for group in _groups(platform, one)]
    return (*groups, home_group())


def _groups(platform: Platform, endpoint: Endpoint) -> tuple[PrometheusGroup, ...]:
    latency_ms = endpoint.policy.latency_objective_ms
    objectives = objectives_of(endpoint.name, rules_of(platform, endpoint), latency_ms=latency_ms)
    return endpoint_groups(endpoint.name, objectives, latency_ms=latency_ms)


def scrape(platform: Platform, files: ScrapeFiles) -> dict[str, object]:
    """Return the configuration by which Prometheus reads what this home tells.

    Raises: NotServingError.
    """
    plan = platform.fleet.state().plan
    if plan is None:
        raise NotServingError(
            "There is nothing to scrape.",
            why="this home has not been brought up, so it has no address",
            fix="bring it up with `servewell up FOLDER`, then ask again",
        )
    return scrape_config(plan.origin, plan.tls, files)
