"""Code in a folder of this machine."""

from pathlib import Path
from typing import Final

from servewell.adapters.embedded.source_files import source_files
from servewell.adapters.embedded.trainer import git, unreadable

CHANGES_BYTES_MAX: Final = 4 << 20


class FolderSources:
    """`Sources` for a folder, in a git repository or in none."""

    def files(self, folder: Path, scripts: tuple[Path, ...]) -> dict[str, Path]:
        """See `Sources.files`."""
        found: dict[str, Path] = {}
        for script in scripts:
            try:
                found |= {one.relative_to(folder).as_posix(): one for one in source_files(script)}
            except OSError as error:
                raise unreadable(script, error) from error
        return dict(sorted(found.items()))

    def changes(self, folder: Path) -> bytes:
        """See `Sources.changes`."""
        told = git(
            folder, "diff", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD", "--", "."
        )
        written = f"{told}\n".encode("utf-8", "replace") if told else b""
        return written if len(written) <= CHANGES_BYTES_MAX else b""
