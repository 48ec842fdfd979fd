"""What the platform reads from its surroundings, once, at the door."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from servewell.errors import ServewellError

SQLITE_FILE: Final = "servewell.db"


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
            "about": "Folder of everything that Servewell keeps: state, models, records, logs.",
        }
    )
    database_url: str = field(
        repr=False,
        metadata={
            "variable": "SERVEWELL_DATABASE_URL",
            "default": "`sqlite:///HOME/servewell.db`",
            "about": "SQLAlchemy URL of the state: `sqlite:///FILE` or "
            "`postgresql+psycopg://USER:PASSWORD@HOST/DATABASE`. It may hold a password, so it "
            "is read from the environment only and never shown.",
        },
    )


def read_settings(environment: Mapping[str, str], *, home: Path | None = None) -> Settings:
    """Return the settings, the `--home` flag before the environment before the defaults.

    Raises: SettingsError, naming the variable, what it held (never a password) and what may stand.
    """
    chosen = home or _home(environment)
    url = environment.get("SERVEWELL_DATABASE_URL", "")
    if url and url.partition("://")[0] not in ("sqlite", "postgresql+psycopg"):
        raise SettingsError(
            f"SERVEWELL_DATABASE_URL starts with `{url.partition('://')[0][:20]}`.",
            why="state is kept in SQLite or in PostgreSQL",
            fix="use `sqlite:///FILE` or `postgresql+psycopg://USER:PASSWORD@HOST/DATABASE`, "
            "or unset it for a file in the home folder",
        )
    home_absolute = chosen.expanduser().absolute()
    return Settings(
        home=home_absolute, database_url=url or f"sqlite:///{home_absolute / SQLITE_FILE}"
    )


def _home(environment: Mapping[str, str]) -> Path:
    if named := environment.get("SERVEWELL_HOME"):
        return Path(named)
    data = environment.get("XDG_DATA_HOME") or str(Path("~/.local/share").expanduser())
    return Path(data) / "servewell"
