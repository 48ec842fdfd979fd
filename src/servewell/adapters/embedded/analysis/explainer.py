"""`Explainer` by a process of this machine that reads the graph of the model."""

import shutil
import tempfile
from pathlib import Path

from servewell.adapters.embedded.analysis.attending import attended
from servewell.adapters.embedded.analysis.exchange import (
    WorkFiles,
    read_failure,
)
from servewell.adapters.embedded.atomic_file import ensure_folder, storage_faults
from servewell.adapters.embedded.job.launch import Ending
from servewell.adapters.embedded.json_files import read_told
from servewell.adapters.embedded.trainer import how_it_ended, last_words
from servewell.ports.explainer import ExplainJob, Explanation, NotExplainableError


class ProcessExplainer:
    """`Explainer`: each explanation a process, with a folder below `scratch` for its time."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch

    def explain(self, job: ExplainJob) -> Explanation:
        """See `Explainer.explain`."""
        with storage_faults(self._scratch):
            ensure_folder(self._scratch)
            folder = Path(tempfile.mkdtemp(prefix="explain-", dir=self._scratch))
            try:
                files = WorkFiles(folder)
                ending = attended(files, timeout_s=job.timeout_s, explain=job)
                told = read_told(files.result, Explanation) if ending.exit_code == 0 else None
                if told is None:
                    raise read_failure(files.failure) or _ended(job, ending, files)
                return told
            finally:
                shutil.rmtree(folder, ignore_errors=True)


def _ended(job: ExplainJob, ending: Ending, files: WorkFiles) -> NotExplainableError:
    why = how_it_ended(ending.exit_code) + last_words(files.log)
    return NotExplainableError(
        "The process that was to explain the answer ended before it had an explanation.",
        why=f"its time limit is {job.timeout_s:,.0f} s" if ending.timed_out else why,
        fix="`servewell trace` shows what is known of the request",
    )
