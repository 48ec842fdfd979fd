"""Explains one row: exactly where the model is one ensemble of trees or linear, else by sampling.

What is explained is an output of the model as it is served. An exact method knows the sums of the
leaves or weights; which function of the output these are is found out, on background rows, among
three: the output itself, its log-odds, and its logarithm beside those of the other classes. Where
none is an affine function of the sums the exact way is not taken.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray

from servewell.adapters.embedded.analysis.background import Background, row_feed
from servewell.adapters.embedded.analysis.columns import (
    MixedError,
    owners_of,
    players_of,
    values_at,
)
from servewell.adapters.embedded.analysis.linear_model import LINEAR, explain_linear, linear_sums
from servewell.adapters.embedded.analysis.sampled_shapley import Sampled, sample
from servewell.adapters.embedded.analysis.tree_ensemble import OPERATOR, read_tree_ensemble
from servewell.adapters.embedded.analysis.tree_shapley import Explained, explain_trees, sums
from servewell.adapters.embedded.job.proof import open_session
from servewell.adapters.embedded.job.study.graphs import Array, Feed, UnsuitedError
from servewell.adapters.embedded.job.study.trees import WEIGHTS_OF, read_ensemble
from servewell.core.catalog.signature import Output, Signature
from servewell.ports.explainer import (
    Contribution,
    ExplainJob,
    Explanation,
    Method,
    NotExplainableError,
)

Numbers = NDArray[np.float64]
Answers = Callable[[Feed], Numbers]  # (rows, classes)

PLAYERS_MAX: Final = 200
FIT_MAX: Final = 1e-4  # residual of an affine function, of the range of what it is fitted to
GAP_MAX: Final = 1e-3  # of an explanation that is called exact, of the same range
FITTED_MIN: Final = 5  # background rows
LEAST: Final = 1e-30  # probability of which there is a logarithm
SURE: Final = 1e-4  # probabilities nearer to 1 are rounded too much for log-odds
SURER: Final = 1e-6  # of the row itself, of which less is asked
VALUE_SHOWN: Final = 40
EXACT: Final = frozenset({*WEIGHTS_OF, OPERATOR, *LINEAR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """In what unit an output is explained."""

    unit: str
    # Takes answers (rows, classes), the class, and how near to 1 a probability may be.
    of: Callable[[Numbers, int, float], Numbers]
    centred: bool = False  # whether the sums are taken beside those of the other classes


def _plain(answers: Numbers, place: int, near: float) -> Numbers:
    del near
    return answers[:, place]


def _log_odds(answers: Numbers, place: int, near: float) -> Numbers:
    """Return the logarithms of the odds; not-a-number where a probability is too near to 0 or 1."""
    shares = answers[:, place]
    safe = np.where((shares >= LEAST) & (shares <= 1 - near), shares, np.nan)
    return np.log(safe) - np.log1p(-safe)


def _centred_log(answers: Numbers, place: int, near: float) -> Numbers:
    """Return the logarithm of a probability less the mean of those of all classes."""
    del near
    logs = np.log(np.where(answers >= LEAST, answers, np.nan))
    centred: Numbers = logs[:, place] - logs.mean(axis=1)
    return centred


SCALES: Final = (
    Scale(unit="", of=_plain),
    Scale(unit="log-odds", of=_log_odds),
    Scale(unit="log-probability", of=_centred_log, centred=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Game:
    """A model, a row and the rows that it is compared with."""

    model: onnx.ModelProto
    answers: Answers
    row: Feed
    background: Feed
    players: tuple[tuple[str, int], ...]
    hidden: NDArray[np.bool_]  # of each player: personal, so the row's own value is unknown
    place: int  # of the class that is explained


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """Contributions in one unit."""

    method: Method
    unit: str
    amounts: Numbers
    errors: Numbers
    expected: float
    reached: float
    because: str


def explain(job: ExplainJob, background: Background) -> Explanation:
    """Explain one row. Raises: NotExplainableError."""
    model = onnx.load_model_from_string(job.model.read_bytes())
    output = _explained_output(job.signature)
    session = open_session(model.SerializeToString())

    def answers(feed: Feed) -> Numbers:
        found = session.run([output.name], dict(feed))[0]
        return np.asarray(found, dtype=np.float64).reshape(len(found), -1)

    row = row_feed(job, background)
    players = players_of(model, row)
    if len(players) > PLAYERS_MAX:
        raise _not_for_it(f"it takes {len(players):,} numbers, more than {PLAYERS_MAX} to tell of")
    personal = {one.name for one in job.signature.inputs if one.personal}
    hidden = np.array([name in personal for name, _ in players], dtype=bool)
    own = answers(row)[0]
    game = Game(
        model=model,
        answers=answers,
        row=row,
        background=background.feed,
        players=players,
        hidden=hidden,
        place=_class_place(output, own),
    )
    solved = _solved(game)
    return _explanation(game, solved, output, background, answer=float(own[game.place]))


def _explained_output(signature: Signature) -> Output:
    """Return the output that is explained: probabilities, or else the first number."""
    numbers = [one for one in signature.outputs if one.datatype.is_float]
    graded = [one for one in numbers if one.classes]
    if not numbers:
        raise _not_for_it("none of its outputs is a number that could be more or less")
    return (graded or numbers)[0]


def _class_place(output: Output, answer: Numbers) -> int:
    """Return the class that is explained: the positive one of two, else the likeliest."""
    if len(answer) == 2:  # noqa: PLR2004 - two classes
        return 1
    return int(np.argmax(answer)) if output.classes else 0


def _solved(game: Game) -> Solved:
    """Return an exact solution where there is one that holds, else a sampled one."""
    nodes = [one for one in game.model.graph.node if one.op_type in EXACT]
    if len(nodes) != 1:
        return _sampled(game, f"it has {len(nodes)} ensembles or linear operators, not one")
    try:
        return _exact(game, nodes[0])
    except (MixedError, UnsuitedError) as error:
        return _sampled(game, str(error))


def _exact(game: Game, node: onnx.NodeProto) -> Solved:
    """Return the exact solution. Raises: MixedError, UnsuitedError where there is none."""
    name = node.input[0]
    row, background = (values_at(game.model, name, feed) for feed in (game.row, game.background))
    owners = owners_of(game.model, name, game.row, game.players)
    hidden = np.append(game.hidden, False)
    if node.op_type in LINEAR:
        told = explain_linear(node, row[0], background, owners, hidden)
        scores = linear_sums(node, background)
    else:
        ensemble = (read_tree_ensemble if node.op_type == OPERATOR else read_ensemble)(node)
        told = explain_trees(ensemble, row[0], background, owners, hidden)
        scores = sums(ensemble, background)
    method = Method.LINEAR if node.op_type in LINEAR else Method.TREES
    return _in_its_unit(game, told, scores, method)


def _in_its_unit(game: Game, told: Explained, scores: Numbers, method: Method) -> Solved:
    """Return the contributions in the unit of which the sums are an affine function.

    Raises: UnsuitedError where they are so in none.
    """
    answers = game.answers(game.background)
    own = game.answers(_with_hidden(game))
    for scale in SCALES:
        wanted = scale.of(answers, game.place, SURE)
        for weights in _mixtures(scores.shape[1], game.place, centred=scale.centred):
            fit = _affine(scores @ weights, wanted)
            if fit is None:
                continue
            slope, offset, spread = fit
            amounts = slope * (told.amounts @ weights)[: len(game.players)]
            expected = slope * float(told.expected @ weights) + offset
            reached = float(scale.of(own, game.place, SURER).mean())
            if not abs(expected + amounts.sum() - reached) <= GAP_MAX * spread:
                continue
            return Solved(
                method=method,
                unit=scale.unit,
                amounts=amounts,
                errors=np.zeros(len(game.players)),
                expected=expected,
                reached=reached,
                because="its answers are what its "
                f"{'weights' if method is Method.LINEAR else 'leaves'} sum to",
            )
    raise UnsuitedError("its answers are no known function of what its parts sum to")


def _mixtures(outputs: int, place: int, *, centred: bool) -> list[Numbers]:
    """Return the sums that may be behind the class: its own, or the only one there is."""
    if centred and outputs > 1:
        return [np.eye(outputs)[place] - 1 / outputs]
    if outputs == 1:
        return [np.ones(1)]
    alone = np.eye(outputs)[min(place, outputs - 1)]
    beside = alone - np.eye(outputs)[0 if place else outputs - 1]
    return [alone, np.eye(outputs)[0], beside]


def _affine(scores: Numbers, wanted: Numbers) -> tuple[float, float, float] | None:
    """Return slope, offset and range of the wanted values in the scores, where there are such."""
    known = np.isfinite(wanted)
    if known.sum() < FITTED_MIN:
        return None
    scores, wanted = scores[known], wanted[known]
    spread = float(np.ptp(wanted))
    if not spread or not np.ptp(scores):
        return None
    slope, offset = np.polyfit(scores, wanted, 1)
    residual = np.abs(slope * scores + offset - wanted).max()
    return (float(slope), float(offset), spread) if residual <= FIT_MAX * spread else None


def _with_hidden(game: Game) -> Feed:
    """Return the row once for each background row that lends it what is hidden; else once."""
    if not game.hidden.any():
        return game.row
    rows = len(next(iter(game.background.values())))
    shown = {name: np.repeat(array, rows, axis=0) for name, array in game.row.items()}
    personal = {name for (name, _), hidden in zip(game.players, game.hidden, strict=True) if hidden}
    return {name: game.background[name] if name in personal else shown[name] for name in shown}


def _sampled(game: Game, because: str) -> Solved:
    """Return sampled contributions to the output itself."""

    def value(feed: Feed) -> Numbers:
        return game.answers(feed)[:, game.place]

    told: Sampled = sample(value, game.row, game.background, game.players, game.hidden)
    return Solved(
        method=Method.SAMPLED,
        unit="",
        amounts=told.amounts,
        errors=told.errors,
        expected=told.expected,
        reached=told.reached,
        because=f"no exact way: {because}",
    )


def _explanation(
    game: Game,
    solved: Solved,
    output: Output,
    background: Background,
    *,
    answer: float,
) -> Explanation:
    told = [
        Contribution(
            input=_player_name(player, game.players),
            value="" if hidden else _shown(game.row[player[0]], player[1]),
            amount=None if hidden else float(amount),
            error=float(error),
        )
        for player, hidden, amount, error in zip(
            game.players, game.hidden, solved.amounts, solved.errors, strict=True
        )
    ]
    told.sort(key=lambda one: -abs(one.amount or 0.0))
    gap = solved.expected + float(solved.amounts.sum()) - solved.reached
    return Explanation(
        method=solved.method,
        output=output.name,
        of=output.classes[game.place] if output.classes else "",
        unit=solved.unit,
        expected=solved.expected,
        reached=solved.reached,
        answer=answer,
        contributions=tuple(told),
        gap=gap,
        background=len(next(iter(background.feed.values()))),
        source=background.source,
        because=solved.because,
    )


def _player_name(player: tuple[str, int], players: Sequence[tuple[str, int]]) -> str:
    name, place = player
    alone = sum(one == name for one, _ in players) == 1
    return name if alone else f"{name}[{place}]"


def _shown(array: Array, place: int) -> str:
    value = array.reshape(-1)[place]
    words = f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)
    return words if len(words) <= VALUE_SHOWN else words[: VALUE_SHOWN - 1] + "…"


def _not_for_it(why: str) -> NotExplainableError:
    return NotExplainableError(
        "This model's answers cannot be explained.",
        why=why,
        fix="`servewell trace` shows what is known of the request",
    )
