"""Writing the predictions of the Open Inference Protocol V2: as JSON, and as bytes behind it.

Source: open-inference-protocol, specification/protocol/inference_rest.md; Triton,
docs/protocol/extension_binary_data.md and extension_classification.md.
"""

from collections.abc import Mapping
from functools import lru_cache

import msgspec
import numpy as np

from servewell.core.catalog.signature import Datatype, Signature
from servewell.serving.protocols.columns import OutputTensor
from servewell.serving.protocols.oip_binary import tensor_bytes
from servewell.serving.protocols.oip_wishes import Form
from servewell.serving.runtimes.model import Array


class _Answer(msgspec.Struct, gc=False, omit_defaults=True):
    model_name: str
    model_version: str
    parameters: dict[str, str]
    outputs: list[OutputTensor]
    id: str = ""


_encode = msgspec.json.Encoder().encode


@lru_cache(maxsize=1_024)  # at least as many as are served
def around_id(endpoint: str, version: str, deployment: str) -> tuple[bytes, bytes]:
    """Return what stands before the prediction id of an answer, and between it and the outputs."""
    names = (_encode(endpoint), _encode(version))
    before = b'{"model_name":%b,"model_version":%b,"parameters":{"prediction_id":"' % names
    return before, b'","deployment":%b},"outputs":' % _encode(deployment)


def encode_answer(
    around: tuple[bytes, bytes],
    *,
    prediction_id: str,
    request_id: str,
    outputs: list[OutputTensor],
) -> bytes:
    """Return the body of an answer with predictions; the caller's `id` is echoed."""
    before, behind = around
    end = b',"id":%b}' % _encode(request_id) if request_id else b"}"
    return b"".join((before, prediction_id.encode(), behind, _encode(outputs), end))


class _FormedTensor(msgspec.Struct, gc=False, omit_defaults=True):
    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: dict[str, int] | None = None
    data: list[object] | None = None


class _FormedAnswer(msgspec.Struct, gc=False, omit_defaults=True):
    model_name: str
    model_version: str
    parameters: dict[str, str]
    outputs: list[_FormedTensor]
    id: str = ""


def encode_formed(  # noqa: PLR0913  (what an answer is made of)
    endpoint: str,
    version: str,
    parameters: dict[str, str],
    *,
    request_id: str,
    outputs: list[OutputTensor],
    form: Form,
    signature: Signature,
) -> tuple[int, bytes]:
    """Return how many bytes of the body are JSON, or 0 where all are, and the body."""
    tensors: list[_FormedTensor] = []
    raw: list[bytes] = []
    labels = {one.name: one.classes or () for one in signature.outputs}
    for one in outputs:
        tensor = classified(one, form.classes, labels[one.name])
        if one.name in form.binary:
            data = tensor_bytes(tensor.data, Datatype(tensor.datatype))
            size = {"binary_data_size": len(data)}
            tensors.append(_FormedTensor(one.name, tensor.datatype, tensor.shape, size))
            raw.append(data)
        else:
            values = np.asarray(tensor.data).tolist()
            tensors.append(_FormedTensor(one.name, tensor.datatype, tensor.shape, None, values))
    text = _encode(_FormedAnswer(endpoint, version, parameters, tensors, request_id))
    return (len(text), b"".join([text, *raw])) if raw else (0, text)


def classified(
    output: OutputTensor, classes: Mapping[str, int], labels: tuple[str, ...]
) -> OutputTensor:
    """Return an output as the largest values of each row, `value:index[:label]`, largest first.

    Not-a-number comes last; of equal values the first goes first.
    """
    if output.name not in classes:
        return output
    rows = np.asarray(output.data).reshape(output.shape[0], -1)
    count = min(classes[output.name], rows.shape[1])
    texts = [_class_texts(row, count, labels) for row in rows]
    flat = [text for one in texts for text in one]
    return OutputTensor(output.name, Datatype.BYTES.value, (len(texts), count), flat)


def _class_texts(row: Array, count: int, labels: tuple[str, ...]) -> list[str]:
    order = np.argsort(-row.astype(np.float64), kind="stable")[:count].tolist()
    shown = [f"{one:f}" if row.dtype.kind == "f" else f"{one:d}" for one in row[order].tolist()]
    return [
        f"{value}:{index}:{labels[index]}" if index < len(labels) else f"{value}:{index}"
        for value, index in zip(shown, order, strict=True)
    ]
