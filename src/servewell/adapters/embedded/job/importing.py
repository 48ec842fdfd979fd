"""Makes a package of a model that was trained elsewhere."""

from collections.abc import Callable

import onnx

from servewell.adapters.embedded.job.exchange import Result, RunFiles
from servewell.adapters.embedded.job.graph import package_onnx
from servewell.core.catalog.model import Format
from servewell.ports.trainer import ConversionFailedError, Job


def import_model(job: Job, files: RunFiles, say: Callable[[str], None]) -> Result:
    """Check an artifact and return what is to be known of it.

    Raises: ConversionFailedError, InputRuleError, OSError.
    """
    if job.artifact is None or job.format != Format.ONNX:
        raise ConversionFailedError(
            f"A model of the format `{job.format}` cannot be imported.",
            why="it is no ONNX file",
            fix="export it to ONNX and name that file",
        )
    try:
        model = onnx.load_model(job.artifact, load_external_data=False)
    except Exception as error:
        raise ConversionFailedError(
            f"`{job.artifact.name}` cannot be read.",
            why=f"it is no ONNX file: {' '.join(str(error).split())[:200]}",
            fix="correct `artifact.path` and `artifact.format` in the workload file",
        ) from error
    return package_onnx(model, job, files, say=say, metrics={})
