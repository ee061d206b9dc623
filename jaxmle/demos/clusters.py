"""Model-based clustering: how many species of iris there are, and of what shape, by BIC, without being told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import jaxmle as jm

from ..datasets import load
from .stage import Numbers, draw, label, say

COLUMNS = ("sepal_length", "sepal_width", "petal_length", "petal_width")
SHAPES = ("EII", "VVI", "EEE", "VEV", "VVV")

MCLUST = {"log_likelihood": -215.726, ("VEV", 2): 561.7285, ("VEV", 3): 562.5522, ("VVV", 2): 574.0178}
"""What mclust 6 finds (its BIC has the other sign)."""


def adjusted_rand(a: np.ndarray, b: np.ndarray) -> float:
    """How far two divisions agree on which pairs belong together: 1 wholly, 0 as by chance (Hubert and Arabie, 1985)."""
    table = np.array([[np.sum((a == i) & (b == j)) for j in np.unique(b)] for i in np.unique(a)], float)
    pairs = lambda n: float(np.sum(n * (n - 1) / 2))
    both, rows, columns, total = pairs(table), pairs(table.sum(1)), pairs(table.sum(0)), pairs(np.array([len(a)]))
    expected = rows * columns / total
    return (both - expected) / (0.5 * (rows + columns) - expected)


def run(picture: Path) -> bool:
    """Fit mixtures of five shapes and one to four components to Anderson's irises, and compare with mclust."""
    data = load("iris")
    species = np.unique(data.pop("species"), return_inverse=True)[1]
    say(f"{len(species)} irises, four lengths each; mixtures of normals of {len(SHAPES)} shapes, 1 to 4 components\n")
    found = jm.choose_clusters(data, COLUMNS, components=range(1, 5), shapes=SHAPES)
    say(f"{found}\n")
    at = found.entries["VEV", 3].natural
    assert at is not None
    start = {"weight": at.weight, "mean": at.mean, "covariance": at.covariance}
    three = jm.fit(jm.gaussian_mixture(COLUMNS, 3, "VEV"), data, start=start)
    numbers = Numbers()
    numbers.compare("log-likelihood of the best, VEV with 2", found.fit.log_likelihood, MCLUST["log_likelihood"], 1e-3)
    for kind in (("VEV", 2), ("VEV", 3), ("VVV", 2)):
        numbers.compare(f"BIC of {kind[0]} with {kind[1]}, by mclust", found.values[kind], MCLUST[kind], 0.01)
    part = three.predict(what="component")
    agreement = adjusted_rand(part, species)
    numbers.compare("adjusted Rand index of VEV with 3 and the species", agreement, 0.9039, 1e-3)
    say(f"\nBIC of two clusters and of three differ by less than one. {found.fit.certificate}")

    def paint(*axes: Any) -> None:
        for shape in SHAPES:
            axes[0].plot(range(1, 5), [found.values[shape, k] for k in range(1, 5)], marker="o", label=shape)
        axes[0].set_xticks(range(1, 5))
        label(axes[0], "BIC: the lower the better", "components", "")
        y = np.column_stack([data[name] for name in ("sepal_length", "petal_length")])
        turn = np.linspace(0, 2 * np.pi, 100)
        for i, (mean, matrix) in enumerate(zip(three.params["mean"], three.params["covariance"])):
            root = np.linalg.cholesky(matrix[np.ix_([0, 2], [0, 2])])
            around = mean[[0, 2]][:, None] + np.sqrt(5.991) * root @ np.stack([np.cos(turn), np.sin(turn)])
            axes[1].plot(*around, color=f"C{i}", linewidth=1)
            for kind, marker in enumerate("o^s"):
                own = (part == i) & (species == kind)
                axes[1].scatter(*y[own].T, s=12, color=f"C{i}", marker=marker)
        label(axes[1], "Three clusters (colours, ellipses of 95 %) and the species (signs)", COLUMNS[0], COLUMNS[2])

    draw(picture, 2, paint)
    return numbers.hold and found.best == ("VEV", 2)
