"""Packages of predictors as folders: made into an archive once, laid out wherever one is run."""

import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from servewell.adapters.embedded.atomic_file import ensure_folder
from servewell.adapters.embedded.predictor.environments import python_of
from servewell.adapters.embedded.predictor.process import Process, not_started, started
from servewell.core.catalog.model import Predictor
from servewell.ports.predictors import (
    Array,
    Columns,
    PredictorLostError,
    PredictorRaisedError,
    PredictorSlowError,
)

FIRST_DATE: Final = (
    1980,
    1,
    1,
    0,
    0,
    0,
)  # the earliest of the format: the same files, the same zip


class ProcessPredictors:
    """`Predictors` for one machine: each a folder below `HOME/run` and a process in it."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def open(self, archive: Path, predictor: Predictor, *, log: str) -> "ProcessHost":
        """See `Predictors.open`."""
        python = None
        if predictor.environment:
            python = python_of(self._home / "environments" / predictor.environment)
            if python is None:
                raise not_started(
                    f"its environment {predictor.environment[:12]} is not in this home; "
                    "`servewell up` makes it again"
                )
        place, file = self._home / "run" / "predictors", f"predictor-{log}.log"
        return host_of(
            archive, predictor, place=place, python=python, log=self._home / "logs" / file
        )


def host_of(
    archive: Path, predictor: Predictor, *, place: Path, python: Path | None, log: Path
) -> "ProcessHost":
    """Return the predictor of an archive, laid out in a folder of its own at `place`.

    Raises: PredictorStartError.
    """
    try:
        ensure_folder(place)
        folder = Path(tempfile.mkdtemp(dir=place))
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise not_started(f"its package cannot be laid out: {error}") from error
    return ProcessHost(folder, predictor, python=python, log=log)


class ProcessHost:
    """`PredictorHost` for one machine: a predictor in a folder, which goes with it."""

    def __init__(  # what it runs, with what and where
        self,
        folder: Path,
        predictor: Predictor,
        *,
        python: Path | None,
        log: Path,
        keeps: bool = False,
    ) -> None:
        self._folder = folder
        self._predictor = predictor
        self._python = str(python or sys.executable)
        self._keeps = keeps  # the folder stays when it is closed
        self._log = log
        self._process: Process | None = None

    def start(self, *, within_s: float) -> None:
        """See `PredictorHost.start`."""
        self.kill()
        process = started(self._python, self._predictor, self._folder, self._log)
        self._process = process
        try:
            process.take(within_s=within_s)
        except PredictorRaisedError as error:
            self.kill()
            raise not_started(f"it does not load: {error}") from error
        except PredictorLostError as error:
            words = f"; it last wrote: {process.last_words}" if process.last_words else ""
            raise not_started(f"while it loaded, {error}{words}") from error
        except PredictorSlowError as error:
            self.kill()
            raise not_started(f"it had not loaded after {within_s:.0f} s") from error

    def call(self, columns: Columns, *, within_s: float) -> dict[str, Array]:
        """See `PredictorHost.call`."""
        process = self._process
        if process is None:
            raise PredictorLostError("it does not run")
        return process.call(columns, within_s=within_s)

    def settle(self, *, within_s: float) -> None:
        """See `PredictorHost.settle`."""
        if self._process is not None:
            with suppress(PredictorRaisedError):
                self._process.take(within_s=within_s)

    def memory_bytes(self) -> int:
        """See `PredictorHost.memory_bytes`."""
        return self._process.memory_bytes if self._process else 0

    def kill(self) -> None:
        """See `PredictorHost.kill`."""
        if self._process is not None:
            self._process.close()

    def close(self) -> None:
        """See `PredictorHost.close`."""
        self.kill()
        if not self._keeps:
            shutil.rmtree(self._folder, ignore_errors=True)


def pack(folder: Path, files: Iterable[Path], archive: Path) -> None:
    """Write files below `folder` to a zip file; the same files give the same bytes.

    Raises: OSError; ValueError where a file is not below the folder.
    """
    with zipfile.ZipFile(archive, "w") as packed:
        for file in sorted(files):
            about = zipfile.ZipInfo(file.relative_to(folder).as_posix(), date_time=FIRST_DATE)
            about.external_attr = 0o600 << 16
            with file.open("rb") as source, packed.open(about, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)
