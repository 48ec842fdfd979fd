"""Every variant that is tried, and how each is built."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import onnx

from servewell.adapters.embedded.job.study.graphs import Feed, UnsuitedError
from servewell.adapters.embedded.job.study.precision import (
    dynamic_int8,
    float16,
    fused,
    static_int8,
)
from servewell.adapters.embedded.job.study.trees import fewer_leaves, fewer_trees
from servewell.adapters.embedded.job.study.units import without_units

WHY_MAX: Final = 200  # characters of what a library says

Build = Callable[[onnx.ModelProto, Sequence[Feed]], onnx.ModelProto]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to make a variant."""

    name: str
    about: str
    build: Build


def build(recipe: Recipe, model: onnx.ModelProto, training: Sequence[Feed]) -> onnx.ModelProto:
    """Return a variant of a model, made with rows of the training part.

    Raises: UnsuitedError where it makes no sense for this graph, or a library refuses it.
    """
    try:
        return recipe.build(model, training)
    except UnsuitedError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:WHY_MAX]
        raise UnsuitedError(f"it cannot be built: {type(error).__name__}: {said}") from error


def _alone(
    make: Callable[[onnx.ModelProto], onnx.ModelProto],
    model: onnx.ModelProto,
    training: Sequence[Feed],
) -> onnx.ModelProto:
    del training
    return make(model)


def _units(share: float, model: onnx.ModelProto, training: Sequence[Feed]) -> onnx.ModelProto:
    del training
    return without_units(model, share)


def _trees(share: float, model: onnx.ModelProto, training: Sequence[Feed]) -> onnx.ModelProto:
    return fewer_trees(model, training, share)


def _leaves(share: float, model: onnx.ModelProto, training: Sequence[Feed]) -> onnx.ModelProto:
    return fewer_leaves(model, training, share)


def _shares(
    name: str, about: str, make: Callable[..., onnx.ModelProto], shares: Sequence[int]
) -> Iterator[Recipe]:
    for share in shares:
        yield Recipe(
            name=f"{name}-{share}",
            about=about.format(share=share),
            build=partial(make, share / 100),
        )


RECIPES: Final = (
    Recipe(
        name="fused",
        about="the graph as ONNX Runtime rewrites it for this kind of processor",
        build=partial(_alone, fused),
    ),
    Recipe(
        name="int8-dynamic",
        about="weights in 8 bits, scaled row by row",
        build=partial(_alone, dynamic_int8),
    ),
    Recipe(
        name="int8-static",
        about="weights and values in 8 bits, in ranges seen in training rows",
        build=static_int8,
    ),
    Recipe(name="float16", about="weights in 16 bits", build=partial(_alone, float16)),
    *_shares("trees", "the first {share} % of the trees, weighed anew", _trees, (75, 50, 25)),
    *_shares("leaves", "trees cut back to {share} % of their nodes", _leaves, (75, 50, 25)),
    *_shares("units", "the strongest {share} % of the hidden units", _units, (75, 50, 25)),
)
