"""Which Python files a script runs, as far as its text tells."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# Who uses these may load any file, by a name that only the run knows.
OPAQUE_MODULES: Final = frozenset({"importlib", "runpy", "pkgutil", "imp"})
OPAQUE_CALLS: Final = frozenset({"__import__", "exec", "eval", "compile"})


def source_files(script: Path) -> tuple[Path, ...]:
    """Return a script and the files below its folder that it imports, also through others.

    Where its text does not tell, because it loads modules by names made at run time, changes
    `sys.path` or is no Python, these are all `*.py` files below the folder. Of a package that is
    imported these are all of its files. Hidden folders are left out.

    Raises: OSError where a file cannot be read.
    """
    found: dict[Path, None] = {script: None}
    waiting = [script]
    while waiting:
        imported = _imported(waiting.pop())
        if imported is None:
            return (script, *(one for one in _below(script.parent) if one != script))
        for name in sorted(imported):
            new = [one for one in _files_of(script.parent, name) if one not in found]
            found |= dict.fromkeys(new)
            waiting += new
    return (script, *sorted(one for one in found if one != script))


def _imported(path: Path) -> set[str] | None:
    """Return the first parts of the names of the modules that a file imports; None if unknown."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return None
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                names |= {one.name.partition(".")[0] for one in node.names}
            case ast.ImportFrom(module=str(module), level=0):
                names.add(module.partition(".")[0])
            case ast.Call(func=ast.Name(id=called)) if called in OPAQUE_CALLS:
                return None
            case ast.Attribute(value=ast.Name(id="sys"), attr="path"):
                return None
            case _:
                pass
    return None if names & OPAQUE_MODULES else names


def _files_of(folder: Path, name: str) -> Iterator[Path]:
    """Yield the files of a module or package of that name beside the script."""
    module = folder / f"{name}.py"
    if module.is_file():
        yield module
    if (folder / name).is_dir():
        yield from _below(folder / name)


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.py")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield path
