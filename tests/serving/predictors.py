"""Predictors as packages of a home, and one that misbehaves in every way that is asked of it."""

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

from servewell.adapters.embedded.blobs import FileBlobs
from servewell.adapters.embedded.predictor.packages import pack
from servewell.adapters.embedded.signer import HomeSigner
from servewell.core.catalog.endpoint import BP_FULL, Deployment
from servewell.core.catalog.model import (
    Equivalence,
    Format,
    Lineage,
    Manifest,
    Predictor,
    digest_of,
    manifest_bytes,
)
from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from serving.home import Home

SIGNATURE = Signature(
    inputs=(
        Input(name="x", datatype=Datatype.FP32),
        Input(name="do", datatype=Datatype.BYTES, example="answer"),
    ),
    outputs=(Output(name="y", datatype=Datatype.FP32),),
)

# It answers `y = 2 x`, and does first what the first row's `do` says.
SCRIPT = """
import os
import signal
import subprocess
import sys
import time

import numpy as np


class Predictor:
    def load(self, folder):
        self.kept = []

    def predict(self, columns):
        doubled = columns["x"] * np.float32(2)
        return getattr(self, columns["do"][0])(doubled)

    def answer(self, doubled):
        return {"y": doubled}

    def exit(self, doubled):
        os._exit(3)

    def die(self, doubled):
        os.kill(os.getpid(), signal.SIGSEGV)

    def loop(self, doubled):
        while True:
            pass

    def nap(self, doubled):
        time.sleep(0.4)
        return {"y": doubled}

    def leak(self, doubled):
        self.kept.append(np.ones(60_000_000 // 8))
        return {"y": doubled}

    def hog(self, doubled):
        self.kept.append(np.ones(2_000_000_000))
        return {"y": doubled}

    def fail(self, doubled):
        raise ValueError("a value of the row: 42")

    def leave(self, doubled):
        sys.exit("bye")

    def talk(self, doubled):
        print("on the way " * 10_000)
        os.write(1, b"straight to it")
        return {"y": doubled}

    def fork(self, doubled):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)  # left behind"])
        return {"y": doubled}

    def fork_and_return(self, doubled):
        os.fork()
        return {"y": doubled}

    def number(self, doubled):
        return 42

    def listed(self, doubled):
        return {"y": doubled.tolist()}

    def renamed(self, doubled):
        return {"z": doubled}

    def retyped(self, doubled):
        return {"y": doubled.astype("int64")}

    def fewer(self, doubled):
        return {"y": doubled[1:]}

    def wider(self, doubled):
        return {"y": np.stack([doubled, doubled], axis=1)}

    def objects(self, doubled):
        return {"y": np.array([object() for _ in doubled])}

    def noise(self, doubled):
        for handle in os.listdir("/proc/self/fd"):
            if int(handle) > 2:
                try:
                    os.write(int(handle), b"\\xff" * 64)
                except OSError:
                    pass
        return {"y": doubled}
"""


def predictor(home: Home, script: str = SCRIPT, **bounds: Any) -> Deployment:  # noqa: ANN401 - of `Predictor`
    """Keep a predictor as a signed package, and return a deployment of it with all traffic."""
    source = home.folder / "source"
    source.mkdir(exist_ok=True)
    (source / "predictor.py").write_text(script)
    archive = home.folder / "predictor.zip"
    pack(source, [source / "predictor.py"], archive)
    limits = replace(Predictor(script="predictor.py", memory_bytes_max=1 << 29), **bounds)
    return kept(home, archive, limits)


def kept(home: Home, archive: Path, limits: Predictor) -> Deployment:
    """Return a deployment of an archive."""
    blobs = FileBlobs(home.folder / "blobs")
    content = manifest_bytes(
        Manifest(
            model="code",
            artifact=blobs.put_file(archive),
            artifact_bytes=archive.stat().st_size,
            signature=SIGNATURE,
            lineage=Lineage(
                run="test",
                format=Format.PREDICTOR,
                source="predictor.py",
                source_digest=digest_of(b""),
                dataset=None,
                dataset_digest=None,
                commit=None,
                dirty=False,
                environment_digest=digest_of(b""),
            ),
            equivalence=Equivalence(rows=0, largest_difference=0.0, tolerance=0.0),
            runtime="python",
            predictor=limits,
        )
    )
    return Deployment(
        name="blue",
        model="code",
        version=1,
        package=blobs.put(content),
        package_signature=base64.b64encode(HomeSigner(home.secrets).sign(content)).decode(),
        share_bp=BP_FULL,
    )


def asking(do: str = "answer", rows: int = 1) -> dict[str, Any]:
    """Return a request that asks the predictor to do something first."""
    return {
        "inputs": [
            {"name": "x", "shape": [rows, 1], "datatype": "FP32", "data": [1.5] * rows},
            {"name": "do", "shape": [rows, 1], "datatype": "BYTES", "data": [do] * rows},
        ]
    }
