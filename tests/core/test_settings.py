"""What is read from the environment."""

from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.settings import Settings, SettingsError, read_settings

POSTGRES = "postgresql+psycopg://me:secret@db.example/state"


@pytest.mark.parametrize(
    ("environment", "home"),
    [
        pytest.param({"SERVEWELL_HOME": "/srv/a", "XDG_DATA_HOME": "/data"}, "/srv/a", id="named"),
        pytest.param({"XDG_DATA_HOME": "/data"}, "/data/servewell", id="xdg"),
        pytest.param({}, str(Path("~/.local/share/servewell").expanduser()), id="default"),
    ],
)
def test_home_comes_from_the_nearest_source(environment: dict[str, str], home: str) -> None:
    """Its own variable before the one of the desktop before the default; the flag before all."""
    assert read_settings(environment).home == Path(home)
    assert read_settings(environment, home=Path("/flag")).home == Path("/flag")


def test_a_relative_home_is_taken_from_here() -> None:
    """Every process of the platform sees the same folder, wherever it runs."""
    assert read_settings({"SERVEWELL_HOME": "state"}).home == Path("state").resolve()


def test_a_home_has_one_name(tmp_path: Path) -> None:
    """A link to it and a way around to it are the same home, with the same database."""
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "home")
    spellings = [tmp_path / "home", tmp_path / "link", tmp_path / "home" / ".." / "home"]
    assert len({read_settings({}, home=home) for home in spellings}) == 1


def test_a_home_behind_a_circle_of_links_is_not_a_traceback(tmp_path: Path) -> None:
    """A link that leads to itself is a fault of the setting, or of the disk when it is used."""
    (tmp_path / "link").symlink_to(tmp_path / "link")
    with suppress(SettingsError):
        read_settings({}, home=tmp_path / "link")


def test_state_is_a_file_in_the_home_unless_a_url_is_set() -> None:
    """SQLite needs no setting; PostgreSQL is one URL."""
    assert read_settings({}, home=Path("/h")).database_url == "sqlite:////h/servewell.db"
    assert read_settings({"SERVEWELL_DATABASE_URL": POSTGRES}).database_url == POSTGRES


@pytest.mark.parametrize(
    "url", ["mysql://me:secret@db/x", "me:secret@db", "sqlite://", "sqlite:///", "postgres+secret"]
)
def test_a_url_that_cannot_be_used_is_refused(url: str) -> None:
    """What may stand is said, and no password is repeated."""
    with pytest.raises(SettingsError) as caught:
        read_settings({"SERVEWELL_DATABASE_URL": url})
    assert "secret" not in str(caught.value)
    assert "sqlite:///FILE" in caught.value.fix


def test_a_home_of_nobody_is_refused() -> None:
    """A `~user` who does not exist is a fault of the setting, not a traceback."""
    with pytest.raises(SettingsError, match="cannot be found"):
        read_settings({"SERVEWELL_HOME": "~nobody-of-that-name/state"})


def test_settings_never_show_the_url() -> None:
    """A password does not reach a log by way of `repr`."""
    assert "secret" not in repr(read_settings({"SERVEWELL_DATABASE_URL": POSTGRES}))


@given(st.text(alphabet=st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])))
def test_any_url_gives_settings_or_an_error(url: str) -> None:
    """Whatever the variable holds, nothing but SettingsError is raised."""
    with suppress(SettingsError):
        assert read_settings({"SERVEWELL_DATABASE_URL": url}).database_url


def test_every_setting_says_what_it_is() -> None:
    """The reference page is made from this."""
    for setting in fields(Settings):
        assert set(setting.metadata) == {"variable", "default", "allowed", "about"}
