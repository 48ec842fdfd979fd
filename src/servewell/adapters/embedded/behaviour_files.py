"""Files of behaviour tests: rows in YAML, CSV or Parquet."""

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from servewell.adapters.embedded.yaml_tree import read_tree
from servewell.core.catalog.behaviour import BehaviourTest
from servewell.core.catalog.behaviour_rules import examined
from servewell.core.catalog.signature import Datatype, Signature
from servewell.ports.evaluator import BehaviourFileError

FILE_BYTES_MAX: Final = 4 << 20
PARTS: Final = ("row", "change")  # what stands before the name of an input, in a table
FAULTS_MAX: Final = 20


def read_behaviours(path: Path, signature: Signature) -> tuple[BehaviourTest, ...]:
    """Read the tests of a file.

    Raises: BehaviourFileError, with every fault.
    """
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise _faulty(path, [f"found a larger file; allowed: {FILE_BYTES_MAX:,} bytes"])
        rows = _rows(path, signature)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise _faulty(path, [f"it cannot be read: {error}"]) from error
    tests, faults = examined(rows, signature)
    if faults:
        raise _faulty(path, list(faults))
    return tests


def _rows(path: Path, signature: Signature) -> list[object]:
    match path.suffix.lower():
        case ".yaml" | ".yml":
            return _of_yaml(path)
        case ".csv":
            return [_nested(one) for one in _of_csv(path, signature).to_pylist()]
        case ".parquet":
            return [_nested(one) for one in pq.read_table(path).to_pylist()]
        case _:
            raise _faulty(path, ["its name ends in none of .yaml, .yml, .csv and .parquet"])


def _of_yaml(path: Path) -> list[object]:
    tree = read_tree(path.read_text(encoding="utf-8-sig"))
    faults = [
        f"line {one.place.line}: found {one.found}; allowed: {one.allowed}" for one in tree.faults
    ]
    if not faults and not isinstance(tree.data, list):
        faults = ["found no list; allowed: a list of tests, each of which begins with `- `"]
    if faults:
        raise _faulty(path, faults)
    return list(tree.data) if isinstance(tree.data, list) else []


def _of_csv(path: Path, signature: Signature) -> pa.Table:
    """Read a CSV; a column of a text input holds texts, whatever they look like."""
    texts = {one.name for one in signature.inputs if one.datatype is Datatype.BYTES}
    kinds = {f"{part}.{name}": pa.string() for part in PARTS for name in texts}
    options = pa_csv.ConvertOptions(
        column_types={**kinds, "name": pa.string(), "expect": pa.string()},
        strings_can_be_null=True,
    )
    return pa_csv.read_csv(path, convert_options=options)


def _nested(row: dict[str, Any]) -> dict[str, object]:
    """Return a row of a table as YAML would hold it; a cell that is empty says nothing."""
    nested: dict[str, Any] = {part: {} for part in PARTS}
    for name, value in row.items():
        part, _, inner = name.partition(".")
        if value is None:
            continue
        if inner and part in PARTS:
            nested[part][inner] = value
        else:
            nested[name] = value
    return nested


def _faulty(path: Path, faults: list[str]) -> BehaviourFileError:
    count = "one fault" if len(faults) == 1 else f"{len(faults):,} faults"
    told = "".join(f"\n    {one}" for one in faults[:FAULTS_MAX])
    more = f"\n    and {len(faults) - FAULTS_MAX:,} more" if len(faults) > FAULTS_MAX else ""
    return BehaviourFileError(
        f"The behaviour tests in `{path.name}` have {count}.",
        why=f"this was found, and that is allowed:{told}{more}",
        fix="mend what is named, then judge the version again",
    )
