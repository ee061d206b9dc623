"""Many data sets at once: the numbers of a loop of fits, failures that stay alone, and results by label."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxmle as jm
from jaxmle import runtime
from jaxmle.infer import rounds
from jaxmle.objective import batch

NAMES = ["one", "two", "three", "small", "separated", "constant", "four", "five"]


def logistic_data():
    """Eight data sets of several lengths with their rows mixed: one separated, one constant, one of three rows."""
    rng = np.random.default_rng(3)
    parts = []
    for name, n in zip(NAMES, [60, 45, 80, 3, 50, 40, 33, 70]):
        x, z = rng.normal(size=n), rng.normal(size=n)
        y = (rng.random(n) < 1 / (1 + np.exp(-0.3 - 0.8 * x + 0.5 * z))).astype(float)
        y = (x > 0).astype(float) if name == "separated" else np.ones(n) if name == "constant" else y
        parts.append({"y": y, "x": x, "z": z, "w": rng.integers(1, 3, n).astype(float), "group": np.full(n, name)})
    data = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    order = rng.permutation(len(data["y"]))
    return {k: v[order] for k, v in data.items()}


def of_group(data, label, by="group"):
    return {k: v[data[by] == label] for k, v in data.items()}


@pytest.fixture(scope="module")
def logistic():
    data = logistic_data()
    with pytest.warns(jm.FitWarning, match="3 of 8 fits"):
        return data, jm.fit_many(jm.bernoulli("y ~ x + z"), data, by="group", weights="w")


def agree(fits, label, fit, tol=1e-8):
    g = fits.position(label)
    errors = np.array(list(fit.std_errors.values()))
    assert fits.names == tuple(fit.coef)
    np.testing.assert_allclose(fits.std_errors[g], errors, rtol=1e-6)
    np.testing.assert_allclose(fits.coef[g] / errors, np.array(list(fit.coef.values())) / errors, atol=1e-6)
    assert fits.log_likelihood[g] == pytest.approx(fit.log_likelihood, rel=tol)
    assert fits.n_obs[g] == fit.n_obs


def test_the_numbers_are_those_of_a_loop(logistic):
    data, fits = logistic
    assert fits.groups.tolist() == list(dict.fromkeys(data["group"].tolist()))
    for label in ("one", "five"):
        agree(fits, label, jm.fit(jm.bernoulli("y ~ x + z"), of_group(data, label), weights="w"))


def test_statsmodels_says_the_same(logistic):
    sm = pytest.importorskip("statsmodels.api", reason="statsmodels is an extra")
    data, fits = logistic
    d = of_group(data, "three")
    x = np.column_stack([np.ones(len(d["y"])), d["x"], d["z"]])
    glm = sm.GLM(d["y"], x, family=sm.families.Binomial(), freq_weights=d["w"]).fit(tol=1e-12)
    g = fits.position("three")
    np.testing.assert_allclose(fits.coef[g], glm.params, rtol=1e-6)
    np.testing.assert_allclose(fits.std_errors[g], glm.bse, rtol=1e-6)


def test_failures_stay_alone_and_say_why(logistic):
    _, fits = logistic
    lost = {NAMES.index("small"), NAMES.index("separated"), NAMES.index("constant")}
    for i, name in enumerate(NAMES):
        g = fits.position(name)
        assert fits.converged[g] == (i not in lost)
        assert (fits.reasons[g] == "") == (i not in lost)
        assert np.isnan(fits.std_errors[g]).all() == (i in lost)
        assert np.isfinite(fits.coef[g]).all()
    assert "prob[x] → +∞" in fits.reasons[fits.position("separated")]
    assert fits.certificate.status[fits.position("constant")] == "no_finite_maximum"
    assert "separated" in str(fits)
    assert "5 of 8" in str(fits)


def test_certificates_are_arrays(logistic):
    _, fits = logistic
    c, good = fits.certificate, fits.converged
    assert (c.distance[good] < 1e-3).all()
    assert (c.gradient[good] < 1e-5).all()
    assert c.positive_definite[good].all()
    low, high = c.eigenvalues[good].T
    assert (low > 0).all()
    assert (high / low <= c.condition[good] * (1 + 1e-9)).all()
    assert (c.condition[good] <= 3 * high / low).all()


def test_each_fit_is_a_real_one(logistic):
    data, fits = logistic
    fit = fits["two"]
    assert isinstance(fit, jm.Fit)
    assert fit.converged
    g = fits.position("two")
    np.testing.assert_allclose(list(fit.coef.values()), fits.coef[g], rtol=1e-8)
    np.testing.assert_allclose(list(fit.std_errors.values()), fits.std_errors[g], rtol=1e-8)
    np.testing.assert_allclose(fit.covariance(), fits.covariance[g], rtol=1e-8)
    assert fit.predict().shape == (45,)
    with pytest.warns(jm.FitWarning, match="separation"):
        assert not fits["separated"].converged
    assert len(fits) == 8
    with pytest.raises(jm.ModelError, match=r"'tow'.*Did you mean 'two'"):
        fits["tow"]
    with pytest.raises(IndexError, match="8 data sets"):
        fits[8]


def test_tidy_has_a_row_for_each_estimate(logistic):
    data, fits = logistic
    t = fits.tidy()
    assert list(t) == [*("group", "term", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high")]
    assert len(t["term"]) == 24
    own = jm.fit(jm.bernoulli("y ~ x + z"), of_group(data, "one"), weights="w").tidy()
    at = t["group"] == "one"
    for name in own:
        if name != "term":
            np.testing.assert_allclose(t[name][at].astype(float), own[name], rtol=1e-5)
    assert len(fits.glance()["converged"]) == 8


def test_pandas_in_pandas_out_and_labels_of_any_type():
    pd = pytest.importorskip("pandas", reason="pandas is an extra")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"y": rng.poisson(3.0, 90), "gene": np.repeat([7, 3, 11], 30), "x": rng.normal(size=90)})
    fits = jm.fit_many(jm.poisson("y ~ x"), frame, by="gene")
    assert fits.groups.tolist() == [7, 3, 11]
    tidy = fits.tidy()
    assert isinstance(tidy, pd.DataFrame)
    assert tidy["group"].tolist() == [7, 7, 3, 3, 11, 11]
    again = jm.fit_many(jm.poisson("y ~ x"), frame.drop(columns="gene"), by=frame["gene"].to_numpy())
    np.testing.assert_array_equal(again.coef, fits.coef)


def test_levels_and_dispersion_are_learnt_once_from_all():
    rng = np.random.default_rng(5)
    n, sets = 120, 6
    site, x = rng.choice(["a", "b", "c"], n * sets), rng.normal(size=n * sets)
    mean = np.exp(1.0 + 0.4 * x + 0.5 * (site == "b"))
    y = rng.negative_binomial(2.0, 2.0 / (2.0 + mean))
    data = {"y": y, "x": x, "site": site, "shop": np.tile(np.arange(sets), n)}
    site[data["shop"] == 5] = "a"  # two levels do not occur in it
    model = jm.negative_binomial("y ~ x + C(site)")
    with pytest.warns(jm.FitWarning, match="1 of 6"):
        fits = jm.fit_many(model, data, by="shop")
    for label in (0, 3):
        agree(fits, label, jm.fit(model, of_group(data, label, "shop")))
    assert fits.certificate.status[5] == "not_identified"
    assert "C(site)[b]" in fits.reasons[5] or "C(site)" in fits.reasons[5]


def log_density(p, row):
    z = (row["y"] - p["loc"]) / p["scale"]
    return -jnp.log(p["scale"]) - jnp.log(jnp.pi) - jnp.log1p(z**2)  # Cauchy


CUSTOM = jm.Model(log_density, {"loc": jm.Linear([1, "x"]), "scale": jm.Positive()})


@pytest.fixture(scope="module")
def stacks():
    rng = np.random.default_rng(8)
    x = rng.normal(size=40)
    y = 2.0 + np.linspace(-1, 1, 5)[:, None] * x + 0.7 * rng.standard_cauchy((5, 40))
    return {"y": y, "x": x}


def test_a_density_of_ones_own_on_stacked_arrays_with_a_shared_column(stacks):
    shared = jm.fit_many(CUSTOM, stacks)
    own = jm.fit_many(CUSTOM, {"y": stacks["y"], "x": np.tile(stacks["x"], (5, 1))})
    np.testing.assert_allclose(shared.coef, own.coef, atol=1e-6 * shared.std_errors.min())
    np.testing.assert_allclose(shared.covariance, own.covariance, rtol=1e-6)
    assert shared.names == ("loc[Intercept]", "loc[x]", "scale")
    for g in (0, 4):
        agree(shared, g, jm.fit(CUSTOM, {"y": stacks["y"][g], "x": stacks["x"]}))
    assert shared[2].converged


def test_bootstrap_samples_are_one_set_of_rows_with_many_weights(stacks):
    data = {"y": stacks["y"][0], "x": stacks["x"]}
    weights = np.random.default_rng(1).multinomial(40, np.full(40, 1 / 40), size=6).astype(float)
    fits = jm.fit_many(CUSTOM, data, weights=weights)
    agree(fits, 3, jm.fit(CUSTOM, data, weights=weights[3]))
    assert fits[3].n_obs == 40
    with pytest.raises(jm.DataError, match=r"weights have shape \(6, 39\).*\(G, 40\)"):
        jm.fit_many(CUSTOM, data, weights=weights[:, :39])


def test_nothing_is_compiled_twice(stacks):
    first = {"y": stacks["y"], "x": np.tile(stacks["x"], (5, 1))}
    jm.fit_many(CUSTOM, first)
    others = {"y": first["y"][:, :38] + 1.0, "x": first["x"][:, :38]}  # of the same bucket
    with runtime.Compilation() as c:
        fits = jm.fit_many(CUSTOM, others)
    assert c.count == 0
    assert fits.converged.all()


def test_however_the_data_sets_are_cut(monkeypatch):
    rng = np.random.default_rng(2)
    shop = np.repeat(np.arange(30), np.r_[np.full(25, 6), np.full(5, 50)])
    data = {"y": rng.poisson(3.0, len(shop)), "shop": shop}
    whole = jm.fit_many(jm.poisson("y"), data, by="shop")
    monkeypatch.setattr(batch, "NUMBERS_AT_ONCE", 64)  # few data sets in a block, several calls
    monkeypatch.setattr(rounds, "SPLIT", 100)  # lengths apart
    monkeypatch.setattr(rounds, "ROUNDS", (2, 1, 3))
    cut = jm.fit_many(jm.poisson("y"), data, by="shop")
    mean = np.bincount(shop, data["y"]) / np.bincount(shop)
    for fits in (whole, cut):
        np.testing.assert_allclose(fits.coef[:, 0], mean, rtol=1e-7)
        np.testing.assert_allclose(fits.std_errors[:, 0], np.sqrt(mean / np.bincount(shop)), rtol=1e-6)
        np.testing.assert_array_equal(fits.n_rows, np.bincount(shop))


def test_held_values_starts_and_penalties(stacks):
    held = {"scale": 0.7}
    fits = jm.fit_many(CUSTOM, stacks, fixed=held, start={"loc": [2.0, 0.0]}, penalty=jm.Ridge(3.0))
    fit = jm.fit(CUSTOM, {"y": stacks["y"][1], "x": stacks["x"]}, fixed=held, penalty=jm.Ridge(3.0))
    assert fits.names == ("loc[Intercept]", "loc[x]")
    agree(fits, 1, fit)
    assert "ridge" in str(fits)


def test_a_profile_is_one_set_of_rows_with_a_coefficient_held_at_many_values(stacks):
    data = {"y": stacks["y"][0], "x": stacks["x"]}
    grid = {"scale": np.array([0.5, 1.0, 2.0]), "loc[x]": np.array([0.0, -0.5, -1.0])}
    fits = jm.fit_many(CUSTOM, data, weights=np.ones((3, 40)), fixed=grid)
    assert fits.names == ("loc[Intercept]",)
    for g in range(3):
        held = {name: float(values[g]) for name, values in grid.items()}
        agree(fits, g, jm.fit(CUSTOM, data, fixed=held))
    assert fits[1].params["scale"] == 1.0
    with pytest.raises(jm.ModelError, match=r"scale.*between 0 and inf in every"):
        jm.fit_many(CUSTOM, data, weights=np.ones((3, 40)), fixed={"scale": np.array([0.5, -1.0, 2.0])})
    with pytest.raises(jm.ModelError, match=r"no coefficient is called 'loc\[z\]'"):
        jm.fit_many(CUSTOM, data, weights=np.ones((3, 40)), fixed={"loc[z]": np.zeros(3)})


def test_predictors_found_in_a_density_are_used():
    def density(p, row):
        return -0.5 * (row["y"] - row["x"] @ p["beta"]) ** 2

    rng = np.random.default_rng(4)
    x = rng.normal(size=(4, 30, 3))
    y = x @ np.array([1.0, 0.0, -1.0]) + rng.normal(size=(4, 30))
    fits = jm.fit_many(jm.Model(density, {"beta": jm.Real(shape=3)}), {"y": y, "x": x})
    for g in range(4):
        np.testing.assert_allclose(fits.coef[g], np.linalg.lstsq(x[g], y[g])[0], rtol=1e-8)
        np.testing.assert_allclose(fits.covariance[g], np.linalg.inv(x[g].T @ x[g]), rtol=1e-8)


def test_errors_are_in_words():
    data = {"y": np.ones((3, 4)), "x": np.ones((3, 5))}
    with pytest.raises(jm.DataError, match=r"do not stack: 'y' \(3, 4\), 'x' \(3, 5\)"):
        jm.fit_many(jm.poisson("y ~ x"), data)
    with pytest.raises(jm.DataError, match="by='gene'"):
        jm.fit_many(jm.poisson("y ~ x"), {"y": np.ones(4), "x": np.ones(4)})
    flat = {"y": np.arange(4.0), "x": np.ones(4), "g": np.array(["a", "a", None, "b"], object)}
    with pytest.raises(jm.DataError, match="missing labels in row 2"):
        jm.fit_many(jm.poisson("y ~ x"), flat, by="g")
    with pytest.raises(jm.DataError, match="'gg'"):
        jm.fit_many(jm.poisson("y ~ x"), flat, by="gg")
    panel = jm.Model(lambda p, rows, mask: p["m"], {"m": jm.Real()}, unit="g")
    with pytest.raises(jm.ModelError, match="not yet of unit='g'"):
        jm.fit_many(panel, flat, by="g")
    with pytest.raises(jm.ModelError, match="not yet penalties with corners"):
        jm.fit_many(jm.poisson("y ~ x"), flat, by="g", penalty=jm.Lasso(1.0))
