"""The seal of a snapshot."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.endpoint import Deployment, Endpoint, EndpointPolicy
from servewell.core.catalog.key import Grant
from servewell.core.catalog.snapshot import Snapshot, SnapshotCorruptError, seal, unseal

HOME, OTHER_HOME = b"the key of this home", b"the key of another"
SIGNATURE_BYTES = 64  # an Ed25519 signature is as long, and base 64 leaves bits of it unused

snapshots = st.builds(
    Snapshot,
    version=st.integers(0, 2**53),
    created_at=st.floats(0, 1e10),
    endpoints=st.lists(
        st.builds(
            Endpoint,
            name=st.text(max_size=5),
            workload=st.just("w"),
            deployments=st.lists(
                st.builds(Deployment, share_bp=st.integers(0, 10_000)), max_size=2
            ).map(tuple),
            policy=st.builds(EndpointPolicy),
        ),
        max_size=2,
    ).map(tuple),
    grants=st.lists(st.builds(Grant), max_size=2).map(tuple),
)


def sign(data: bytes, key: bytes = HOME) -> bytes:
    """Return something as hard to guess as a signature, and as long."""
    return hmac.digest(key, data, "sha512")


def verify(data: bytes, signature: bytes) -> bool:
    """Whether `sign` made it, with the key of this home."""
    return len(signature) == SIGNATURE_BYTES and hmac.compare_digest(sign(data), signature)


@given(snapshots)
def test_what_was_sealed_is_what_is_read(snapshot: Snapshot) -> None:
    """Nothing is lost or rounded on the way to the workers."""
    assert unseal(seal(snapshot, sign), verify) == snapshot


@given(snapshots, st.data())
def test_any_changed_byte_is_refused(snapshot: Snapshot, data: st.DataObject) -> None:
    """Whatever byte the disk, or somebody, changes, in the seal or in the content."""
    sealed = bytearray(seal(snapshot, sign))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SnapshotCorruptError):
        unseal(bytes(sealed), verify)


def test_every_changed_bit_is_refused() -> None:
    """The same, for each bit of one snapshot, so that chance misses none."""
    sealed = seal(Snapshot(version=1, created_at=1.5), sign)
    for place in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[place] ^= 1 << bit
            with pytest.raises(SnapshotCorruptError):
                unseal(bytes(changed), verify)


@given(snapshots, st.data())
def test_a_part_or_more_than_the_whole_is_refused(snapshot: Snapshot, data: st.DataObject) -> None:
    """A file that was cut off, or that something was added to."""
    sealed = seal(snapshot, sign)
    cut = data.draw(st.integers(0, len(sealed) - 1))
    more = data.draw(st.binary(min_size=1, max_size=5))
    for changed in (sealed[:cut], sealed + more, more + sealed):
        with pytest.raises(SnapshotCorruptError):
            unseal(changed, verify)


@given(st.binary(max_size=300))
def test_any_bytes_may_be_there(data: bytes) -> None:
    """What is no snapshot is refused, with a next step, never by another exception."""
    with pytest.raises(SnapshotCorruptError) as caught:
        unseal(data, verify)
    assert "servewell up" in caught.value.fix


@given(snapshots)
def test_the_seal_of_another_home_is_refused(snapshot: Snapshot) -> None:
    """Well formed and unharmed, but not ours."""
    with pytest.raises(SnapshotCorruptError) as caught:
        unseal(seal(snapshot, lambda data: sign(data, OTHER_HOME)), verify)
    assert "key of this home" in caught.value.why


@pytest.mark.parametrize("body", [b"{}", b"[]", b"", b'{"version": "1", "created_at": 1}'])
def test_a_genuine_seal_on_other_content_is_refused(body: bytes) -> None:
    """What another release wrote is told as such."""
    sealed = seal(Snapshot(version=1, created_at=1.0), lambda _: sign(body))
    magic, _, signature = sealed.partition(b"\n")[0].rsplit(b" ", 2)
    digest = hashlib.sha256(body).hexdigest().encode()
    with pytest.raises(SnapshotCorruptError) as caught:
        unseal(b" ".join((magic, digest, signature)) + b"\n" + body, verify)
    assert "not what this release writes" in caught.value.why
