"""What must hold between the keys below `data` in a workload file."""

from collections.abc import Iterator
from typing import Any

from servewell.core.catalog.breach import Breach


def row_breaches(data: Any) -> Iterator[Breach]:  # noqa: ANN401  # as it was written
    """Yield what is wrong with where the rows are said to come from."""
    if not isinstance(data, dict):
        return
    if "path" not in data and "dataset" not in data:
        yield Breach(
            path=("data", "path"),
            found="nothing: the key is missing",
            allowed="a file with rows as `path`, or the name of a dataset as `dataset`",
            missing=True,
        )
    for other in ("path", "step"):
        if "dataset" in data and other in data:
            yield Breach(
                path=("data", "dataset"),
                found=f"both `{other}` and `dataset`",
                allowed="one of them",
                hint="`path` names a file, `dataset` rows that `servewell data add` keeps",
                on_key=True,
            )
