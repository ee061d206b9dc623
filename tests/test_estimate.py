"""`jm.estimate`: its values are those of `jm.fit`, its derivatives those of closed forms and of differences of fits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmle as jm

N = 60
RNG = np.random.default_rng(7)
X = RNG.normal(size=N)
Y = RNG.poisson(np.exp(0.5 + 0.3 * X)).astype(float)
DATA = {
    "x": X,
    "y": Y,
    "site": np.array(["a", "b", "c"])[np.arange(N) % 3],
    "person": np.arange(N) // 4,
    "hours": RNG.uniform(1, 2, N),
}
POISSON = jm.poisson("y ~ x")


def normal(p, row):
    return -0.5 * ((row["y"] - p["mean"]) / p["sd"]) ** 2 - jnp.log(p["sd"])


NORMAL = jm.Model(normal, {"mean": jm.Real(), "sd": jm.Positive()})


def sech(p, row):
    return -jnp.log(jnp.cosh((row["y"] - p["centre"]) / p["width"])) - jnp.log(p["width"])


SECH = jm.Model(sech, {"centre": jm.Linear([1, "x"]), "width": jm.Positive()})


def difference(f, at=0.0, step=1e-4):
    return (f(at + step) - f(at - step)) / (2 * step)


@pytest.fixture(params=[False, True], ids=["float32", "float64"])
def wide(request):
    with jax.enable_x64(request.param):
        yield request.param


def test_a_mean_and_a_standard_deviation_move_as_closed_forms_say(wide):
    f = lambda y: jm.estimate(NORMAL, {"y": y})
    slopes = jax.jacobian(f)(jnp.asarray(Y))
    np.testing.assert_allclose(slopes["mean"], np.full(N, 1 / N), rtol=1e-5)
    np.testing.assert_allclose(slopes["sd"], (Y - Y.mean()) / (N * Y.std()), rtol=1e-4, atol=1e-7)
    assert f(Y)["sd"].dtype == (jnp.float64 if wide else jnp.float32)
    np.testing.assert_allclose(f(Y)["sd"], Y.std(), rtol=1e-12 if wide else 1e-6)


def test_second_derivatives(wide):
    """log of the mean of s·y: its derivatives in s at 1 are 1 and -1."""
    f = lambda s: jm.estimate(jm.poisson("y"), {"y": s * jnp.asarray(Y)})["rate"]
    log_rate = lambda s: jnp.log(jnp.squeeze(f(s)))
    np.testing.assert_allclose(jax.grad(log_rate)(1.0), 1.0, rtol=1e-5)
    twice = jax.grad(jax.grad(log_rate)) if wide else jax.jacfwd(jax.jacfwd(log_rate))
    np.testing.assert_allclose(twice(1.0), -1.0, rtol=1e-4)


def test_weights_move_it_by_the_influence_of_rows(wide):
    """d beta / d w_i = (X' W X)^-1 x_i (y_i - mu_i), of the Poisson regression."""
    slopes = jax.jacobian(lambda w: jm.estimate(POISSON, DATA, weights=w)["rate"])(jnp.ones(N))
    design = np.stack([np.ones(N), X], axis=1)
    mu = np.exp(design @ jm.fit(POISSON, DATA).params["rate"])
    expected = np.linalg.solve(design.T @ (mu[:, None] * design), design.T * (Y - mu))
    np.testing.assert_allclose(slopes, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("how", [jax.jacfwd, jax.jacrev])
def test_a_covariate_a_held_value_and_a_penalty_move_it_as_refits_do(how):
    moved = X.copy()

    def refit(step):
        moved[3] = X[3] + step
        return jm.fit(POISSON, DATA | {"x": moved}).params["rate"]

    slope = how(lambda x: jm.estimate(POISSON, DATA | {"x": x})["rate"])(jnp.asarray(X))
    np.testing.assert_allclose(slope[:, 3], difference(refit), rtol=1e-4)
    for name, value in {"width": 0.5, "centre[x]": 0.1}.items():
        held = how(lambda a, name=name: jm.estimate(SECH, DATA, fixed={name: a})["centre"])(value)
        refit = lambda a, name=name: jm.fit(SECH, DATA, fixed={name: a}).params["centre"]
        np.testing.assert_allclose(held, difference(refit, value), rtol=1e-4)
    ridge = lambda strength: lambda p: strength * jnp.sum(p["rate"] ** 2)
    held = how(lambda a: jm.estimate(POISSON, DATA, penalty=ridge(a))["rate"])(2.0)
    refit = lambda a: jm.fit(POISSON, DATA, penalty=ridge(a)).params["rate"]
    np.testing.assert_allclose(held, difference(refit, 2.0), rtol=1e-4)


def autoregressive(p, data):
    before = jnp.concatenate([jnp.zeros(1), data["y"][:-1]])
    return -0.5 * (data["y"] - p["loc"] - p["phi"] * before) ** 2


def within(p, rows, mask):
    centred = rows["y"] - jnp.sum(rows["y"] * mask) / jnp.sum(mask)
    return jnp.sum(jnp.where(mask, -0.5 * (centred - p["mean"]) ** 2, 0.0))


MODELS = {
    "formula": jm.poisson("y ~ x + C(site)", exposure="hours"),
    "bound": jm.ordinal("site ~ x"),
    "two predictors": jm.normal("y ~ x", sd="~ x"),
    "columns": jm.Model(normal, {"mean": jm.Linear([1, "x"]), "sd": jm.Linear([1, "hours"], link="log")}),
    "whole": jm.Model(autoregressive, {"loc": jm.Linear([1, "x"]), "phi": jm.Real()}, unit="all"),
    "groups": jm.Model(within, {"mean": jm.Linear(["x"])}, unit="person"),
}


@pytest.mark.parametrize("name", MODELS)
def test_it_is_what_fit_finds(name):
    model, fit = MODELS[name], jm.fit(MODELS[name], DATA)
    found = jm.estimate(model, DATA)
    assert list(found) == list(fit.params)
    for parameter, value in fit.params.items():
        np.testing.assert_allclose(found[parameter], value, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["columns", "whole", "groups"])
def test_rows_of_every_unit_can_be_traced(name):
    model, direction = MODELS[name], RNG.normal(size=N)
    first = next(iter(model.params))
    f = lambda t: jm.estimate(model, DATA | {"y": jnp.asarray(Y) + t * direction})[first]
    refit = lambda t: jm.fit(model, DATA | {"y": Y + t * direction}).params[first]
    np.testing.assert_allclose(jax.jit(jax.jacfwd(f))(0.0), difference(refit), rtol=1e-3, atol=1e-6)


def test_many_at_once():
    ys = RNG.poisson(2.0, (3, N)).astype(float)
    found = jax.vmap(lambda y: jm.estimate(POISSON, {"x": X, "y": y})["rate"])(jnp.asarray(ys))
    for y, each in zip(ys, found):
        np.testing.assert_allclose(each, jm.fit(POISSON, {"x": X, "y": y}).params["rate"], rtol=1e-5)


def test_many_rows_are_cut_into_chunks():
    n = 20_000
    y = RNG.poisson(3.0, n).astype(float)
    found, slope = jax.value_and_grad(lambda y: jnp.squeeze(jm.estimate(jm.poisson("y"), {"y": y})["rate"]))(
        jnp.asarray(y)
    )
    np.testing.assert_allclose(found, y.mean(), rtol=1e-6)
    np.testing.assert_allclose(slope, 1 / n, rtol=1e-5)


def test_it_is_compiled_once():
    jm.estimate(NORMAL, {"y": Y})
    with jm.runtime.Compilation() as compiled:
        jm.estimate(NORMAL, {"y": Y + 1})
    assert compiled.seconds < 0.5


def test_what_has_no_maximum_is_nan():
    separated = jm.estimate(jm.bernoulli("late ~ x"), {"x": X, "late": X > 0})["prob"]
    assert np.isnan(separated).all()
    assert np.isnan(jm.estimate(POISSON, DATA, max_steps=1)["rate"]).all()


@pytest.mark.parametrize(
    ("words", "make"),
    [
        ("takes a jm.Model", lambda x: jm.estimate("y ~ x", DATA)),
        ("mapping of names", lambda x: jm.estimate(POISSON, [1, 2])),
        ("max_steps", lambda x: jm.estimate(POISSON, DATA, max_steps=0)),
        ("'y'", lambda x: jm.estimate(POISSON, {"x": x})),
        ("does more than add columns up", lambda x: jm.estimate(jm.poisson("y ~ x:hours"), DATA | {"x": x})),
        ("An offset of 'rate'", lambda x: jm.estimate(jm.poisson("y", exposure="x"), DATA | {"x": x})),
        ("which group a row is in", lambda x: jm.estimate(MODELS["groups"], DATA | {"person": x})),
        ("one number per row", lambda x: jm.estimate(POISSON, DATA, weights=x[:5])),
        ("is called 'rte'", lambda x: jm.estimate(POISSON, DATA, fixed={"rte": x[0]})),
        ("penalty must be a function", lambda x: jm.estimate(POISSON, DATA, penalty="firth")),
        ("is one number", lambda x: jm.estimate(POISSON, DATA | {"x": x[0]})),
    ],
)
def test_what_cannot_be_used_is_named(words, make):
    with pytest.raises(ValueError, match=words):  # ModelError or DataError
        jax.jit(lambda x: jax.tree.leaves(make(x))[0])(jnp.asarray(X))


def test_nothing_global_is_changed():
    before = jnp.zeros(()).dtype
    jm.estimate(NORMAL, {"y": Y})
    assert jnp.zeros(()).dtype == before
