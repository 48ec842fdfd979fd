"""The model as a scoring script of Azure Machine Learning."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from session import Classifier


def init() -> None:
    """Load the model."""
    global classify  # noqa: PLW0603 - the form that a scoring script has
    classify = Classifier(os.environ["MODEL"])


def run(data: str) -> dict[str, list[list[float]]]:
    """Answer the rows of a request."""
    return {"probabilities": classify(json.loads(data)["data"]).tolist()}
