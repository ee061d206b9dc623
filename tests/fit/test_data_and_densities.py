"""What may be handed to a fit: numbers of every type, few rows and many, missing ones, and densities of every make."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pandas
import polars
import pytest

import jaxmle as jm

from .models import NORMAL, POISSON, REGRESSION, array, bernoulli, counts, design, fit, irls, normal, poisson

DATA = counts()
BETA, INFORMATION, _ = irls(DATA)
ERRORS = np.sqrt(np.diag(np.linalg.inv(INFORMATION)))


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.int64, np.float32, np.float64, ">i4", np.float16])
def test_counts_of_every_type_are_the_same_counts(dtype):
    result = fit(POISSON, dict(DATA, y=DATA["y"].astype(dtype)))
    np.testing.assert_allclose(array(result.coef), BETA, rtol=1e-9)


def test_truth_values_are_zeros_and_ones():
    y = DATA["y"] > 1
    model = jm.Model(bernoulli, {"p": jm.Linear([1, "x"], link="logit")})
    a, b = fit(model, dict(DATA, y=y)), fit(model, dict(DATA, y=y.astype(float)))
    np.testing.assert_allclose(array(a.coef), array(b.coef), rtol=1e-12)


def test_float32_columns_are_summed_in_float64():
    data = {k: v.astype(np.float32) for k, v in DATA.items()}
    beta, information, _ = irls({k: v.astype(np.float64) for k, v in data.items()})
    result = fit(POISSON, data)
    np.testing.assert_allclose(array(result.coef), beta, rtol=1e-9)
    np.testing.assert_allclose(result.covariance(), np.linalg.inv(information), rtol=1e-6)


def test_single_precision_ends_where_double_does():
    result = fit(POISSON, DATA, precision="float32")
    assert np.max(np.abs(array(result.coef) - BETA) / ERRORS) < 1e-6
    np.testing.assert_allclose(result.log_likelihood, fit(POISSON, DATA).log_likelihood, rtol=1e-6)


def test_single_precision_is_proved():
    result = fit(POISSON, DATA, precision="float32")
    assert result.converged
    np.testing.assert_allclose(array(result.std_errors), ERRORS, rtol=1e-4)


def test_the_caller_s_arrays_are_left_alone():
    data = {k: v.copy() for k, v in DATA.items()}
    fit(POISSON, data, weights="w")
    for name, values in data.items():
        np.testing.assert_array_equal(values, DATA[name])
        assert values.flags.writeable


# --- few rows and many ------------------------------------------------------------------------------------------------


def test_one_row():
    result = fit(jm.Model(poisson, {"rate": jm.Positive()}), {"y": [4]})
    np.testing.assert_allclose([result.coef["rate"], result.std_errors["rate"]], [4.0, 2.0], rtol=1e-7)  # √rate
    assert result.n_obs == 1
    with pytest.warns(jm.FitWarning):  # σ → 0: one normal observation is fitted exactly
        assert not fit(NORMAL, {"y": [4.0]}).converged


def test_three_rows():
    result = fit(NORMAL, {"y": [1, 2, 4]})
    np.testing.assert_allclose(array(result.coef), [7 / 3, np.std([1, 2, 4])], rtol=1e-7)
    assert result.converged


def test_a_hundred_thousand_rows_that_fill_no_chunk():
    rng = np.random.default_rng(7)
    n = 100_003
    x = rng.normal(size=n)
    y = 1 + 2 * x + rng.normal(size=n)
    matrix = np.stack([np.ones(n), x], axis=1)
    beta, (rss,), *_ = np.linalg.lstsq(matrix, y, rcond=None)
    result = fit(REGRESSION, {"y": y, "x": x})
    np.testing.assert_allclose(array(result.coef), [*beta, np.sqrt(rss / n)], rtol=1e-9)
    np.testing.assert_allclose(result.covariance()[:2, :2], rss / n * np.linalg.inv(matrix.T @ matrix), rtol=1e-6)
    np.testing.assert_allclose(result.log_likelihood, -0.5 * n * (np.log(2 * np.pi * rss / n) + 1), rtol=1e-12)
    assert result.n_obs == n


# --- missing values ---------------------------------------------------------------------------------------------------

HOLES = np.isin(np.arange(200), [3, 50, 199])


@pytest.mark.parametrize("make", [dict, pandas.DataFrame, polars.DataFrame])
def test_rows_with_missing_values_are_dropped_when_asked_and_counted(make):
    data = make(dict(DATA, x=np.where(HOLES, np.nan, DATA["x"])))
    result = fit(POISSON, data, missing="drop", weights=DATA["w"])
    kept = {k: v[~HOLES] for k, v in DATA.items()}
    beta, information, _ = irls(kept, kept["w"])
    np.testing.assert_allclose(array(result.coef), beta, rtol=1e-9)
    np.testing.assert_allclose(result.covariance(), np.linalg.inv(information), rtol=1e-6)
    assert result.n_obs == kept["w"].sum()
    assert "3 rows with missing values were dropped" in str(result)


def test_nulls_of_a_frame_are_missing():
    frame = polars.DataFrame({"y": [1, None, 4, 2], "x": [1.0, 2.0, None, 0.0]})
    model = jm.Model(poisson, {"rate": jm.Positive()})
    result = fit(model, frame, missing="drop")  # x is not used, so its null costs no row
    np.testing.assert_allclose(result.coef["rate"], 7 / 3, rtol=1e-8)
    with pytest.raises(jm.DataError, match="'y' has 1 missing value"):
        fit(model, frame)


def test_a_density_may_take_missing_values_itself():
    """A censored exponential sample: rate = events/time (Lawless, 2003, section 4.1); NaN marks a time not seen."""

    def density(p, row):
        seen = ~jnp.isnan(row["t"])
        t = jnp.where(seen, row["t"], row["limit"])
        return jnp.where(seen, jnp.log(p["rate"]), 0.0) - p["rate"] * t

    t = np.array([1.0, 2.5, np.nan, 0.5, np.nan])
    data = {"t": t, "limit": np.full(5, 3.0)}
    result = fit(jm.Model(density, {"rate": jm.Positive()}), data, missing="allow")
    np.testing.assert_allclose(result.coef["rate"], 3 / (4.0 + 6.0), rtol=1e-7)
    np.testing.assert_allclose(result.std_errors["rate"], np.sqrt(3) / 10.0, rtol=1e-6)


# --- densities --------------------------------------------------------------------------------------------------------


class NormalDistribution:
    def __init__(self, loc, scale):
        self.loc, self.scale = loc, scale

    def log_prob(self, y):
        return -0.5 * ((y - self.loc) / self.scale) ** 2 - jnp.log(self.scale) - 0.5 * jnp.log(2 * jnp.pi)


class Callable:
    """Compares by value, so that it cannot be hashed."""

    __eq__ = lambda self, other: isinstance(other, Callable)
    __hash__ = None

    def __call__(self, p, row):
        return normal(p, row)


def by_items(p, row):
    columns = dict(row.items())
    return normal({**p}, {"y": columns["y"]}) + 0.0 * len(row)


def by_get(p, row):
    return normal(p, {"y": row.get("y")}) + row.get("nothing", 0.0)


def by_scipy(p, row):
    return jax.scipy.stats.norm.logpdf(row["y"], p["mu"], p["sigma"])


@pytest.mark.parametrize(
    "density",
    [lambda p, row: NormalDistribution(p["mu"], p["sigma"]).log_prob(row["y"]), jax.jit(normal), Callable(), by_items,
     by_get, by_scipy, lambda p, row: jax.jit(normal)(p, row)],
    ids=["object with log_prob", "jitted", "unhashable", "items", "get", "jax.scipy", "jitted inside"],
)  # fmt: skip
def test_densities_of_every_make(density):
    y = np.random.default_rng(8).normal(5, 2, 30)
    result = fit(jm.Model(density, {"mu": jm.Real(), "sigma": jm.Positive()}), {"y": y, "name": ["text"] * 30})
    np.testing.assert_allclose(array(result.coef), [y.mean(), y.std()], rtol=1e-7)
    assert result.converged


def test_a_large_array_from_outside_is_pointed_out():
    table = jnp.linspace(0, 1, 20_000)

    def density(p, row):
        return normal(p, row) + 0.0 * table[row["y"].astype(int)]

    with pytest.warns(jm.FitWarning, match=r"20,000.*fixed parameter"):
        fit(jm.Model(density, {"mu": jm.Real(), "sigma": jm.Positive()}), {"y": [1.0, 2.0, 4.0]})
    values = np.linspace(0, 1, 20_000)
    model = jm.Model(
        lambda p, row: normal(p, row) + 0.0 * p["table"][row["y"].astype(int)],
        {"mu": jm.Real(), "sigma": jm.Positive(), "table": jm.Real(shape=20_000, fixed=values)},
    )
    result = fit(model, {"y": [1.0, 2.0, 4.0]})  # the remedy that it names: no warning
    assert tuple(result.coef) == ("mu", "sigma")


def network(p, row):
    hidden = jnp.tanh(p["net"]["in"] @ jnp.stack([row["x"], 1.0]))
    return -0.5 * (row["y"] - p["net"]["out"] @ hidden) ** 2


def test_a_neural_network_is_a_parameter_like_any_other():
    """The log-likelihood is NumPy's at the weights found, whose score, by differences, is zero; two units explain it."""
    rng = np.random.default_rng(9)
    x = np.linspace(-2, 2, 120)
    y = np.tanh(1.5 * x + 0.5) + 0.5 * np.tanh(x - 1) + rng.normal(size=120)
    start = {"in": rng.normal(size=(2, 2)), "out": rng.normal(size=2)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jm.FitWarning)  # whether two such units are told apart is not asked here
        result = fit(jm.Model(network, {"net": jm.Tree(start)}), {"x": x, "y": y}, solver=jm.LBFGS(tol=1e-10))
    assert set(result.params["net"]) == {"in", "out"}
    assert result.df == 6
    assert tuple(result.coef) == tuple(f"net['in'][{i},{j}]" for i in (0, 1) for j in (0, 1)) + (
        "net['out'][0]", "net['out'][1]",
    )  # fmt: skip

    def log_likelihood(v):
        hidden = np.tanh(v[:4].reshape(2, 2) @ np.stack([x, np.ones_like(x)]))
        return -0.5 * np.sum((y - v[4:] @ hidden) ** 2)

    at = array(result.coef)
    np.testing.assert_allclose(result.log_likelihood, log_likelihood(at), rtol=1e-12)
    slope = [(log_likelihood(at + d) - log_likelihood(at - d)) / 2e-6 for d in 1e-6 * np.eye(6)]
    assert np.max(np.abs(slope)) < 1e-3
    first = np.concatenate([start["in"].ravel(), start["out"]])
    assert result.log_likelihood > log_likelihood(first) + 5


# --- units of observation ---------------------------------------------------------------------------------------------


def random_intercept(p, rows, mask):
    """y_ij = μ + u_i + e_ij with normal u and e: the covariance of a group is σ²I + τ²J, so that its inverse is closed."""
    n = mask.sum()
    away = jnp.where(mask, rows["y"] - p["mu"], 0.0)
    s2, t2 = p["sigma"] ** 2, p["tau"] ** 2
    total = s2 + n * t2
    return -0.5 * (
        (away @ away) / s2 - t2 / (s2 * total) * away.sum() ** 2 + (n - 1) * jnp.log(s2) + jnp.log(total)
        + n * jnp.log(2 * jnp.pi)
    )  # fmt: skip


def test_a_group_is_one_observation():
    """A balanced one-way layout: μ̂ = ȳ, σ̂² = SSW/(a(n − 1)), σ̂² + nτ̂² = SSB/a (Searle et al., 1992, section 3.7)."""
    rng = np.random.default_rng(10)
    a, n = 40, 5
    person = np.repeat(np.arange(a), n)
    y = 2 + rng.normal(0, 1.5, a)[person] + rng.normal(size=a * n)
    order = rng.permutation(a * n)
    params = {"mu": jm.Real(), "sigma": jm.Positive(), "tau": jm.Positive()}
    model = jm.Model(random_intercept, params, unit="person")
    names = np.array([f"p{i}" for i in person])
    result = fit(model, {"y": y[order], "person": names[order]})
    means = y.reshape(a, n).mean(axis=1)
    within = ((y - means[person]) ** 2).sum() / (a * (n - 1))
    between = n * ((means - y.mean()) ** 2).sum() / a
    assert result.converged
    assert result.n_obs == a
    np.testing.assert_allclose(
        array(result.coef), [y.mean(), np.sqrt(within), np.sqrt((between - within) / n)], rtol=1e-6
    )
    np.testing.assert_allclose(result.std_errors["mu"], np.sqrt(between / (a * n)), rtol=1e-6)
    with pytest.raises(jm.DataError, match="same in all rows of one unit"):
        result.covariance(cluster=np.arange(a * n))
    assert len(result.log_density({"y": y, "person": names})) == a
    np.testing.assert_allclose(result.log_density({"y": y, "person": names}).sum(), result.log_likelihood, rtol=1e-9)


def autoregression(p, data):
    y = data["y"]
    terms = -0.5 * ((y[1:] - p["c"] - p["phi"] * y[:-1]) / p["sigma"]) ** 2 - jnp.log(p["sigma"])
    return jnp.concatenate([jnp.zeros(1), terms])


def test_all_rows_are_one_observation():
    """A first-order autoregression given its first value is the least squares of y_t on y_{t−1} (Hamilton, 1994, 5.2)."""
    rng = np.random.default_rng(11)
    y = np.zeros(300)
    for t in range(1, 300):
        y[t] = 1 + 0.6 * y[t - 1] + rng.normal()
    model = jm.Model(autoregression, {"c": jm.Real(), "phi": jm.Real(), "sigma": jm.Positive()}, unit="all")
    result = fit(model, {"y": y})
    matrix = np.stack([np.ones(299), y[:-1]], axis=1)
    beta, (rss,), *_ = np.linalg.lstsq(matrix, y[1:], rcond=None)
    np.testing.assert_allclose(array(result.coef), [*beta, np.sqrt(rss / 299)], rtol=1e-7)
    np.testing.assert_allclose(result.covariance()[:2, :2], rss / 299 * np.linalg.inv(matrix.T @ matrix), rtol=1e-6)


def test_a_design_is_a_matrix_column_too():
    model = jm.Model(poisson, {"rate": jm.Linear("X", link="log")})
    result = fit(model, {"y": DATA["y"], "X": design(DATA)})
    assert tuple(result.coef) == ("rate[X0]", "rate[X1]", "rate[X2]")
    np.testing.assert_allclose(array(result.coef), BETA, rtol=1e-8)


# --- what a density must not do -----------------------------------------------------------------------------------------


def test_a_density_that_reads_padding_is_refused():
    """Of groups of 5 and 7 rows the shorter ones are filled up; of one length none is, and nothing is wrong."""
    y = np.random.default_rng(0).normal(2, 1, 120)
    params = {"m": jm.Real(), "s": jm.Positive()}
    term = lambda p, rows: jax.scipy.stats.norm.logpdf(rows["y"], p["m"], p["s"])
    unmasked = jm.Model(lambda p, rows, mask: term(p, rows).sum(), params, unit="g")
    masked = jm.Model(lambda p, rows, mask: jnp.where(mask, term(p, rows), 0.0).sum(), params, unit="g")
    ragged = {"y": y, "g": np.repeat(np.arange(20), [5, 7] * 10)}
    with pytest.raises(jm.ModelError, match=r"rows where its mask is false.*jnp\.where\(mask, term, 0\.0\)"):
        fit(unmasked, ragged)
    alone = np.sum(-0.5 * (y - y.mean()) ** 2 / y.var() - 0.5 * np.log(2 * np.pi * y.var()))
    assert fit(masked, ragged).log_likelihood == pytest.approx(alone, rel=1e-10)
    assert fit(unmasked, {"y": y, "g": np.repeat(np.arange(20), 6)}).log_likelihood == pytest.approx(alone, rel=1e-10)


def test_a_density_that_reads_no_row_is_pointed_out():
    """It may sum up all data itself, and be counted as often as there are rows."""
    y = jnp.asarray(np.random.default_rng(0).normal(size=50))
    model = jm.Model(lambda p, row: -0.5 * ((y - p["m"]) ** 2).sum(), {"m": jm.Real()})
    with pytest.warns(jm.FitWarning, match="reads no column: each of the 50 rows adds the same.*unit='all'"):
        fit(model, {"y": np.asarray(y)})


def test_long_arguments_are_cut_in_messages():
    with pytest.raises(jm.ModelError, match="offset takes a column name"):
        jm.Linear([1], offset=3.0)
    with pytest.raises(jm.ModelError, match="column names") as error:
        jm.Linear([1, np.arange(200.0)])
    assert len(str(error.value)) < 200


def test_groups_may_have_keys_of_several_types():
    y, keys = np.arange(1.0, 13.0), np.array([1, "a", 2.5] * 4, dtype=object)
    model = jm.Model(
        lambda p, rows, mask: -jnp.sum(mask * rows["y"]) / p["s"] - 4 * jnp.log(p["s"]), {"s": jm.Positive()}, unit="k"
    )
    assert fit(model, {"y": y, "k": keys}).coef["s"] == pytest.approx(y.mean(), rel=1e-9)


@jax.custom_vjp
def one_way(x):
    return jnp.log(x)


one_way.defvjp(lambda x: (jnp.log(x), x), lambda x, slope: (slope / x,))


def counted(p, row):
    steps = jax.lax.fori_loop(0, row["y"].astype(int), lambda i, s: s + jnp.log(p["s"]) - jnp.log(i + 1.0), 0.0)
    return steps - p["s"]


def called_back(p, row):
    return -row["y"] / p["s"] - jax.pure_callback(np.log, jax.ShapeDtypeStruct((), p["s"].dtype), p["s"])


@pytest.mark.parametrize(
    ("density", "solver", "why"),
    [
        (counted, "newton", "a loop whose number of rounds depends on values"),
        (counted, "lbfgs", "a loop whose number of rounds depends on values"),
        (lambda p, row: -row["y"] / p["s"] - one_way(p["s"]), "lbfgs", "custom_vjp"),
        (called_back, "newton", "calls Python back"),
    ],
)
def test_what_jax_cannot_differentiate_is_said_in_words(density, solver, why):
    model = jm.Model(density, {"s": jm.Positive()})
    with pytest.raises(jm.ModelError, match=f"cannot be differentiated twice: .*{why}"):
        fit(model, {"y": np.arange(1.0, 30.0)}, solver=solver)
