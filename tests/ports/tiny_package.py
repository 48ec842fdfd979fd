"""A package of one module, to be had from a folder alone."""

import base64
import hashlib
import zipfile
from pathlib import Path

NAME, VERSION = "tinyword", "1.2.3"


def wheel(folder: Path) -> None:
    """Write a package of one module, as a wheel."""
    about = f"{NAME}-{VERSION}.dist-info"
    files = {
        f"{NAME}.py": "WORD = 'hello'\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_digest(text)},{len(text)}\n" for name, text in files.items())
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{NAME}-{VERSION}-py3-none-any.whl", "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
        packed.writestr(f"{about}/RECORD", f"{record}{about}/RECORD,,\n")


def lock_of(folder: Path, version: str = VERSION) -> bytes:
    """Return a lock that takes packages from a folder alone."""
    return f"--no-index\n--find-links {folder}\n{NAME}=={version}  # ours\n".encode()


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
