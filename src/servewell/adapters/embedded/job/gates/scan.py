"""What a package holds, and whether all of it may be there."""

import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

import onnx

from servewell.adapters.embedded.job.graph import DOMAINS
from servewell.core.security.pickle_scan import judge_pickle
from servewell.ports.evaluator import Contender

PICKLES: Final = (".pkl", ".pickle", ".joblib")
PICKLE_BYTES_MAX: Final = 64 << 20


def scan(contender: Contender) -> tuple[str, tuple[str, ...]]:
    """Return what was looked through, and what in it may not be there."""
    if contender.predictor is not None:
        return _archive(contender.model)
    return _graph(contender.model)


def _graph(path: Path) -> tuple[str, tuple[str, ...]]:
    model = onnx.load(path, load_external_data=False)
    graphs = list(_graphs(model.graph))
    foreign = {node.domain for graph in graphs for node in graph.node} - set(DOMAINS)
    outside = [
        weight.name
        for graph in graphs
        for weight in graph.initializer
        if weight.data_location == onnx.TensorProto.EXTERNAL
    ]
    found = [f"operators of the domain `{one}`" for one in sorted(foreign)]
    found += [f"the weight `{one}` lies in another file" for one in outside]
    operators = sum(len(graph.node) for graph in graphs)
    return f"ONNX with {operators:,} operators, no code and no pickle", tuple(found)


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _graphs(attribute.g)


def _archive(path: Path) -> tuple[str, tuple[str, ...]]:
    """Look through a predictor: it is code, so a pickle in it is told, and no fault by itself."""
    with zipfile.ZipFile(path) as packed:
        files = packed.infolist()
        found = tuple(f"`{one.filename}` leads out of the package" for one in files if _leaves(one))
        pickles = [one for one in files if one.filename.endswith(PICKLES)]
        unknown = [one.filename for one in pickles if not _is_plain(packed, one)]
    told = f"an archive of Python code with {len(files):,} files"
    if pickles:
        told += f", {len(pickles)} of them pickles, run apart from the workers"
    if unknown:
        told += f"; {', '.join(f'`{one}`' for one in unknown[:3])} could run any code"
    return told, found


def _leaves(one: zipfile.ZipInfo) -> bool:
    inner = PurePosixPath(one.filename)
    linked = stat.S_ISLNK(one.external_attr >> 16)
    return linked or inner.is_absolute() or ".." in inner.parts


def _is_plain(packed: zipfile.ZipFile, one: zipfile.ZipInfo) -> bool:
    """Whether a pickle names nothing but what pickles of fitted models need."""
    if one.file_size > PICKLE_BYTES_MAX:
        return False
    return judge_pickle(packed.read(one)).harmless
