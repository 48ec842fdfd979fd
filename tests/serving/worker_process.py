"""One worker in a process of its own: `worker_process.py HOME INDEX LISTENER [FILE_BYTES_MAX]`."""

import resource
import socket
import sys
from pathlib import Path

from servewell.adapters.embedded.blobs import FileBlobs
from servewell.adapters.embedded.clock import SystemClock
from servewell.adapters.embedded.errands import FileErrands
from servewell.adapters.embedded.monitoring.feedback_inbox import FolderFeedbackInbox
from servewell.adapters.embedded.predictor.packages import ProcessPredictors
from servewell.adapters.embedded.secrets import FileSecrets
from servewell.adapters.embedded.signer import HomeSigner
from servewell.adapters.embedded.snapshots import FileSnapshots
from servewell.adapters.embedded.stops import FileStops
from servewell.serving.worker import WorkerParts, serve


def main(folder: Path, index: int, listener: int, file_bytes_max: int | None) -> int:
    """Serve until told to stop; with a limit, no file may grow beyond it, as on a full disk."""
    if file_bytes_max is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, file_bytes_max))
    return serve(parts(folder, index, listener))


def parts(folder: Path, index: int, listener: int) -> WorkerParts:
    """Return the parts of a worker of a home."""
    secrets = FileSecrets(folder / "keys")
    signer = HomeSigner(secrets)
    return WorkerParts(
        index=index,
        listener=socket.socket(fileno=listener),
        snapshots=FileSnapshots(folder / "snapshot", reports=folder / "run", signer=signer),
        blobs=FileBlobs(folder / "blobs"),
        signer=signer,
        predictors=ProcessPredictors(folder),
        secrets=secrets,
        clock=SystemClock(),
        errands=FileErrands(folder / "run" / "errands"),
        stops=FileStops(folder / "stops", signer=signer),
        feedback=FolderFeedbackInbox(folder / "feedback"),
        records=folder / "records" / "live",
        runtime_dir=folder / "run",
        drain_s=5.0,
    )


if __name__ == "__main__":
    home, index, listener, *limit = sys.argv[1:]
    sys.exit(main(Path(home), int(index), int(listener), int(limit[0]) if limit else None))
