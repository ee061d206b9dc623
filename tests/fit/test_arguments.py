"""The arguments of `jm.fit`: what is held, where it starts, what is added, and who searches."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxmle as jm
from jaxmle.runtime import Compilation

from .models import NORMAL, POISSON, REGRESSION, array, counts, design, fit, irls, normal, poisson

DATA = counts()
BETA, INFORMATION, _ = irls(DATA)


# --- what is held -----------------------------------------------------------------------------------------------------


def test_a_coefficient_that_is_held_is_an_offset():
    """Poisson regression with β_z = 0.25 known: the same as an offset 0.25·z (McCullagh and Nelder, 1989, section 6.2)."""
    model = jm.Model(poisson, {"rate": jm.Linear([1, "x"], link="log", offset="known")})
    held = fit(POISSON, DATA, fixed={"rate[z]": 0.25})
    by_offset = fit(model, dict(DATA, known=0.25 * DATA["z"]))
    assert tuple(held.coef) == ("rate[Intercept]", "rate[x]")
    assert held.df == by_offset.df == 2
    np.testing.assert_allclose(array(held.coef), array(by_offset.coef), rtol=1e-9)
    np.testing.assert_allclose(held.covariance(), by_offset.covariance(), rtol=1e-7)
    np.testing.assert_allclose(held.log_likelihood, by_offset.log_likelihood, rtol=1e-13)
    np.testing.assert_allclose(held.params["rate"], [*held.coef.values(), 0.25])


def test_a_parameter_that_is_held_is_a_known_constant():
    y = np.random.default_rng(1).normal(3, 2, 40)
    expected = y.mean(), 1.5 / np.sqrt(40)
    declared = jm.Model(normal, {"mu": jm.Real(), "sigma": jm.Positive(fixed=1.5)})
    number = jm.Model(normal, {"mu": jm.Real(), "sigma": 1.5})
    for result in (fit(NORMAL, {"y": y}, fixed={"sigma": 1.5}), fit(declared, {"y": y}), fit(number, {"y": y})):
        assert tuple(result.coef) == ("mu",)
        np.testing.assert_allclose([result.coef["mu"], result.std_errors["mu"]], expected, rtol=1e-8)
        assert result.params["sigma"] == 1.5
        assert result.df == 1


def test_a_linear_that_is_held_is_known():
    y, x = np.random.default_rng(2).normal(size=(2, 50))
    declared = jm.Model(normal, {"mu": jm.Linear([1, "x"], fixed=[0.5, -1.0]), "sigma": jm.Positive()})
    sigma = np.sqrt(np.mean((y - 0.5 + x) ** 2))
    for result in (fit(declared, {"y": y, "x": x}), fit(REGRESSION, {"y": y, "x": x}, fixed={"mu": [0.5, -1.0]})):
        assert tuple(result.coef) == ("sigma",)
        np.testing.assert_allclose(result.coef["sigma"], sigma, rtol=1e-7)
        np.testing.assert_allclose(result.params["mu"], [0.5, -1.0])


def test_an_entry_of_an_array_may_be_held():
    density = lambda p, row: -0.5 * jnp.sum((row["y"] - p["m"]) ** 2)
    y = np.random.default_rng(3).normal(size=(30, 3))
    result = fit(jm.Model(density, {"m": jm.Real(shape=3)}), {"y": y}, fixed={"m[1]": 7.0})
    assert tuple(result.coef) == ("m[0]", "m[2]")
    np.testing.assert_allclose(result.params["m"], [y[:, 0].mean(), 7.0, y[:, 2].mean()], rtol=1e-9)


# --- where it starts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "start",
    [
        {"rate": 0.1},
        {"rate": [1.0, 0.0, 0.0]},
        {"rate": np.array([0.3, -0.5, 0.5])},
        {"rate[x]": 0.4},
        {"rate[Intercept]": np.float32(2.0), "rate[z]": -1},
    ],
)
def test_starts_by_parameter_or_coefficient_lead_to_the_same_optimum(start):
    np.testing.assert_allclose(array(fit(POISSON, DATA, start=start).coef), BETA, rtol=1e-8)


def test_a_fit_starts_where_another_ended():
    first = fit(POISSON, DATA)
    again = fit(POISSON, DATA, start=first.params)
    by_name = fit(POISSON, DATA, start=first.coef)
    assert max(again.n_steps, by_name.n_steps) <= 1 < first.n_steps
    np.testing.assert_allclose(array(again.coef), BETA, rtol=1e-9)


def test_a_start_is_where_the_search_begins():
    seen = []
    fit(NORMAL, {"y": [1.0, 2.0, 4.0]}, start={"mu": 1.25, "sigma": 2.0}, callback=seen.append, max_steps=50)
    assert [p.step for p in seen] == list(range(1, len(seen) + 1))
    two = 0.5 * ((np.array([1.0, 2.0, 4.0]) - 1.25) / 2) ** 2 + np.log(2) + 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(seen[0].value, two.sum(), rtol=1e-13)  # the first step overshoots and is refused
    assert seen[-1].value < two.sum() - 0.9
    mixture = jm.Model(
        lambda p, row: jnp.logaddexp(-0.5 * (row["y"] - p["a"]) ** 2, -0.5 * (row["y"] - p["b"]) ** 2),
        {"a": jm.Real(), "b": jm.Real()},
    )
    y = np.concatenate([np.linspace(-5, -3, 20), np.linspace(3, 6, 20)])
    left = fit(mixture, {"y": y}, start={"a": -3.0, "b": 3.0})
    right = fit(mixture, {"y": y}, start={"a": 3.0, "b": -3.0})
    assert left.coef["a"] < 0 < right.coef["a"]
    np.testing.assert_allclose(left.coef["a"], right.coef["b"], rtol=1e-7)


# --- penalties and priors ---------------------------------------------------------------------------------------------


def test_a_quadratic_penalty_is_ridge_regression():
    """(XᵀX/σ² + λI)⁻¹ Xᵀy/σ², σ = 2 known (Hoerl and Kennard, 1970)."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(40, 3))
    y = x @ [1.0, 2.0, 3.0] + rng.normal(size=40)
    model = jm.Model(normal, {"mu": jm.Linear("X"), "sigma": 2.0})
    result = fit(model, {"y": y, "X": x}, penalty=lambda p: 0.5 * 7.0 * jnp.sum(p["mu"] ** 2))
    information = x.T @ x / 4 + 7.0 * np.eye(3)
    beta = np.linalg.solve(information, x.T @ y / 4)
    np.testing.assert_allclose(array(result.coef), beta, rtol=1e-8)
    np.testing.assert_allclose(result.covariance(), np.linalg.inv(information), rtol=1e-6)
    log_likelihood = np.sum(-0.5 * ((y - x @ beta) / 2) ** 2 - np.log(2) - 0.5 * np.log(2 * np.pi))
    np.testing.assert_allclose(result.log_likelihood, log_likelihood, rtol=1e-12)
    assert "penalised" in str(result).lower() or "posterior mode" in str(result).lower()


class NormalPrior:
    def log_prob(self, theta):
        return -0.5 * ((theta - 1.0) / 0.5) ** 2


@pytest.mark.parametrize("prior", [NormalPrior(), NormalPrior().log_prob])
def test_a_normal_prior_gives_the_conjugate_posterior_mode(prior):
    """Known variance: precision-weighted mean of prior and sample (Gelman et al., 2013, equation 2.12)."""
    y = np.random.default_rng(5).normal(3, 2, 20)
    result = fit(jm.Model(normal, {"mu": jm.Real(prior=prior), "sigma": 2.0}), {"y": y})
    precision = 1 / 0.25 + 20 / 4
    np.testing.assert_allclose(result.coef["mu"], (1.0 / 0.25 + y.sum() / 4) / precision, rtol=1e-9)
    np.testing.assert_allclose(result.std_errors["mu"], precision**-0.5, rtol=1e-7)
    assert "posterior mode" in str(result)


def test_a_prior_on_the_coefficients_of_a_linear_is_ridge_too():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(30, 2))
    y = x @ [1.0, -1.0] + rng.normal(size=30)
    model = jm.Model(normal, {"mu": jm.Linear("X", prior=lambda b: -0.5 * 3.0 * b**2), "sigma": 1.0})
    expected = np.linalg.solve(x.T @ x + 3 * np.eye(2), x.T @ y)
    np.testing.assert_allclose(array(fit(model, {"y": y, "X": x}).coef), expected, rtol=1e-8)


def test_a_prior_on_a_positive_parameter_has_no_jacobian():
    """The mode on the natural scale: a Gamma(3, 2) prior on a Poisson rate gives (3 − 1 + Σy)/(2 + n)."""
    y = np.array([1, 0, 3, 2, 2])
    prior = lambda rate: 2 * jnp.log(rate) - 2 * rate
    result = fit(jm.Model(poisson, {"rate": jm.Positive(prior=prior)}), {"y": y})
    np.testing.assert_allclose(result.coef["rate"], (2 + y.sum()) / (2 + 5), rtol=1e-9)


def test_an_offset_is_a_term_of_known_coefficient():
    """Counts per exposure: exp(β̂) = Σy/Σexposure."""
    y, exposure = np.array([3, 0, 7, 2]), np.array([1.0, 0.5, 4.0, 1.0])
    model = jm.Model(poisson, {"rate": jm.Linear([1], link="log", offset=["log_e", "more"])})
    result = fit(model, {"y": y, "log_e": np.log(exposure), "more": np.full(4, 0.5)})
    np.testing.assert_allclose(result.coef["rate[Intercept]"], np.log(y.sum() / exposure.sum()) - 0.5, rtol=1e-7)


# --- who searches -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "solver",
    ["newton", "lbfgs", "newton_cg", "bhhh", jm.Newton(), jm.LBFGS(memory=5), jm.NewtonCG(), jm.BHHH(),
     jm.MultiStart(starts=3), jm.MultiStart(starts=2, solver=jm.LBFGS())],
    ids=str,
)  # fmt: skip
def test_all_solvers_agree(solver):
    result = fit(POISSON, DATA, solver=solver)
    assert result.converged
    errors = np.sqrt(np.diag(np.linalg.inv(INFORMATION)))
    assert np.max(np.abs(array(result.coef) - BETA) / errors) < 1e-5
    np.testing.assert_allclose(result.covariance(), np.linalg.inv(INFORMATION), rtol=1e-4)
    assert result.solver.endswith("(as asked)")


def test_minibatches_come_near_and_claim_nothing():
    solver = jm.Minibatch(optax.adam(0.02), batch=50, epochs=40)
    with pytest.warns(jm.FitWarning, match="standard errors"):
        result = fit(POISSON, DATA, solver=solver)
    assert not result.converged
    errors = np.sqrt(np.diag(np.linalg.inv(INFORMATION)))
    assert np.max(np.abs(array(result.coef) - BETA) / errors) < 0.5
    same = fit(POISSON, DATA, solver="lbfgs", start=result.params)
    np.testing.assert_allclose(array(same.coef), BETA, rtol=1e-6)


def test_the_optima_of_many_starts_are_listed_best_first():
    """Two modes of known depth: y is at −3 twice as often as at 3, so that the better centre is −3."""
    density = lambda p, row: -jnp.log1p((row["y"] - p["m"]) ** 2)
    y = np.repeat([-3.0, 3.0], [20, 10])
    result = fit(jm.Model(density, {"m": jm.Real()}), {"y": y}, solver=jm.MultiStart(starts=8, spread=4.0))
    assert len(result.optima) == 2
    (best, at), (second, there) = result.optima
    assert best > second
    assert at["m"] == result.coef["m"] < 0 < there["m"]
    np.testing.assert_allclose(best, result.log_likelihood, rtol=1e-12)
    np.testing.assert_allclose(second, -np.log1p((y - there["m"]) ** 2).sum(), rtol=1e-9)


def test_a_solver_of_ones_own_needs_one_method():
    class Descent:
        def minimise(self, objective, z, watch=None):
            return jm.Newton(tol=1e-10).minimise(objective, z, watch)

    np.testing.assert_allclose(array(fit(POISSON, DATA, solver=Descent()).coef), BETA, rtol=1e-8)


def test_the_tolerance_is_the_log_likelihood_still_to_be_gained():
    best = fit(POISSON, DATA).log_likelihood
    steps = []
    for tol in (1e-12, 1e-3, 10.0):
        with contextlib.nullcontext() if tol < 1 else pytest.warns(jm.FitWarning):
            result = fit(POISSON, DATA, tol=tol, solver=jm.LBFGS())
        steps.append(result.n_steps)
        assert best - result.log_likelihood <= 10 * tol
    assert steps[0] > steps[1] > steps[2]


def test_too_few_steps_are_said_to_be():
    with pytest.warns(jm.FitWarning, match="after 2 steps.*max_steps"):
        result = fit(POISSON, DATA, max_steps=2, start={"rate": [3.0, 1.0, 1.0]})
    assert (result.n_steps, result.certificate.status, result.converged) == (2, "max_steps", False)
    assert np.isnan(array(result.std_errors)).all()
    assert set(result.withheld) == set(result.coef)
    assert np.isnan(array(result.confint())).all()


def test_a_callback_sees_every_step_and_may_stop_the_search():
    seen = []

    def watch(progress):
        seen.append(progress)
        if progress.step == 2:
            raise KeyboardInterrupt

    with pytest.warns(jm.FitWarning, match="start=fit.params"):
        result = fit(POISSON, DATA, callback=watch, start={"rate": [3.0, 1.0, 1.0]})
    assert [p.step for p in seen] == [1, 2]
    assert seen[1].value < seen[0].value
    assert seen[0].z.shape == (3,)
    assert result.certificate.status == "interrupted"
    assert not result.converged
    np.testing.assert_allclose(result.log_likelihood, -seen[1].value, rtol=1e-12)  # the best point is returned
    assert np.isnan(array(result.std_errors)).all()
    np.testing.assert_allclose(array(fit(POISSON, DATA, start=result.params).coef), BETA, rtol=1e-8)


def test_other_errors_of_a_callback_are_the_user_s_own():
    def watch(progress):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        fit(POISSON, DATA, callback=watch)


@pytest.mark.parametrize("progress", [None, False])
def test_a_fit_prints_nothing(progress, capfd):
    density = lambda p, row: poisson(p, row)  # a new program, that is compiled here
    jm.fit(jm.Model(density, {"rate": jm.Linear([1, "x"], link="log")}), DATA, progress=progress)
    assert capfd.readouterr() == ("", "")


def test_the_same_key_gives_the_same_fit():
    solver = jm.MultiStart(starts=3)
    a, b = (fit(POISSON, DATA, solver=solver, key=5) for _ in range(2))
    assert a.coef == b.coef
    assert a.log_likelihood == b.log_likelihood


def test_a_second_fit_compiles_nothing_and_flags_are_untouched():
    fit(POISSON, DATA)
    before = {name: getattr(jax.config, name) for name in ("jax_enable_x64", "jax_default_matmul_precision")}
    with Compilation() as compilation:
        fit(POISSON, counts(seed=3))
    assert compilation.count == 0
    assert before == {name: getattr(jax.config, name) for name in before}
    assert before["jax_enable_x64"] is False
    assert jnp.ones(3).dtype == jnp.float32


def test_chunks_do_not_change_the_fit():
    data = counts(n=3000, seed=1)
    expected, information, _ = irls(data)
    for rows in (64, 1000, 8192):
        result = fit(POISSON, data, chunk_rows=rows)
        np.testing.assert_allclose(array(result.coef), expected, rtol=1e-9)
        np.testing.assert_allclose(result.covariance(), np.linalg.inv(information), rtol=1e-6)
    assert design(data).shape == (3000, 3)
