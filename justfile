# Everything that CI runs is `just check`.

set shell := ["bash", "-euo", "pipefail", "-c"]

# What CI runs: style, types, architecture, tests with coverage.
check: style types architecture test

# Format and lint.
style:
    ruff format --check .
    ruff check .

# Strict types.
types:
    mypy

# Who may import whom.
architecture:
    lint-imports

# All tests, with coverage of every process.
test *ARGS:
    coverage erase
    coverage run -m pytest {{ ARGS }}
    # A process that a test killed may leave a file that cannot be read; the report is what judges.
    coverage combine -q || test -f .coverage
    coverage report --fail-under=85

# Renew the locked versions of all dependencies.
lock:
    python .ci/lock.py
