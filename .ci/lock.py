"""Renew the locked versions: the constraints in pyproject.toml and requirements.lock.

Run by `just lock`. See docs/decisions/0002-lock.md for why there are two files and no uv.lock.
"""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = ROOT / "pyproject.toml"
LOCK = ROOT / "requirements.lock"
CONSTRAINTS = re.compile(r"constraint-dependencies = \[.*?\n\]\n", re.DOTALL)
EVERYTHING = ("--all-extras", "--all-groups", "--no-emit-project", "--no-header", "--no-annotate")


def main() -> None:
    """Resolve afresh, then write what was chosen in both places."""
    put("constraint-dependencies = [\n]\n")
    uv("lock", "--upgrade")
    pins = [line for line in uv("export", *EVERYTHING, "--no-hashes").splitlines() if line.strip()]
    put("constraint-dependencies = [\n" + "".join(f'  "{pin}",\n' for pin in pins) + "]\n")
    uv("lock")
    LOCK.write_text(uv("export", *EVERYTHING))


def put(block: str) -> None:
    """Replace the constraints in pyproject.toml."""
    PROJECT.write_text(CONSTRAINTS.sub(lambda _: block, PROJECT.read_text(), count=1))


def uv(*arguments: str) -> str:
    """Run uv in the root of the repository; return what it prints."""
    done = subprocess.run(
        ["uv", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


if __name__ == "__main__":
    main()
