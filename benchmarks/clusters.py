"""Row N: a mixture of ten multivariate normals with free covariance matrices, every tool from the same start.

The parameters are one vector: the shares (k,), the means (k·d,) and the covariance matrices (k·d·d,).
"""

from __future__ import annotations

import numpy as np

from .case import Case, Data

COMPONENTS = 10


class Clusters(Case):
    """`X` (n, d) from ten clusters that overlap; `weight`, `mean` and `covariance` are where the search begins."""

    name, row = "clusters", "N"
    peers = ("jaxmle", "sklearn-em")
    sizes = ((200_000, 8),)
    quick_sizes = ((20_000, 4),)

    def simulate(self, n: int, p: int, seed: int = 0) -> Data:
        rng = np.random.default_rng([seed, n, p])
        centres = 8 / p * rng.normal(size=(COMPONENTS, p))  # as far apart in few dimensions
        roots = np.eye(p) + 0.3 * rng.normal(size=(COMPONENTS, p, p))
        of = rng.choice(COMPONENTS, size=n, p=rng.dirichlet(np.full(COMPONENTS, 20.0)))
        X = centres[of] + np.einsum("nij,nj->ni", roots[of], rng.normal(size=(n, p)))
        nearest = ((X[:, None, :] - centres) ** 2).sum(axis=2).argmin(axis=1)
        parts = [X[nearest == i] for i in range(COMPONENTS)]
        return {
            "X": X,
            "weight": np.array([len(part) / n for part in parts]),
            "mean": np.stack([part.mean(axis=0) for part in parts]),
            "covariance": np.stack([np.cov(part.T, bias=True) for part in parts]),
        }

    def respond(self, rng: np.random.Generator, eta: np.ndarray) -> Data:
        raise NotImplementedError

    def start(self, data: Data) -> np.ndarray:
        return np.concatenate([data[name].ravel() for name in ("weight", "mean", "covariance")])

    def terms(self, theta: np.ndarray, data: Data) -> np.ndarray:
        d = data["X"].shape[1]
        weight, mean, covariance = np.split(theta, np.cumsum([COMPONENTS, COMPONENTS * d]))
        joint = []
        for w, m, s in zip(weight, mean.reshape(-1, d), covariance.reshape(-1, d, d)):
            lower = np.linalg.cholesky(s)
            z = np.linalg.solve(lower, (data["X"] - m).T)
            size = 2 * np.log(np.diag(lower)).sum() + d * np.log(2 * np.pi)
            joint.append(np.log(w) - 0.5 * ((z**2).sum(axis=0) + size))
        return np.logaddexp.reduce(joint, axis=0)
