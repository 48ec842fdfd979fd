"""Running a fuzzer of `tests/fuzz` for a few seconds."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

FUZZERS = Path(__file__).parents[1] / "fuzz"
SECONDS = 3


def fuzz(name: str, seeds: Mapping[str, bytes], folder: Path) -> None:
    """Run `tests/fuzz/NAME` from these seeds; what it finds, or that it did not run, fails."""
    corpus = folder / "corpus"
    corpus.mkdir()
    for seed, content in seeds.items():
        (corpus / seed).write_bytes(content)
    done = subprocess.run(
        [sys.executable, FUZZERS / name, corpus, f"-max_total_time={SECONDS}",
         "-rss_limit_mb=1024", "-max_len=4096", "-timeout=5"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4_000:]
    assert "Done " in done.stderr
