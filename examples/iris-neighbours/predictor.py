"""Tell the species of an iris by the flowers that are most like it."""

from pathlib import Path

import numpy as np

NEIGHBOURS = 7
LENGTHS = ("sepal_length", "sepal_width", "petal_length", "petal_width")


class Predictor:
    """Nearest neighbours, with the reasons: how many agree, and how near the nearest is."""

    def load(self, folder: Path) -> None:
        """Read the flowers that are known."""
        with np.load(folder / "flowers.npz") as flowers:
            self.lengths = flowers["lengths"]
            self.species = flowers["species"]
        self.names = np.unique(self.species)

    def predict(self, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Answer each row by its neighbours; every column has one value a row."""
        asked = np.stack([columns[name] for name in LENGTHS], axis=1)
        apart = np.linalg.norm(asked[:, None, :] - self.lengths[None, :, :], axis=2)
        nearest = np.argsort(apart, axis=1, kind="stable")[:, :NEIGHBOURS]
        votes = (self.species[nearest][:, :, None] == self.names).sum(axis=1)
        return {
            "species": self.names[votes.argmax(axis=1)],
            "agreement": votes.max(axis=1) / NEIGHBOURS,
            "nearest_cm": apart.min(axis=1),
        }
