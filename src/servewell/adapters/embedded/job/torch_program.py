"""PyTorch: modules and exported programs, as what they answer and as ONNX.

Such a model takes one table of 32-bit numbers, a column for each input, and gives a number or
several for each row. A module that has the attribute `classes`, its labels in order, gives the
probability of each.
"""

import os
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto, helper, numpy_helper

from servewell.adapters.embedded.job.trained import Answers, Numbers, Task
from servewell.ports.trainer import ConversionFailedError, PickleRefusedError

OPSET: Final = 18
TRIED_ROWS: Final = 2  # of the table that a module is traced with: one row could be taken as fixed
ROWS: Final = "rows"
CUSTOM_OBJECT: Final = "custom_obj_"  # names members of an archive that hold objects of C++ classes
WEIGHTS_ONLY: Final = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # makes PyTorch refuse pickles of objects


def _torch() -> Any:  # noqa: ANN401 - an untyped library
    import torch  # noqa: PLC0415 - may be missing

    return torch


class TorchModel:
    """A `torch.nn.Module`, or a program of `torch.export`: `Trained` for PyTorch."""

    library = "torch"

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - a module or a program
        self.model = model
        self.names: tuple[str, ...] | None = None
        self.width = _width(model)
        labels = getattr(model, "classes", None)
        self.classes = None if labels is None else tuple(str(one) for one in labels)
        self.task = Task.NUMBERS if labels is None else Task.PROBABILITIES
        self._call = _callable(model)

    def answer(self, frame: pd.DataFrame) -> Answers:
        """See `Trained.answer`."""
        table = _torch().from_numpy(frame.to_numpy(dtype="float32").copy())
        with _torch().no_grad():
            said = self._call(table)
        numbers: Numbers = _tensor(said).numpy().astype("float64").reshape(len(frame), -1)
        if self.classes is None:
            return Answers(numbers=numbers)
        return Answers(labels=np.array(self.classes)[numbers.argmax(axis=1)], numbers=numbers)


def load_program(path: Path) -> object:
    """Load a file of `torch.export.save`, in the job's process, without unpickling an object.

    Raises: PickleRefusedError; what PyTorch raises where it is no such file.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.namelist()
    if any(CUSTOM_OBJECT in Path(name).name for name in members):
        raise PickleRefusedError(
            f"`{path.name}` holds objects that are no tensors.",
            why="to load them would run code of theirs",
            fix="export the program without script objects",
        )
    os.environ[WEIGHTS_ONLY] = "1"
    loaded: object = _torch().export.load(path)
    return loaded


def convert_torch(trained: TorchModel, width: int) -> onnx.ModelProto:
    """Return the model as ONNX that takes one table of numbers.

    Raises: ConversionFailedError; what PyTorch raises where it cannot export the model.
    """
    torch = _torch()
    example = (torch.zeros(TRIED_ROWS, width),)
    exported = trained.model
    if isinstance(exported, torch.nn.Module):
        any_rows = ({0: torch.export.Dim.DYNAMIC},)
        exported = torch.export.export(exported, example, dynamic_shapes=any_rows)
    program = torch.onnx.export(
        exported, example, dynamo=True, input_names=[ROWS], opset_version=OPSET, verbose=False
    )
    if program is None:
        raise ConversionFailedError(
            "PyTorch gave no ONNX model.",
            why="its exporter returned nothing",
            fix="export the model to ONNX yourself and name it as `artifact`",
        )
    model: onnx.ModelProto = program.model_proto
    return model if trained.classes is None else _with_labels(model, trained.classes)


def _callable(model: Any) -> Any:  # noqa: ANN401 - as above
    if isinstance(model, _torch().nn.Module):
        return model.eval()
    return model.module()


def _width(model: Any) -> int | None:  # noqa: ANN401 - as above
    """Return how many columns a program takes; a module does not say."""
    if isinstance(model, _torch().nn.Module):
        return None
    wanted = model.graph_signature.user_inputs
    shapes = [one.meta["val"].shape for one in model.graph.nodes if one.name in wanted]
    if len(shapes) != 1 or len(shapes[0]) != 2 or not isinstance(shapes[0][1], int):  # noqa: PLR2004 - rows and columns
        raise ConversionFailedError(
            "The program does not take one table.",
            why=f"its inputs have the shapes {[tuple(map(str, one)) for one in shapes]}",
            fix="export a module whose `forward` takes one tensor, rows by columns",
        )
    if isinstance(shapes[0][0], int):
        raise ConversionFailedError(
            f"The program takes {shapes[0][0]} rows and no other number.",
            why="its first dimension was exported as fixed",
            fix="export with `dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)`",
        )
    return int(shapes[0][1])


def _tensor(said: Any) -> Any:  # noqa: ANN401 - as above
    if isinstance(said, _torch().Tensor):
        return said
    raise ConversionFailedError(
        f"The model answers a {type(said).__name__}.",
        why="one tensor is wanted, its first dimension the row",
        fix="return one tensor from `forward`",
    )


def _with_labels(model: onnx.ModelProto, classes: tuple[str, ...]) -> onnx.ModelProto:
    """Return the model with the label of the highest probability as its first output."""
    whole = all(one.lstrip("-").isdecimal() for one in classes)
    values = np.array([int(one) for one in classes]) if whole else np.array(classes, dtype=object)
    graph, probabilities = model.graph, model.graph.output[0]
    graph.initializer.append(numpy_helper.from_array(values, "classes"))
    graph.node.append(
        helper.make_node("ArgMax", [probabilities.name], ["best"], axis=1, keepdims=0)
    )
    graph.node.append(helper.make_node("Gather", ["classes", "best"], ["label_of_best"]))
    kind = TensorProto.INT64 if whole else TensorProto.STRING
    label = helper.make_tensor_value_info("label_of_best", kind, [None])
    outputs = [label, *graph.output]
    del graph.output[:]
    graph.output.extend(outputs)
    return model
