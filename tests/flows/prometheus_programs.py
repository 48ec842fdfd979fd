"""The real `promtool` and `prometheus`, where this machine has them."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PROMTOOL = os.environ.get("SERVEWELL_TEST_PROMTOOL") or shutil.which("promtool") or ""
PROMETHEUS = os.environ.get("SERVEWELL_TEST_PROMETHEUS") or shutil.which("prometheus") or ""
needs_promtool = pytest.mark.skipif(not PROMTOOL, reason="`promtool` is not on this machine")
needs_prometheus = pytest.mark.skipif(not PROMETHEUS, reason="`prometheus` is not on this machine")


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `promtool` to its end."""
    done = [PROMTOOL, *words]
    return subprocess.run(done, capture_output=True, text=True, timeout=60, check=False)


def fired(folder: Path, rules: dict[str, object], series: dict[str, str], at: str) -> set[str]:
    """Return the alerts of rules that fire after so long, as `Name/severity/endpoint`.

    `series` are values each minute in `promtool`'s way of writing. It says what it expected and
    what it got: it is made to expect nothing.
    """
    (folder / "rules.yml").write_text(json.dumps(rules))
    query = 'ALERTS{alertstate="firing"}'
    asked: dict[str, Any] = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": k, "values": v} for k, v in series.items()],
                "promql_expr_test": [{"expr": query, "eval_time": at, "exp_samples": []}],
            }
        ],
    }
    (folder / "tests.yml").write_text(json.dumps(asked))
    done = promtool("test", "rules", str(folder / "tests.yml"))
    return _alerts(done.stdout + done.stderr)


def _alerts(told: str) -> set[str]:
    """Return the alerts that `promtool` got, from what it says."""
    got = [line for line in told.splitlines() if "got:" in line]
    assert got or "SUCCESS" in told, told
    names = set()
    for one in re.findall(r"\{([^}]*)\}", "".join(got)):
        labels = dict(re.findall(r'(\w+)="([^"]*)"', one))
        names.add("/".join(labels.get(n, "") for n in ("alertname", "severity", "endpoint")))
    return names
