"""How often intervals hold the truth: a longer study, whose table is in docs/coverage.md.

`python -m pytest -m slow tests/infer/test_coverage.py` runs it (minutes), `python -m tests.infer.test_coverage` prints the table.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import chdtri, ndtri

import jaxmle as jm

pytestmark = pytest.mark.slow

LEVEL = 0.95
Z, DROP = ndtri(0.5 + LEVEL / 2), chdtri(1, 1 - LEVEL)
SAMPLES, BOOTSTRAPPED, DRAWS = 4000, 400, 500


@dataclass(frozen=True)
class Setting:
    """A true model, what is fitted, which coefficient is looked at, and its true value."""

    model: object
    data: object
    name: str
    truth: float
    log: bool = False
    """Whether the Wald interval is formed on the logarithm."""

    def samples(self, n_samples, seed):
        return self.data(np.random.default_rng(seed), n_samples)


def logistic(rng, g, n=60):
    x = np.linspace(-1.5, 1.5, n)
    return {"y": (rng.random((g, n)) < 1 / (1 + np.exp(0.5 - x))).astype(float), "x": x}


def gamma(rng, g, n=20):
    return {"y": rng.gamma(2.0, 1.0, (g, n))}


def weibull(rng, g, n=15):
    return {"y": rng.weibull(1.5, (g, n))}


def overdispersed(rng, g, n=150):
    x = np.linspace(-1.0, 1.0, n)
    mean = np.exp(1 + 0.5 * x)
    return {"y": rng.negative_binomial(2, 2 / (2 + mean), (g, n)).astype(float), "x": x}


SETTINGS = {
    "logistic slope, 60 rows": Setting(jm.bernoulli("y ~ x"), logistic, "prob[x]", 1.0),
    "gamma dispersion, 20 rows": Setting(jm.gamma("y"), gamma, "dispersion", 0.5, log=True),
    "Weibull shape, 15 rows": Setting(jm.weibull("y"), weibull, "shape", 1.5, log=True),
    "Poisson slope of overdispersed counts, 150 rows": Setting(jm.poisson("y ~ x"), overdispersed, "rate[x]", 0.5),
}
WRONG = "Poisson slope of overdispersed counts, 150 rows"


def wald_and_profile(setting):
    """The shares of Wald and of profile intervals that hold the truth; a profile's does where 2(max − l at it) ≤ χ²."""
    data = setting.samples(SAMPLES, 1)
    fits, held = jm.fit_many(setting.model, data), jm.fit_many(setting.model, data, fixed={setting.name: setting.truth})
    i = list(fits.names).index(setting.name)
    fine = fits.converged & held.converged
    value, error = fits.coef[fine, i], fits.std_errors[fine, i]
    distance = np.log(value / setting.truth) / (error / value) if setting.log else (value - setting.truth) / error
    return np.mean(np.abs(distance) <= Z), np.mean(2 * (fits.log_likelihood - held.log_likelihood)[fine] <= DROP)


def others(setting, kinds=("percentile", "bca", "studentised"), covariances=("HC0", "HC1", "HC3")):
    """The shares of bootstrap intervals, and of Wald intervals by other covariances, that hold the truth."""
    data, inside = setting.samples(BOOTSTRAPPED, 2), {k: [] for k in (*kinds, *covariances)}
    for y in data["y"]:
        fit = jm.fit(setting.model, data | {"y": y})
        if not fit.converged:
            continue
        draws = fit.bootstrap(DRAWS)
        ends = {kind: draws.confint(LEVEL, method=kind)[setting.name] for kind in kinds}
        ends |= {kind: fit.with_covariance(kind).confint(LEVEL)[setting.name] for kind in covariances}
        for kind, (low, high) in ends.items():
            inside[kind].append(low <= setting.truth <= high)
    return {kind: np.mean(values) for kind, values in inside.items()}


def rows():
    """The table: one row a setting."""
    warnings.simplefilter("ignore")
    for name, setting in SETTINGS.items():
        wald, profile = wald_and_profile(setting)
        yield name, {"Wald": wald, "profile": profile} | others(setting)


def by_chance(share, n):
    """Three standard errors of a share of n samples."""
    return 3 * np.sqrt(share * (1 - share) / n)


@pytest.mark.parametrize("name", [n for n in SETTINGS if n != WRONG])
def test_profile_intervals_hold_the_truth_as_often_as_they_say(name):
    """The exact distribution is χ²'s but for O(1/n): 4 % are allowed for the smallest sample."""
    _, profile = wald_and_profile(SETTINGS[name])
    assert abs(profile - LEVEL) < by_chance(LEVEL, SAMPLES) + 0.04


def test_a_wrong_model_needs_the_sandwich():
    """Counts of variance m + m²/2 have 2.4 times the variance of Poisson's at the middle mean: intervals are 1.5 too short."""
    setting = SETTINGS[WRONG]
    wald, _ = wald_and_profile(setting)
    assert wald < 0.85
    shares = others(setting, kinds=("percentile",), covariances=("HC1", "HC3"))
    for share in shares.values():
        assert abs(share - LEVEL) < by_chance(LEVEL, BOOTSTRAPPED) + 0.015


if __name__ == "__main__":
    heads = None
    for name, found in rows():
        if heads is None:
            heads = list(found)
            print(
                "| 95 % intervals that hold the truth, % | "
                + " | ".join(heads)
                + " |\n| --- |"
                + " ---: |" * len(heads)
            )
        print(f"| {name} | " + " | ".join(f"{100 * found[h]:.1f}" for h in heads) + " |", flush=True)
