"""The house style that no linter knows."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "servewell"
METHODS_MAX = 7
SCREEN_LINES = 30
BADGES_MAX = 3
LINKS_MIN = 4
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "impl", "misc"}
# Said in pieces, so that this file does not hold what it looks for.
HOSTS = ("pypi" + ".org", "python" + "hosted.org", "anaconda" + ".org")
PLACES = ("/wo" + "rk/", "/ro" + "ot/")


def tracked() -> list[Path]:
    """Return the files of the repository that exist, whether committed yet or not."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in names.splitlines() if (path := ROOT / name).is_file()]


def parsed(file: Path) -> ast.Module:
    """Return the syntax of a module."""
    return ast.parse(file.read_text())


@pytest.mark.parametrize("port", sorted((SOURCE / "ports").glob("[!_]*.py")), ids=lambda p: p.stem)
def test_every_port_has_a_contract(port: Path) -> None:
    """A port without a shared test suite is a promise nobody checks."""
    protocols = [one for one in ast.walk(parsed(port)) if _is_protocol(one)]
    if protocols:  # a file of errors alone promises nothing
        assert (ROOT / "tests" / "ports" / f"test_{port.stem}.py").exists()


@pytest.mark.parametrize("port", sorted((SOURCE / "ports").glob("[!_]*.py")), ids=lambda p: p.stem)
def test_no_port_is_wide(port: Path) -> None:
    """A port of more than seven methods is two ports."""
    for one in ast.walk(parsed(port)):
        if isinstance(one, ast.ClassDef) and _is_protocol(one):
            methods = [part for part in one.body if isinstance(part, ast.FunctionDef)]
            assert len(methods) <= METHODS_MAX, one.name


@pytest.mark.parametrize(
    "package",
    sorted(one for one in SOURCE.rglob("*") if one.is_dir() and any(one.glob("*.py"))),
    ids=lambda p: str(p.relative_to(SOURCE)),
)
def test_every_folder_says_what_belongs_in_it(package: Path) -> None:
    """A folder opens with a sentence; the programs that Alembic runs are no package."""
    if "migrations" not in package.parts:
        assert ast.get_docstring(parsed(package / "__init__.py"))


def test_every_error_has_a_code_of_its_own() -> None:
    """One code, one meaning. A class that others extend gathers them, and is never raised."""
    classes = [
        one
        for file in sorted(SOURCE.rglob("*.py"))
        for one in ast.walk(parsed(file))
        if isinstance(one, ast.ClassDef) and one.name.endswith("Error")
    ]
    extended = {base.id for one in classes for base in one.bases if isinstance(base, ast.Name)}
    assert "ServewellError" in extended
    names: dict[str, str] = {}
    for one in classes:
        for code in () if one.name in extended else _codes(one):
            assert code not in names, f"{one.name} and {names[code]} are both {code}"
            # Only what nothing foresaw has no family; every other error belongs to one.
            pattern = "SW-001" if one.name == "UnexpectedError" else r"SW-[1-5][0-9]{2}"
            assert re.fullmatch(pattern, code), one.name
            names[code] = one.name


def test_nothing_is_mocked() -> None:
    """The embedded adapters are the doubles; a mock proves that a test agrees with itself."""
    for file in tracked():
        if file.suffix == ".py":
            for one in ast.walk(parsed(file)):
                assert not (isinstance(one, ast.ImportFrom) and one.module == "unittest.mock"), file
                names = [name.name for name in one.names] if isinstance(one, ast.Import) else []
                assert "unittest.mock" not in names, file


def test_no_name_says_nothing() -> None:
    """A module or class is named after what it is."""
    for file in SOURCE.rglob("*.py"):
        assert not BANNED_NAMES & set(file.stem.split("_")), file
        for one in ast.walk(parsed(file)):
            if isinstance(one, ast.ClassDef):
                words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+", one.name)}
                assert not BANNED_NAMES & words, f"{file}: {one.name}"


def test_nothing_names_a_registry_or_a_machine() -> None:
    """People install from mirrors, and work in folders of their own."""
    for file in tracked():
        text = file.read_bytes().decode(errors="ignore")
        for word in (*HOSTS, *PLACES):
            assert word not in text, f"{file.relative_to(ROOT)} names {word}"


def test_the_first_screen_of_the_readme_says_it_all() -> None:
    """What comes before the first heading: a session that ends in a rollback, and four links."""
    screen, *sections = (ROOT / "README.md").read_text().split("\n## ")
    assert len(screen.splitlines()) <= SCREEN_LINES
    assert screen.index("servewell up") < screen.index("servewell rollback")
    assert len(re.findall(r"(?<!!)\[[^\]]+\]\([^)]+\)", screen)) >= LINKS_MIN
    assert screen.count("![") <= BADGES_MAX
    assert "What it is not" in [section.partition("\n")[0] for section in sections]


def _is_protocol(one: ast.AST) -> bool:
    return isinstance(one, ast.ClassDef) and any(
        isinstance(parent, ast.Name) and parent.id == "Protocol" for parent in one.bases
    )


def _codes(one: ast.ClassDef) -> list[str]:
    """Return the code that a class sets for itself."""
    values = []
    for part in one.body:
        targets = part.targets if isinstance(part, ast.Assign) else [getattr(part, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "code" for target in targets):
            values.append(ast.literal_eval(part.value))
    return values
