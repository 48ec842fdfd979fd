"""Follow the losses of an endpoint's labels, each once, in the order in which they came."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from servewell.core.catalog.label import Label
from servewell.core.catalog.loss_watch import LossWatch, Watched
from servewell.core.operations.monitoring.adwin import watched

CUTS_KEPT: Final = 10


def followed(
    watch: LossWatch, labels: Sequence[Label], *, scales: Mapping[str, float]
) -> LossWatch:
    """Return the watch with more labels, which are those behind its cursor.

    Labels that came together are taken in the order of their predictions. A correction comes too
    late for a stream and is left out. `scales` are the losses that count as 1, by deployment; of
    one without, it is the largest of the first labels that are seen of it.
    """
    told = [one for one in labels if one.loss is not None]
    ordered = sorted(told, key=lambda one: (one.deployment, one.predicted_at, one.number))
    deployments = dict(watch.deployments)
    for name, found in groupby(ordered, key=lambda one: one.deployment):
        those = [*found]
        before = deployments.get(name) or _new(those, scales.get(name))
        deployments[name] = _more(before, those)
    cursor = max((one.number for one in labels), default=watch.cursor)
    return replace(watch, cursor=cursor, deployments=deployments)


def _new(labels: Sequence[Label], scale: float | None) -> Watched:
    largest = max(one.loss or 0.0 for one in labels)
    return Watched(measure=labels[0].measure, scale=scale or largest or 1.0)


def _more(before: Watched, labels: Sequence[Label]) -> Watched:
    same = [one for one in labels if one.measure == before.measure and one.loss is not None]
    values = [(one.predicted_at, (one.loss or 0.0) / before.scale) for one in same]
    adwin, found = watched(before.adwin, values)
    came = {one.predicted_at: one.added_at for one in same}
    cuts = [replace(one, known_at=came[one.found_at]) for one in found]
    return replace(
        before,
        adwin=adwin,
        cuts=(*before.cuts, *cuts)[-CUTS_KEPT:],
        labels=before.labels + len(same),
    )
