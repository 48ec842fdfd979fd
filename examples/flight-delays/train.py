"""Learn whether a flight out of New York will arrive more than 15 minutes late.

Alone it prints how good the model is: `python train.py data/flights.parquet`.
"""

import sys
from pathlib import Path

import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

TEXTS = ["carrier", "origin", "dest", "engine", "weekday"]
NUMBERS = [
    "dep_minute",
    "distance",
    "temp",
    "humid",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
    "plane_year",
]
LABEL = "late"


def read_flights(data: Path) -> pd.DataFrame:
    """Return the flights that arrived. An unknown engine is an empty text: a kind of its own."""
    flights = pd.read_parquet(data, columns=["scheduled", *TEXTS, *NUMBERS, LABEL])
    flights[TEXTS] = flights[TEXTS].fillna("")
    return flights.dropna(subset=[LABEL]).astype({LABEL: int})


def make_model(*, trees: int, depth: int) -> Pipeline:
    """Return the model to fit: texts as numbers, gaps filled, trees, calibrated probabilities.

    The folds of the calibration are shuffled. Cut in the order of time, each would be a few weeks
    of weather that the other folds never saw, and the probabilities would come out too timid.
    """
    prepare = ColumnTransformer(
        [
            ("texts", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), TEXTS),
            ("numbers", SimpleImputer(strategy="median"), NUMBERS),
        ]
    )
    boosting = GradientBoostingClassifier(
        n_estimators=trees, max_depth=depth, subsample=0.3, max_features=0.5, random_state=0
    )
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    calibrated = CalibratedClassifierCV(boosting, method="sigmoid", cv=folds, ensemble=False)
    return Pipeline([("prepare", prepare), ("classify", calibrated)])


def evaluate(model: Pipeline, flights: pd.DataFrame) -> dict[str, float]:
    """Return how good the model is on flights that it has not seen."""
    actual = flights[LABEL]
    predicted = model.predict_proba(flights[TEXTS + NUMBERS])[:, 1]
    return {
        "roc_auc": float(roc_auc_score(actual, predicted)),
        "brier": float(brier_score_loss(actual, predicted)),
        "brier_of_constant": float(brier_score_loss(actual, [actual.mean()] * len(actual))),
        "log_loss": float(log_loss(actual, predicted)),
        "share_late": float(actual.mean()),
        "mean_predicted": float(predicted.mean()),
        "rows": float(len(actual)),
    }


def train(
    data: Path,
    *,
    train_until: str = "2013-03-01",
    evaluate_until: str = "2013-04-01",
    trees: int = 80,
    depth: int = 4,
) -> tuple[Pipeline, dict[str, float]]:
    """Fit on flights before `train_until`, evaluate on those from then to `evaluate_until`.

    The split is by time, since that is how the model will be used: on days after its data.
    """
    flights = read_flights(data)
    past = flights[flights["scheduled"] < train_until]
    next_month = flights[flights["scheduled"].between(train_until, evaluate_until, "left")]
    model = make_model(trees=trees, depth=depth).fit(past[TEXTS + NUMBERS], past[LABEL])
    return model, evaluate(model, next_month)


if __name__ == "__main__":
    for name, value in train(Path(sys.argv[1]))[1].items():
        print(f"{name:18} {value:.4f}")
