"""Fits by minibatches: what is held out, precision, penalties, weights, groups, and what the result claims."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxmle as jm
from jaxmle.data.tables import Table
from jaxmle.objective.build import build

rng = np.random.default_rng(3)
N = 400
U = rng.standard_normal((N, 4))
V = (rng.random(N) < 1 / (1 + np.exp(-U @ [1.0, -1.0, 0.5, 0.0]))).astype(int)
DATA = {"u": U, "v": V, "w": 1.0 + np.arange(N) % 3, "late": np.arange(N) >= 300, "g": np.arange(N) // 4}
START = {"a": 0.3 * rng.standard_normal((4, 3)), "b": 0.3 * rng.standard_normal(3)}
ADAM = optax.adam(0.02)

pytestmark = pytest.mark.filterwarnings("ignore::jaxmle.FitWarning")


def bernoulli(p, row):
    eta = jnp.tanh(row["u"] @ p["mini"]["a"]) @ p["mini"]["b"]
    return row["v"] * eta - jnp.logaddexp(0.0, eta)


MODEL = jm.Model(bernoulli, {"mini": jm.Tree(START)})


def built(model=MODEL, weights=None, **kwargs):
    return build(model, Table.read(DATA), weights=np.ones(N) if weights is None else weights, **kwargs).objective


@pytest.mark.parametrize("kwargs", [{}, {"weights": DATA["w"]}, {"penalty": lambda p: jnp.sum(p["mini"]["a"] ** 2)}])
def test_values_and_gradients_of_batches_are_those_of_the_objective(kwargs):
    objective = built(**kwargs)
    z = np.linspace(-1, 1, objective.size)
    value, gradient = objective.value_and_grad(z)
    for precision, rtol in ((None, 1e-12), ("float32", 1e-4)):
        batches, data = objective.batches(precision)
        with jm.runtime.x64():
            point = jnp.asarray(z, batches.dtype)
            found = batches.gradient(point, data, np.arange(N), 1.0)
            total = batches.value(point, data, np.arange(N), 1.0) + batches.penalty(point, data)
        np.testing.assert_allclose((found[0], total), value, rtol=rtol)
        np.testing.assert_allclose(found[1], gradient, rtol=rtol, atol=rtol * np.abs(gradient).max())
        assert found[1].dtype == batches.dtype


def test_two_devices_are_gathered_on_one():
    objective = built(placement=jm.objective.placement.Placement.of("cpu"), chunk_rows=50)
    assert len(objective.parts) == 2
    batches, data = objective.batches()
    z, some = np.linspace(-1, 1, objective.size), np.array([0, 399, 200, 17])
    with jm.runtime.x64():
        np.testing.assert_allclose(batches.value(z, data, some, 1.0), -objective.terms(z)[some].sum(), rtol=1e-12)


def test_a_linear_predictor_and_held_values():
    """A step over all rows in one batch is one of gradient descent in the solver's own coordinates."""
    model = jm.Model(
        lambda p, row: -0.5 * ((row["v"] - p["mini_mean"]) / p["mini_sd"]) ** 2 - jnp.log(p["mini_sd"]),
        {"mini_mean": jm.Linear("~ w"), "mini_sd": jm.Positive()},
    )
    start, held = {"mini_mean[w]": 0.2, "mini_sd": 2.0}, {"mini_mean[Intercept]": 0.5}
    fit = jm.fit(model, DATA, start=start, fixed=held, solver=jm.Minibatch(optax.sgd(1e-3), batch=N, epochs=1))
    w, v = DATA["w"], DATA["v"]
    residual = v - 0.5 - 0.2 * w
    scale = built(model, fixed=held).scale
    slope = 0.2 + 1e-3 * scale[0] ** 2 * np.sum(residual * w) / 4
    spread = np.log(2.0) + 1e-3 * np.sum(residual**2 / 4 - 1)
    np.testing.assert_allclose([fit.coef["mini_mean[w]"], fit.coef["mini_sd"]], [slope, np.exp(spread)], rtol=1e-10)


def test_a_column_says_what_is_held_out():
    solver = jm.Minibatch(ADAM, batch=50, epochs=3, validation="late")
    fit = jm.fit(MODEL, DATA, solver=solver)
    mask = jm.fit(MODEL, DATA, solver=jm.Minibatch(ADAM, batch=50, epochs=3, validation=DATA["late"]))
    assert fit.coef == mask.coef
    changed = DATA | {"v": np.where(DATA["late"], 1 - V, V)}  # the search reads no response that is held out,
    other = jm.fit(MODEL, changed, solver=jm.Minibatch(ADAM, batch=50, epochs=1, validation="late"))
    once = jm.fit(MODEL, DATA, solver=jm.Minibatch(ADAM, batch=50, epochs=1, validation="late"))
    assert other.coef == once.coef
    assert other.log_likelihood != once.log_likelihood  # which is of all rows
    with pytest.raises(jm.DataError, match="validation='w' names a column that must be true or false"):
        jm.fit(MODEL, DATA, solver=jm.Minibatch(ADAM, validation="w"))
    with pytest.raises(jm.DataError, match="'lat'"):
        jm.fit(MODEL, DATA, solver=jm.Minibatch(ADAM, validation="lat"))


def test_single_precision_is_finished_by_no_other_search():
    fit = jm.fit(MODEL, DATA, solver=jm.Minibatch(ADAM, batch=50, epochs=4), precision="float32")
    own = jm.fit(MODEL, DATA, solver=jm.Minibatch(ADAM, batch=50, epochs=4, precision="float32"))
    double = jm.fit(MODEL, DATA, solver=jm.Minibatch(ADAM, batch=50, epochs=4))
    assert fit.n_steps == own.n_steps == double.n_steps == 4
    assert fit.coef == own.coef
    np.testing.assert_allclose(list(fit.coef.values()), list(double.coef.values()), atol=1e-4)
    terms = jax.vmap(lambda u, v: bernoulli(fit.params, {"u": u, "v": v}))
    with jm.runtime.x64():
        np.testing.assert_allclose(fit.log_likelihood, terms(jnp.asarray(U), V).sum(), rtol=1e-12)


def test_groups_of_one_size_are_sampled_whole():
    def group(p, rows, mask):
        eta = jnp.tanh(rows["u"] @ p["mini"]["a"]) @ p["mini"]["b"]
        return jnp.sum(jnp.where(mask, rows["v"] * eta - jnp.logaddexp(0.0, eta), 0.0))

    by_group = jm.Model(group, {"mini": jm.Tree(START)}, unit="g")
    fit = jm.fit(by_group, DATA, solver=jm.Minibatch(optax.sgd(1e-3), batch=100, epochs=2))
    rows = jm.fit(MODEL, DATA, solver=jm.Minibatch(optax.sgd(1e-3), batch=400, epochs=2))
    np.testing.assert_allclose(list(fit.coef.values()), list(rows.coef.values()), rtol=1e-9)


def test_many_parameters_form_no_hessian_and_claim_no_optimum():
    wide = {"a": 0.1 * rng.standard_normal((4, 101)), "b": 0.1 * rng.standard_normal(101)}
    with pytest.warns(jm.FitWarning, match="no optimum is claimed: Minibatch takes so many steps"):
        fit = jm.fit(jm.Model(bernoulli, {"mini": jm.Tree(wide)}), DATA, solver=jm.Minibatch(ADAM, batch=100, epochs=2))
    assert fit.certificate.status == "not_proved"
    assert fit.session.hessian is None
    _, gradient = fit.session.objective.value_and_grad(fit.session.z)
    np.testing.assert_allclose(fit.certificate.gradient, np.abs(gradient).max(), rtol=1e-9)


def big():
    """50,003 numbers, of which a density uses a few."""
    tree = {"wide": np.zeros((200, 250)), "b": np.array([0.1, -0.2, 0.3])}
    density = lambda p, row: bernoulli({"mini": {"a": p["deep"]["wide"][:4, :3], "b": p["deep"]["b"]}}, row)
    solver = jm.Minibatch(ADAM, batch=200, epochs=1)
    return jm.fit(jm.Model(density, {"deep": jm.Tree(tree), "shift": jm.Real(fixed=0.0)}), DATA, solver=solver)


def test_fifty_thousand_parameters_are_shown_by_array_and_saved_small(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")  # no line is broken
    fit = big()
    text = str(fit)
    assert len(text.splitlines()) < 25
    wide = fit.params["deep"]["wide"]
    assert "deep: 50,003 numbers in 2 arrays" in text
    line = next(line for line in text.splitlines() if "['wide']" in line)
    assert "200 × 250" in line
    assert f"to {wide.max():.3g}" in line
    assert "and 49," not in text  # nothing is said to be hidden
    with pytest.raises(jm.ModelError, match=r"50,003² numbers \(20 GB\)"):
        fit.covariance()
    assert np.isnan(fit.std_errors["deep['b'][1]"])
    path = tmp_path / "fit.npz"
    fit.save(path)
    assert path.stat().st_size < 3_000_000
    again = jm.load(path)
    np.testing.assert_array_equal(again.params["deep"]["wide"], wide)
    assert str(again) == text
