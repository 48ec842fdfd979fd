"""What the platform reads from its surroundings, once, at the door."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from servewell.errors import ServewellError

SQLITE_FILE: Final = "servewell.db"
SCHEMES: Final = ("sqlite", "postgresql+psycopg")

# What one command reads for itself, when it runs, told as the fields of `Settings` are.
OF_COMMANDS: Final = (
    {
        "variable": "SERVEWELL_KEY",
        "default": "the operator key of the home, for what this home serves",
        "allowed": "an API key, `sw_…`",
        "about": "The key that `servewell predict` calls with. It is read from the environment "
        "only, so that it stands in no list of processes.",
    },
)


class SettingsError(ServewellError):
    """A setting has a value that cannot be used."""

    code = "SW-102"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where state lives."""

    home: Path = field(
        metadata={
            "variable": "SERVEWELL_HOME",
            "default": "`$XDG_DATA_HOME/servewell`, or `~/.local/share/servewell`",
            "allowed": "a folder that this user may write, or one that can be made",
            "about": "Folder of everything that Servewell keeps: state, models, records, logs. "
            "The flag `--home` comes before it.",
        }
    )
    database_url: str = field(
        repr=False,
        metadata={
            "variable": "SERVEWELL_DATABASE_URL",
            "default": "`sqlite:///HOME/servewell.db`",
            "allowed": "`sqlite:///FILE` or `postgresql+psycopg://USER:PASSWORD@HOST/DATABASE`",
            "about": "SQLAlchemy URL of the state. It may hold a password, so it is read from "
            "the environment only and never shown.",
        },
    )


def read_settings(environment: Mapping[str, str], *, home: Path | None = None) -> Settings:
    """Return the settings, the `--home` flag before the environment before the defaults.

    Raises: SettingsError, naming the variable, what it held (never a password) and what may stand.
    """
    chosen = _absolute(home or _home(environment))
    url = environment.get("SERVEWELL_DATABASE_URL", "").strip()
    scheme, separator, rest = url.partition("://")
    if url and (scheme not in SCHEMES or not rest.strip("/")):
        # Without its separator the text could be a password: it is not repeated.
        found = f"starts with `{scheme}://`" if separator and scheme.isalpha() else "is no URL"
        raise SettingsError(
            f"SERVEWELL_DATABASE_URL {found}, or names no database.",
            why="state is kept in an SQLite file or in PostgreSQL",
            fix="use `sqlite:///FILE` or `postgresql+psycopg://USER:PASSWORD@HOST/DATABASE`, "
            "or unset it for a file in the home folder",
        )
    return Settings(home=chosen, database_url=url or f"sqlite:///{chosen / SQLITE_FILE}")


def _home(environment: Mapping[str, str]) -> Path:
    if named := environment.get("SERVEWELL_HOME"):
        return Path(named)
    if data := environment.get("XDG_DATA_HOME"):
        return Path(data) / "servewell"
    return Path("~/.local/share/servewell")


def _absolute(home: Path) -> Path:
    try:
        # Two spellings of one folder must not become two homes: processes are found by its path.
        return home.expanduser().resolve()
    except (RuntimeError, OSError) as error:
        raise SettingsError(
            f"The home folder `{home}` cannot be found.",
            why=f"it does not lead to a folder of this machine ({error})",
            fix="name a folder by its whole path with `--home` or in SERVEWELL_HOME",
        ) from error
