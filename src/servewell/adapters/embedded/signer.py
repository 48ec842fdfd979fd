"""Ed25519 signatures with the key of this home. Source: RFC 8032."""

from functools import cached_property
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from servewell.ports.secrets import Secrets
from servewell.ports.storage import StorageError

SECRET_NAME: Final = "signing"  # noqa: S105  (the name of the secret, not the secret)
SEED_BYTES: Final = 32


class HomeSigner:
    """`Signer` whose private seed is the secret `signing` of this home."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def sign(self, data: bytes) -> bytes:
        """See `Signer.sign`."""
        return self._key.sign(data)

    def verify(self, data: bytes, signature: bytes) -> bool:
        """See `Signer.verify`. Makes no key: without one, nothing was ever signed."""
        if self._secrets.find(SECRET_NAME) is None:
            return False
        try:
            self._key.public_key().verify(signature, data)
        except InvalidSignature:
            return False
        return True

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        seed = self._secrets.get(SECRET_NAME)
        if len(seed) != SEED_BYTES:
            raise StorageError(
                f"The secret `{SECRET_NAME}` of this home cannot sign.",
                why=f"it has {len(seed)} bytes, and an Ed25519 seed has {SEED_BYTES}",
                fix="restore it from a backup; or remove it, and run `servewell up` again",
            )
        return Ed25519PrivateKey.from_private_bytes(seed)
