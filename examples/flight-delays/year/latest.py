"""Learn from all flights that are there but the newest tenth, which the model is measured on."""

from pathlib import Path

from sklearn.pipeline import Pipeline
from train import LABEL, NUMBERS, TEXTS, evaluate, make_model, read_flights

NEWEST = 0.1


def train(
    data: Path, *, trees: int = 60, depth: int = 4, sign: int = 1
) -> tuple[Pipeline, dict[str, float]]:
    """Fit on the older flights, and evaluate on the newest; a negative `sign` learns the reverse.

    It is the mistake that the replay plants: late and punctual mistaken for each other.
    """
    flights = read_flights(data)
    cut = flights["scheduled"].iloc[int(len(flights) * (1 - NEWEST))]
    past, newest = flights[flights["scheduled"] < cut], flights[flights["scheduled"] >= cut]
    label = past[LABEL] if sign > 0 else 1 - past[LABEL]
    model = make_model(trees=trees, depth=depth).fit(past[TEXTS + NUMBERS], label)
    return model, evaluate(model, newest)
