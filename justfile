# Everything that CI runs is `just check`.

set shell := ["bash", "-euo", "pipefail", "-c"]

# What CI runs: style, types, architecture, all tests.
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

# All tests.
test: covered journeys

# All tests but the journeys, with coverage of every process.
covered *ARGS:
    coverage erase
    coverage run -m pytest -n 2 --dist loadfile -m "not alone" --ignore=tests/journeys {{ ARGS }}
    coverage run -m pytest -m alone --ignore=tests/journeys {{ ARGS }}
    # A process that a test killed may leave a file that cannot be read; the report is what judges.
    coverage combine -q || test -f .coverage
    coverage report --fail-under=85

# What a person does from end to end, at the speed at which a person meets it: without coverage.
journeys *ARGS:
    pytest tests/journeys {{ ARGS }}

# Renew the locked versions of all dependencies.
lock:
    python .ci/lock.py
