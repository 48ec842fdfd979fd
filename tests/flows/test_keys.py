"""Making, rotating and revoking keys, from the command to the snapshot."""

from pathlib import Path

import pytest

from servewell.cli.app import run
from servewell.core.catalog.key import Role
from servewell.core.security.access import key_digest
from servewell.core.security.api_key import format_key, key_id
from servewell.core.security.key_change import KeyRequest, KeyRetiredError
from servewell.flows.keys import (
    OPERATOR_KEY,
    PEPPER,
    create_key,
    operator_key,
    revoke_key,
    rotate_key,
)
from servewell.flows.platform import Platform
from servewell.ports.keys import KeyMissingError
from servewell.wiring import open_platform

SITE = KeyRequest(principal="booking-site", endpoints=("flights",))


def granted(platform: Platform) -> set[str]:
    """Return the ids that workers accept."""
    snapshot = platform.snapshots.current()
    return {grant.id for grant in snapshot.grants} if snapshot else set()


def test_a_key_is_good_at_once_and_kept_as_a_digest(platform: Platform) -> None:
    """The snapshot grants it, and nothing that is kept holds the key."""
    issued = create_key(platform, SITE)
    assert granted(platform) == {issued.kept.id} == {key_id(issued.key)}
    kept = platform.keys.get(issued.kept.id)
    assert kept.digest == key_digest(issued.key, platform.secrets.get(PEPPER))
    assert issued.key not in repr(kept)
    assert issued.key not in repr(issued)


def test_rotation_overlaps(platform: Platform) -> None:
    """Both keys are granted; the old one has an end, the new one the same rights."""
    old = create_key(platform, SITE)
    new = rotate_key(platform, old.kept.id, overlap_s=3_600)
    assert granted(platform) == {old.kept.id, new.kept.id}
    retiring = platform.keys.get(old.kept.id)
    assert retiring.replaced_by == new.kept.id
    assert retiring.expires_at is not None
    assert (new.kept.endpoints, new.kept.role) == (("flights",), Role.INVOKER)


def test_rotation_without_overlap_ends_the_old_key(platform: Platform) -> None:
    """Nothing grants the old key any more."""
    old = create_key(platform, SITE)
    new = rotate_key(platform, old.kept.id, overlap_s=0)
    assert granted(platform) == {new.kept.id}


def test_a_revoked_key_is_gone_for_good(platform: Platform) -> None:
    """It leaves the snapshot, and neither rotation nor another revocation brings it back."""
    issued = create_key(platform, SITE)
    revoke_key(platform, issued.kept.id)
    assert granted(platform) == set()
    with pytest.raises(KeyRetiredError):
        rotate_key(platform, issued.kept.id, overlap_s=60)
    with pytest.raises(KeyRetiredError):
        revoke_key(platform, issued.kept.id)


def test_an_expired_key_is_not_granted(platform: Platform) -> None:
    """A lifetime that is over at once grants nothing."""
    create_key(platform, KeyRequest(principal="late", lifetime_s=0.0))
    assert granted(platform) == set()


def test_a_dry_run_keeps_nothing(platform: Platform) -> None:
    """No key comes to be, none ends."""
    issued = create_key(platform, SITE)
    before = platform.keys.list()
    create_key(platform, SITE, dry_run=True)
    rotate_key(platform, issued.kept.id, overlap_s=60, dry_run=True)
    revoke_key(platform, issued.kept.id, dry_run=True)
    assert platform.keys.list() == before


def test_unknown_keys_are_named(platform: Platform) -> None:
    """A key that does not exist is an error with a next step."""
    with pytest.raises(KeyMissingError):
        revoke_key(platform, "nothing")


def test_the_operator_key_is_one(platform: Platform) -> None:
    """However often it is asked for, there is one key, known to the state."""
    first = operator_key(platform)
    assert operator_key(platform) == first
    assert [key.role for key in platform.keys.list()] == [Role.OPERATOR]


def test_a_kept_operator_key_is_made_known(platform: Platform) -> None:
    """A key that a killed command kept, and had not yet put in the state, is put there."""
    key = format_key(id_entropy=bytes(8), secret_entropy=bytes(32))
    platform.secrets.put(OPERATOR_KEY, key.encode())
    assert operator_key(platform) == key
    assert [one.id for one in platform.keys.list()] == [key_id(key)]


def test_an_operator_key_that_has_ended_is_replaced(platform: Platform) -> None:
    """After its revocation the command line gets another one, and after its rotation the new."""
    first = operator_key(platform)
    revoke_key(platform, key_id(first) or "")
    second = operator_key(platform)
    assert second != first
    rotated = rotate_key(platform, key_id(second) or "", overlap_s=60)
    assert operator_key(platform) == rotated.key


def test_the_list_tells_what_a_key_is_held_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own rates, quotas and priority stand in the table in a few words, or nothing does."""
    home = ("--home", str(tmp_path / "home"))
    words = ("--requests-per-s", "2.5", "--rows-per-day", "10000", "--priority", "low")
    assert run(open_platform, ["keys", "create", "site", "--every-endpoint", *words, *home]) == 0
    assert run(open_platform, ["keys", "create", "free", "--every-endpoint", *home]) == 0
    capsys.readouterr()
    assert run(open_platform, ["keys", "list", *home]) == 0
    lines = capsys.readouterr().out.splitlines()
    (site,) = (line for line in lines if "site" in line)
    (free,) = (line for line in lines if "free" in line)
    assert "2.5 req/s, 10,000 rows/day, low priority" in site
    assert " - " in free
