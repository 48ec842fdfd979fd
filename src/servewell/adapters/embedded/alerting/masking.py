"""What a receiver answers, without the secrets that it may repeat."""

from collections.abc import Container, Iterable
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

MASK: Final = "…"
PART_MIN: Final = 8  # characters: shorter parts of an address are words, and no secrets


def secrets_of(secret: str, referred: str) -> tuple[str, ...]:
    """Return what is masked: a secret, and an address that was referred to, whole and in parts.

    A receiver that has no such page says so by the path alone, or by a piece of it.
    """
    return tuple(
        sorted({one for one in (secret, *_of_address(referred)) if one}, key=len, reverse=True)
    )


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return a text without the secrets; `secrets` has the longest first."""
    for one in secrets:
        text = text.replace(one, MASK)
    return text


def said(text: str, *, secrets: Iterable[str], known: Container[str] | None) -> str:
    """Return what of an answer is said: with `known` only what is one of them."""
    clean = masked(text, secrets)
    return clean if known is None or clean.strip() in known else ""


def _of_address(address: str) -> set[str]:
    try:
        parts = urlsplit(address)
    except ValueError:  # nothing is sent to it
        return {address}
    pieces = [*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
    pieces += [one.partition("=")[2] for one in parts.query.split("&")]
    long = {parts.path.strip("/"), parts.query, *pieces}
    found = {one for one in long if len(one) >= PART_MIN}
    return {address, *found, *(unquote(one) for one in (address, *found))}
