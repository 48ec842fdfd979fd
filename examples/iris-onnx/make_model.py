"""Train a classifier of iris flowers and write it as ONNX, as somebody elsewhere would."""

from pathlib import Path

from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


def make_model() -> Pipeline:
    """Return the fitted model: it takes four lengths in centimetres and answers a species."""
    flowers = load_iris()
    species = flowers.target_names[flowers.target]
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(flowers.data, species)


def main(target: Path) -> None:
    """Write the ONNX file: one input of four numbers a row, a label and its probabilities."""
    model = make_model()
    converted = to_onnx(
        model,
        initial_types=[("measurements", FloatTensorType([None, 4]))],
        options={id(model): {"zipmap": False}},
        target_opset={"": 18, "ai.onnx.ml": 3},
    )
    target.write_bytes(converted.SerializeToString(deterministic=True))
    print(f"{target}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(__file__).parent / "iris.onnx")
