"""What is the same in runs, and what differs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff

from servewell.core.catalog.dataset import DatasetVersion
from servewell.core.catalog.model import Parameter
from servewell.core.catalog.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One parameter, metric or fact of several runs; None where a run has none."""

    kind: str  # parameter, metric or fact
    name: str
    values: tuple[Parameter, ...]  # in the order of the runs

    @property
    def differs(self) -> bool:
        """Whether two of the runs disagree."""
        return len({repr(value) for value in self.values}) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDiff:
    """What changed from one run to another."""

    code: tuple[str, ...]  # lines of a unified diff
    environment: tuple[str, ...]  # lines of locks: `-` was, `+` is
    data: tuple[str, ...]  # sentences
    parameters: tuple[Compared, ...]  # those that differ


def compare(runs: tuple[Run, ...]) -> tuple[Compared, ...]:
    """Return facts, parameters and metrics of runs side by side, each kind sorted by name."""
    return (*_facts(runs), *_named("parameter", runs), *_named("metric", runs))


def diff_files(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """Return what differs between two sets of files, by name, as a unified diff."""
    lines: list[str] = []
    for name in sorted({*old, *new}):
        lines += unified_diff(
            old.get(name, "").splitlines(),
            new.get(name, "").splitlines(),
            fromfile=f"a/{name}" if name in old else "/dev/null",
            tofile=f"b/{name}" if name in new else "/dev/null",
            lineterm="",
        )
    return tuple(lines)


def diff_locks(old: str, new: str) -> tuple[str, ...]:
    """Return the lines of two locks that only one of them has, the packages in order."""
    before, after = set(old.splitlines()), set(new.splitlines())
    changed = [(line, "-") for line in before - after] + [(line, "+") for line in after - before]
    ordered = sorted(changed, key=lambda one: (one[0].split("==")[0], one[1] == "+"))
    return tuple(f"{mark} {line}" for line, mark in ordered)


def diff_data(old: DatasetVersion | None, new: DatasetVersion | None) -> tuple[str, ...]:
    """Say in sentences how the data of two runs differ; nothing where they are the same."""
    if old is None or new is None:
        return () if old is new else (f"{_name(old)} became {_name(new)}",)
    if old.digest == new.digest:
        return ()
    return (
        f"{old.name}:{old.number} became {new.name}:{new.number}",
        *(() if old.rows == new.rows else (f"{old.rows:,} rows became {new.rows:,}",)),
        *_columns(old, new),
    )


def _columns(old: DatasetVersion, new: DatasetVersion) -> Iterator[str]:
    before = {one.name: one for one in old.columns}
    after = {one.name: one for one in new.columns}
    for name in sorted({*before, *after}):
        one, other = before.get(name), after.get(name)
        if one is None and other is not None:
            yield f"the column `{name}` ({other.type}) is new"
        elif other is None and one is not None:
            yield f"the column `{name}` ({one.type}) is gone"
        elif one is not None and other is not None and one.type != other.type:
            yield f"the column `{name}` was {one.type} and is {other.type}"


def _name(dataset: DatasetVersion | None) -> str:
    return f"{dataset.name}:{dataset.number}" if dataset else "no data"


def _facts(runs: tuple[Run, ...]) -> Iterator[Compared]:
    facts: dict[str, list[str | None]] = {
        "workload": [run.workload for run in runs],
        "state": [run.state.value for run in runs],
        "data": [run.dataset for run in runs],
        "code": [run.code_digest[:12] for run in runs],
        "commit": [_commit(run) for run in runs],
        "environment": [run.environment_digest[:12] for run in runs],
        "version": [run.model_version for run in runs],
    }
    for name, values in facts.items():
        yield Compared(kind="fact", name=name, values=tuple(values))


def _commit(run: Run) -> str | None:
    return f"{run.commit[:12]}{' with changes' if run.dirty else ''}" if run.commit else None


def _named(kind: str, runs: tuple[Run, ...]) -> Iterator[Compared]:
    held: list[Mapping[str, Parameter]] = [
        run.parameters if kind == "parameter" else dict(run.metrics) for run in runs
    ]
    for name in sorted({name for one in held for name in one}):
        yield Compared(kind=kind, name=name, values=tuple(one.get(name) for one in held))
