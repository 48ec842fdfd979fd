"""How Prometheus is told to read the metrics of a home."""

from dataclasses import dataclass

from servewell.core.catalog.tls import Clients, TlsFiles
from servewell.core.reliability.prometheus_rules import JOB


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeFiles:
    """The files that Prometheus reads, where it runs."""

    key: str  # of an operator
    rules: str
    authority: str | None = None  # PEM; None for the home's own, where that signed
    certificate: str | None = None  # PEM, with its key: what Prometheus shows


def scrape_config(origin: str, tls: TlsFiles | None, files: ScrapeFiles) -> dict[str, object]:
    """Return the configuration. The key is in no part of it: it stays in its file.

    `origin` is scheme, host and port. Raises: nothing.
    """
    scheme, _, target = origin.partition("://")
    job: dict[str, object] = {
        "job_name": JOB,
        "scheme": scheme,
        "authorization": {"type": "Bearer", "credentials_file": files.key},
        "static_configs": [{"targets": [target]}],
    }
    if trusted := _trusted(tls, files):
        job["tls_config"] = trusted
    return {"rule_files": [files.rules], "scrape_configs": [job]}


def _trusted(tls: TlsFiles | None, files: ScrapeFiles) -> dict[str, str]:
    if tls is None:
        return {}
    shown = files.certificate or (tls.operator if tls.clients is Clients.REQUIRED else "")
    parts = {
        "ca_file": files.authority or tls.authority,
        "cert_file": shown,
        "key_file": shown,
    }
    return {name: file for name, file in parts.items() if file}
