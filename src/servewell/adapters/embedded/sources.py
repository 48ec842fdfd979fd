"""Code in a folder of this machine."""

from pathlib import Path
from typing import Final

from servewell.adapters.embedded.source_files import source_files
from servewell.adapters.embedded.trainer import git, unreadable
from servewell.core.security.plain_secrets import FILES, without_secrets

CHANGES_CHARACTERS_MAX: Final = 4_000_000
FILES_NAMED: Final = 10
DIFF: Final = ("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--relative")
BUT: Final = ":(exclude,icase)"  # before a pattern of names
ANY: Final = ":(icase)"


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
        told = git(folder, *DIFF, "HEAD", "--", ".", *(f"{BUT}{one}" for one in FILES))
        hidden = git(folder, *DIFF, "--name-only", "HEAD", "--", *(f"{ANY}{one}" for one in FILES))
        whole = told or ""
        if len(whole) > CHANGES_CHARACTERS_MAX:
            kept, count = "", 0
            notes = [f"the changes are more than {CHANGES_CHARACTERS_MAX:,} characters"]
        else:
            kept, count = without_secrets(whole)
            notes = []
        if hidden:
            named = ", ".join(hidden.splitlines()[:FILES_NAMED])
            notes.append(f"files that may hold secrets, among them {named}")
        if count:
            notes.append(f"values that look like keys or passwords, {count} in all")
        lines = [f"# Left out: {note}." for note in notes]
        return "".join(f"{line}\n" for line in (*lines, kept) if line).encode("utf-8", "replace")
