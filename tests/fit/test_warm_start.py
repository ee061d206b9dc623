"""Fits of many rows: where they begin, and what a loose tolerance leaves."""

import importlib
from collections import Counter
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal as signal_processing
from scipy import stats

import jaxmle as jm
from jaxmle.data.tables import Table
from jaxmle.infer import certificate
from jaxmle.objective.build import build
from jaxmle.objective.objective import Objective

N = 20_000


def logistic(seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, N))
    y = rng.uniform(size=N) < 1 / (1 + np.exp(-0.3 - x + 0.5 * z))
    return {"x": x, "z": z, "y": y.astype(float)}


def with_rare_levels() -> dict[str, np.ndarray]:
    """Eighty sites, most of them of few rows; none without both outcomes."""
    data = logistic()
    site = np.zeros(N, int)
    site[: 79 * 8] = np.repeat(np.arange(1, 80), 8)
    site = np.random.default_rng(0).permutation(site)
    for s in range(1, 80):
        rows = np.flatnonzero(site == s)
        data["y"][rows[:2]] = 0.0, 1.0
    return data | {"site": site}


def test_many_rows_begin_at_the_optimum_of_a_sample():
    fit = jm.fit(jm.bernoulli("y ~ x + z"), logistic())
    assert any("drawn at random" in note for note in fit.estimates.notes)
    assert fit.converged
    assert fit.n_steps <= 4


MANY = 560_000


def noise(columns: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {"X": rng.integers(-1, 2, (MANY, columns)).astype(np.int8), "y": rng.integers(0, 2, MANY).astype(float)}


def signal() -> dict[str, np.ndarray]:
    data = noise(20)
    y = np.random.default_rng(6).uniform(size=MANY) < 1 / (1 + np.exp(0.5 - 0.3 * data["X"].sum(axis=1)))
    return {"X": data["X"], "y": y.astype(float)}


def passes(monkeypatch) -> list[tuple[int, np.ndarray]]:
    """Of how many rows, and where, a pass is asked for from now on."""
    asked: list[tuple[int, np.ndarray]] = []
    evaluate = Objective._evaluate

    def noted(self, z, needs, penalised):
        asked.append((sum(len(part.units) for part in self.parts), z))
        return evaluate(self, z, needs, penalised)

    monkeypatch.setattr(Objective, "_evaluate", noted)
    return asked


def test_a_sample_begins_at_the_optimum_of_a_few_of_its_rows_and_corrects_the_last_step(monkeypatch):
    """Two passes over a sample to its optimum and two for the correction; three over all rows, of four without it."""
    data, model = signal(), jm.bernoulli("y", prob=jm.Linear([1, "X"]))
    asked = passes(monkeypatch)
    fit = jm.fit(model, data, tol=100.0)
    assert fit.converged
    counts = Counter(rows for rows, _ in asked)
    sample = min(rows for rows in counts if rows > 2048)
    assert MANY / 33 < sample < MANY / 28
    assert counts[sample] <= 4
    assert counts[MANY] == 3
    tight = jm.fit(model, data)
    gap = np.array(list(fit.coef.values())) - np.array(list(tight.coef.values()))
    assert np.abs(gap / np.array(list(tight.std_errors.values()))).max() <= 1e-3


def test_the_optimum_of_a_few_rows_that_is_worse_than_the_start_is_none(monkeypatch):
    asked = passes(monkeypatch)
    fit = jm.fit(jm.bernoulli("y", prob=jm.Linear([1, "X"])), noise(80))
    assert fit.converged
    few, sample = (sorted({rows for rows, _ in asked})[i] for i in (0, 1))
    tried, begun = [z for rows, z in asked if rows == sample][:2]
    assert np.abs(tried[1:]).max() > 0.01
    assert begun[1:].tolist() == [0.0] * 80
    assert few < sample < MANY / 28


def test_a_samples_optimum_without_a_density_in_another_row_is_no_start():
    """Of a bounded distribution: the sample's estimate of the bound is below the largest of all responses."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=100_000)
    y = 1.0 + 0.5 * x + stats.genextreme.rvs(0.45, size=100_000, random_state=rng)
    fit = jm.fit(jm.gev("y ~ x"), {"x": x, "y": y})
    assert fit.converged
    assert not any("drawn at random" in note for note in fit.estimates.notes)
    c = fit.coef
    value = lambda d: stats.genextreme.logpdf(
        y, -c["shape"] - d[3], c["loc[Intercept]"] + d[0] + (c["loc[x]"] + d[1]) * x, c["scale"] + d[2]
    ).sum()
    assert fit.log_likelihood == pytest.approx(value(np.zeros(4)), rel=1e-12)
    for e in 1e-4 * np.eye(4):  # a tenth of a standard error in any direction is no better
        assert max(value(e), value(-e)) < value(np.zeros(4))


def test_a_sample_that_knows_nothing_of_rare_levels_is_no_start(monkeypatch):
    def never(*args):
        raise AssertionError("a linear program, though every coefficient is known")

    monkeypatch.setattr(certificate, "find_separation", never)
    fit = jm.fit(jm.bernoulli("y ~ x + z + C(site)"), with_rare_levels())
    assert fit.converged
    assert fit.n_steps <= 8
    assert not any("drawn at random" in note for note in fit.estimates.notes)


@pytest.mark.parametrize("tol", [10.0, 1.0, 1e-2])
@pytest.mark.parametrize("data", [logistic, with_rare_levels])
def test_a_loose_tolerance_is_enough_for_a_proof(tol, data):
    formula = "y ~ x + z + C(site)" if data is with_rare_levels else "y ~ x + z"
    fit = jm.fit(jm.bernoulli(formula), data(), tol=tol)
    assert fit.converged
    assert fit.certificate.distance <= 1e-3
    tight = jm.fit(jm.bernoulli(formula), data())
    gap = np.array(list(fit.coef.values())) - np.array(list(tight.coef.values()))
    assert np.abs(gap / np.array(list(tight.std_errors.values()))).max() <= 2e-3


class NearlyThere:
    """A solver that says it is done two hundredths of a standard error from the optimum."""

    def minimise(self, objective, z, watch=None):
        end = jm.Newton().minimise(objective, z, watch)
        at = end.z + 0.02 / np.sqrt(np.diag(end.hessian)) / np.sqrt(len(end.z))
        return replace(end, z=at, value=objective.value(at), gradient=None, hessian=None)


def test_an_early_end_is_said_without_a_long_search(monkeypatch):
    def never(*args):
        raise AssertionError("looked for a maximum at infinity")

    diagnosis = importlib.import_module("jaxmle.infer.diagnosis")
    monkeypatch.setattr(diagnosis, "recession", never)
    with pytest.warns(jm.FitWarning, match="makes no claim of an optimum"):
        fit = jm.fit(jm.bernoulli("y ~ x + z"), logistic(), solver=NearlyThere())
    assert fit.certificate.status == "unfinished"
    assert 1e-3 < fit.certificate.distance < 0.1


def test_several_hundred_parameters_are_proved():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(3_000, 420))
    y = rng.poisson(np.exp(0.2 + 0.02 * x.sum(axis=1))).astype(float)
    fit = jm.fit(jm.poisson("y", rate=jm.Linear([1, "x"])), {"x": x, "y": y})
    assert fit.converged
    assert fit.solver == "LBFGS, then Newton (421 parameters: gradients first, for a Hessian has 421² entries)"
    mean = np.exp(np.column_stack([np.ones(3_000), x]) @ np.array(list(fit.coef.values())))
    np.testing.assert_allclose(np.column_stack([np.ones(3_000), x]).T @ (y - mean), 0.0, atol=1e-4)


def test_columns_that_are_alike_take_few_steps():
    """Neighbours are correlated by 0.99: by gradients alone, some two hundred steps."""
    rng = np.random.default_rng(2)
    x = signal_processing.lfilter([np.sqrt(1 - 0.99**2)], [1, -0.99], rng.normal(size=(12_000, 420)), axis=1)
    y = (rng.uniform(size=12_000) < 1 / (1 + np.exp(-x @ rng.normal(size=420) / 20))).astype(float)
    fit = jm.fit(jm.bernoulli("y", prob=jm.Linear([1, "x"])), {"x": x, "y": y})
    assert fit.converged
    assert fit.n_steps < 25
    design = np.column_stack([np.ones(12_000), x])
    mean = 1 / (1 + np.exp(-design @ np.array(list(fit.coef.values()))))
    np.testing.assert_allclose(design.T @ (y - mean), 0.0, atol=1e-4)


def test_the_hessian_of_some_rows_stands_for_that_of_all():
    """A thousand rows over and over: any thousand of them in a row are all that there are."""
    rng = np.random.default_rng(5)
    once = rng.normal(size=(1_000, 3))
    x, y = np.tile(once, (40, 1)), np.tile(rng.poisson(1.5, size=1_000), 40).astype(float)
    data = Table.read({"x": x, "y": y})
    model = jm.poisson("y", rate=jm.Linear(["x"]))
    for penalty, more in ((None, 0.0), (lambda p: 3.0 * jnp.sum(p["rate"] ** 2), 6.0)):
        o = build(model, data, weights=np.ones(40_000), chunk_rows=1_000, penalty=penalty).objective
        z = np.array([0.2, -0.1, 0.3])
        scale = o.scale
        information = 40 * (once.T * np.exp(once @ (z * scale))) @ once + more * np.eye(3)
        about = o.about_hessian(z, 3_000)
        np.testing.assert_allclose(about, information * scale * scale[:, None], rtol=1e-12)
        assert o.about_hessian(z, 20_000) is None  # so many rows are no sample
