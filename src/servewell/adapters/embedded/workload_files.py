"""Workload files in YAML on the disk."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from servewell.adapters.embedded.yaml_tree import Place, Tree, TreeFault, place_of, read_tree
from servewell.core.catalog.breach import Breach, printable, shown
from servewell.core.catalog.breach import Path as KeyPath
from servewell.core.catalog.workload import FILE_NAME, Workload
from servewell.core.catalog.workload_rules import breaches, dotted, nearest
from servewell.ports.workload_files import Fault, WorkloadFaultsError

FILE_BYTES_MAX: Final = 1 << 20
NEIGHBOURS_MAX: Final = 1_000  # files of a folder that are compared with one that is missing
TOP: Final = Place(line=1, column=1)
PATH_KEYS: Final = (
    ("data", "path"),
    ("train", "script"),
    ("train", "requirements"),
    ("artifact", "path"),
    ("predictor", "script"),
    ("predictor", "requirements"),
    ("gates", "behaviour"),
)
FOLDERS: Final = ("mlflow", "pyfunc")  # formats that are folders


class YamlWorkloadFiles:
    """`WorkloadFiles` for YAML files on this machine."""

    def read(self, path: Path, overrides: tuple[str, ...] = ()) -> tuple[Workload, Path]:
        """See `WorkloadFiles.read`."""
        file = _file(path)
        tree = _tree(file)
        for override in overrides:
            _apply(override, tree)
        faults = (*_told(tree.faults), *_checked(tree, file.parent))
        if faults:
            raise _error(file, sorted(faults, key=_order))
        return msgspec.convert(tree.data, Workload), file.parent.absolute()


def _file(path: Path) -> Path:
    try:
        return path / FILE_NAME if path.is_dir() else path
    except OSError:  # as it is: reading it says what is wrong
        return path


def _tree(file: Path) -> Tree:
    """Return what the file holds; the root is broken where that is no mapping."""
    try:
        text = _text(file)
    except _UnreadableError as error:
        return Tree(data={}, faults=[error.fault], broken={()})
    tree = read_tree(text)
    if () not in tree.broken and not isinstance(tree.data, dict):
        empty = tree.data is None
        tree.faults.append(
            TreeFault(
                place=tree.values.get((), TOP),
                path=(),
                found="an empty file" if empty else shown(tree.data),
                allowed="keys with values",
                hint="start with `workload:` and a name",
            )
        )
        tree.broken.add(())
    return tree


class _UnreadableError(Exception):
    def __init__(self, place: Place, *, found: str, allowed: str, hint: str = "") -> None:
        super().__init__(found)
        self.fault = TreeFault(place=place, path=(), found=found, allowed=allowed, hint=hint)


def _text(file: Path) -> str:
    try:
        data = _bytes(file)
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
        raise _UnreadableError(TOP, found=found, allowed="a file that you may read") from error
    if len(data) > FILE_BYTES_MAX:
        limit = f"at most {FILE_BYTES_MAX:,} bytes"
        raise _UnreadableError(TOP, found="a larger file", allowed=limit)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", errors="replace")
        raise _UnreadableError(
            place_of(before, len(before)),
            found=f"the byte {data[error.start]:#04x}, which is not UTF-8",
            allowed="text in UTF-8",
            hint="save the file as UTF-8",
        ) from error


def _bytes(file: Path) -> bytes:
    if not file.is_file():
        others = (one for one in _neighbours(file) if one.endswith((".yaml", ".yml")))
        near = nearest(file.name, others)
        raise _UnreadableError(
            TOP,
            found="no such file",
            allowed=f"a workload file, or a folder with a `{FILE_NAME}`",
            hint=f"there is a `{near}`: name it, or rename it to `{FILE_NAME}`" if near else "",
        )
    with file.open("rb") as opened:
        return opened.read(FILE_BYTES_MAX + 1)


def _apply(override: str, tree: Tree) -> None:
    """Put the value of an override where its key says, with its faults."""
    name, equals, value = override.partition("=")
    path = _path(name.strip())
    if not equals or not all(path):
        place = Place(line=1, column=1, override=override)
        hint = "for example `serving.port=9000`"
        tree.faults.append(
            TreeFault(place=place, path=(), found="no key", allowed="`key=value`", hint=hint)
        )
        return
    if isinstance(parent := _parent(tree, path, override), dict):
        _forget(tree, path)
        parent[path[-1]] = _graft(tree, path, override=override, value=value)


def _path(name: str) -> tuple[str, ...]:
    """Split a dotted key; the name of an input may itself hold dots."""
    first, *steps = name.split(".")
    if first == "inputs" and len(steps) > 1:
        return first, ".".join(steps[:-1]), steps[-1]
    return first, *steps


def _parent(tree: Tree, path: tuple[str, ...], override: str) -> object:
    """Return what holds the key, made where it was not there; the file's fault where it cannot."""
    here: object = tree.data
    for depth, step in enumerate(path[:-1], start=1):
        if not isinstance(here, dict):
            return None
        if step not in here:
            here[step] = {}
            place = Place(line=1, column=1, override=override)
            tree.keys[path[:depth]] = tree.values[path[:depth]] = place
        here = here[step]
    return here


def _forget(tree: Tree, path: KeyPath) -> None:
    """Leave out what the file says of a value that is replaced."""

    def replaced(other: KeyPath) -> bool:
        return other[: len(path)] == path

    tree.faults = [one for one in tree.faults if one.on_key or not replaced(one.path)]
    tree.broken = {one for one in tree.broken if not replaced(one)}
    tree.keys = {one: place for one, place in tree.keys.items() if not replaced(one)}
    tree.values = {one: place for one, place in tree.values.items() if not replaced(one)}


def _graft(tree: Tree, path: KeyPath, *, override: str, value: str) -> object:
    new = read_tree(value)
    shift = len(override) - len(value)

    def moved(place: Place) -> Place:
        column = place.column + (shift if place.line == 1 else 0)
        return Place(line=place.line, column=column, override=override)

    tree.keys[path] = Place(line=1, column=1, override=override)
    tree.keys |= {(*path, *below): moved(place) for below, place in new.keys.items()}
    tree.values |= {(*path, *below): moved(place) for below, place in new.values.items()}
    tree.broken |= {(*path, *below) for below in new.broken}
    tree.faults += [
        replace(one, path=(*path, *one.path), place=moved(one.place)) for one in new.faults
    ]
    return new.data


def _told(faults: Iterable[TreeFault]) -> Iterator[Fault]:
    for one in faults:
        yield _fault(one.place, one.path, found=one.found, allowed=one.allowed, hint=one.hint)


def _checked(tree: Tree, folder: Path) -> Iterator[Fault]:
    """Give every rule that is broken its place, but where a fault of the text says it all."""
    data = tree.data if isinstance(tree.data, dict) else {}
    for one in (*breaches(data), *_paths_amiss(data, folder)):
        if not any(one.path[:depth] in tree.broken for depth in range(len(one.path) + 1)):
            place = _place(tree, one)
            yield _fault(place, one.path, found=one.found, allowed=one.allowed, hint=one.hint)


def _place(tree: Tree, breach: Breach) -> Place:
    if breach.missing:
        above = breach.path[:-1]
        return tree.keys.get(above) or tree.values.get(above, TOP)
    places = tree.keys if breach.on_key else tree.values
    return places.get(breach.path, TOP)


def _fault(place: Place, path: KeyPath, *, found: str, allowed: str, hint: str) -> Fault:
    return Fault(
        line=place.line,
        column=place.column,
        key=dotted(path),
        found=printable(found),
        allowed=allowed,
        hint=printable(hint),
        override=place.override,
    )


def _order(fault: Fault) -> tuple[str, int, int, str]:
    return fault.override, fault.line, fault.column, fault.key


def _paths_amiss(data: Mapping[str, Any], folder: Path) -> Iterator[Breach]:
    for section, key in PATH_KEYS:
        below = data.get(section)
        if isinstance(below, dict) and isinstance(written := below.get(key), str) and written:
            if section == "data" and "step" in below:
                continue  # the file is yet to be made
            model_folder = below.get("format") in FOLDERS
            yield from _amiss((section, key), written, folder, model_folder=model_folder)
    yield from _files_amiss(("predictor",), data.get("predictor"), folder)
    steps = data.get("steps")
    for name, step in (steps if isinstance(steps, dict) else {}).items():
        below = step if isinstance(step, dict) else {}
        for key in ("script", "requirements"):
            if isinstance(written := below.get(key), str) and written:
                yield from _amiss(("steps", name, key), written, folder, model_folder=False)
        yield from _files_amiss(("steps", name), step, folder)


def _files_amiss(path: KeyPath, below: object, folder: Path) -> Iterator[Breach]:
    files = below.get("files") if isinstance(below, dict) else None
    for place, written in enumerate(files if isinstance(files, list) else ()):
        if isinstance(written, str) and written and not _is_folder(written, folder):
            yield from _amiss((*path, "files", place), written, folder, model_folder=False)


def _is_folder(written: str, folder: Path) -> bool:
    target = (folder / written).resolve()
    return target.is_dir() and target.is_relative_to(folder.resolve())


def _amiss(path: KeyPath, written: str, folder: Path, *, model_folder: bool) -> Iterator[Breach]:
    if amiss := _path_amiss(written, folder, model_folder=model_folder):
        found, allowed, hint = amiss
        yield Breach(path=path, found=found, allowed=allowed, hint=hint)


def _path_amiss(written: str, folder: Path, *, model_folder: bool) -> tuple[str, str, str] | None:
    """Return what was found, what is allowed and a hint, or None where the path is good."""
    inside = "a path inside the folder of the workload file, relative to it"
    if Path(written).is_absolute():
        return f"{shown(written)}, an absolute path", inside, "start from the workload file"
    try:
        target = (folder / written).resolve(strict=True)
        if not target.is_relative_to(folder.resolve()):
            hint = "copy or move it into the folder"
            return f"{shown(written)}, which is outside the folder", inside, hint
        return _kind_amiss(target, written, model_folder=model_folder)
    except FileNotFoundError:
        near = nearest(Path(written).name, _neighbours(folder / written))
        hint = f"did you mean `{Path(written).with_name(near)}`?" if near else ""
        return f"{shown(written)}, which is not there", "a file that exists", hint
    except (OSError, RuntimeError) as error:  # a RuntimeError is a loop of symbolic links
        found = f"{shown(written)}, which cannot be read ({type(error).__name__})"
        return found, "a file that you may read", ""


def _kind_amiss(target: Path, written: str, *, model_folder: bool) -> tuple[str, str, str] | None:
    if model_folder:
        if (target / "MLmodel").is_file():
            return None
        hint = "`mlflow.<flavor>.save_model` writes such a folder"
        return f"{shown(written)}, without an `MLmodel` file", "the folder of an MLflow model", hint
    if target.is_dir():
        hint = "`format: mlflow` takes a folder" if (target / "MLmodel").is_file() else ""
        return f"{shown(written)}, which is a folder", "a file", hint
    if not target.is_file() or not os.access(target, os.R_OK):
        return f"{shown(written)}, which cannot be read", "a file that you may read", ""
    return None


def _neighbours(file: Path) -> list[str]:
    try:
        return sorted(one.name for one in islice(file.parent.iterdir(), NEIGHBOURS_MAX))
    except OSError:
        return []


def _error(file: Path, faults: list[Fault]) -> WorkloadFaultsError:
    name = printable(str(file))
    count = "one fault" if len(faults) == 1 else f"{len(faults)} faults"
    lines = "".join(f"\n    {_line(name, one)}" for one in faults)
    return WorkloadFaultsError(
        f"The workload `{name}` has {count}.",
        why=f"this was found, and that is allowed:{lines}",
        fix="mend what is named, then run the same command again",
        faults=tuple(faults),
    )


def _line(name: str, fault: Fault) -> str:
    source = f"--set {printable(fault.override)}" if fault.override else name
    key = f" {fault.key}" if fault.key else ""
    hint = f"; {fault.hint}" if fault.hint else ""
    where = f"{source}:{fault.line}:{fault.column}{key}"
    return f"{where}: found {fault.found}; allowed: {fault.allowed}{hint}"
