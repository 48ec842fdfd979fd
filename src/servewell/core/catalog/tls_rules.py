"""Rules between the keys below `serving.tls` of a workload."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from servewell.core.catalog.breach import Breach, Path, shown
from servewell.core.catalog.tls import is_loopback
from servewell.core.catalog.workload import Serving

PLACE: Final[Path] = ("serving", "tls")
OTHERWISE: Final = Serving()  # what holds for keys that are left out
FILES: Final = {
    "certificate": "a path to a certificate in PEM, with those that signed it below it",
    "key": "a path to its private key in PEM",
}


def tls_breaches(serving: Mapping[str, Any]) -> Iterator[Breach]:
    """Yield what is wrong between the keys of `serving.tls`, and between them and `host`."""
    tls = serving.get("tls")
    if not isinstance(tls, Mapping):
        return
    mode = tls.get("mode", OTHERWISE.tls.mode)
    yield from _off_is_private(mode, serving.get("host", OTHERWISE.host))
    yield from _files_are_named(mode, tls)
    yield from _clients_are_known(mode, tls)


def _off_is_private(mode: object, host: object) -> Iterator[Breach]:
    if mode == "off" and isinstance(host, str) and not is_loopback(host):
        yield Breach(
            path=(*PLACE, "mode"),
            found=f"`off`, while `serving.host` is {shown(host)}",
            allowed="`off` where `serving.host` is an address of this machine alone",
            hint="keys would travel over the network for everybody to read",
        )


def _files_are_named(mode: object, tls: Mapping[str, Any]) -> Iterator[Breach]:
    for name, allowed in FILES.items():
        if mode == "files" and name not in tls:
            found = "nothing: the key is missing"
            yield Breach(path=(*PLACE, name), found=found, allowed=allowed, missing=True)
        elif mode in ("self-made", "off") and name in tls:
            yield Breach(
                path=(*PLACE, name),
                found=f"a file that `mode: {mode}` does not read",
                allowed="it with `mode: files`",
                hint="write `mode: files`, or leave the key out",
                on_key=True,
            )


def _clients_are_known(mode: object, tls: Mapping[str, Any]) -> Iterator[Breach]:
    clients = tls.get("clients", OTHERWISE.tls.clients)
    asked = clients in ("optional", "required")
    if asked and mode == "off":
        yield Breach(
            path=(*PLACE, "clients"),
            found=f"`{clients}` without TLS",
            allowed="`none` with `mode: off`",
            hint="without TLS nobody can show a certificate",
        )
    elif asked and "client_ca" not in tls:
        yield Breach(
            path=(*PLACE, "client_ca"),
            found="nothing: the key is missing",
            allowed="a path to the certificates in PEM that sign those of callers",
            missing=True,
        )
    elif clients == "none" and "client_ca" in tls:
        yield Breach(
            path=(*PLACE, "client_ca"),
            found="who signs the certificates of callers, while nobody is asked for one",
            allowed="it with `clients: optional` or `clients: required`",
            on_key=True,
        )
