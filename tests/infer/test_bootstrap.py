"""The bootstrap: each replicate a fit of its own, and intervals against SciPy's."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxmle as jm
from jaxmle import runtime
from jaxmle.infer import predict, replicates


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    x, z = rng.normal(size=(2, 70))
    y = (rng.uniform(size=70) < 1 / (1 + np.exp(-0.2 - 0.9 * x + 0.6 * z))).astype(float)
    return {"x": x, "z": z, "y": y, "town": np.arange(70) // 5}


@pytest.fixture(scope="module")
def fit(data):
    return jm.fit(jm.bernoulli("y ~ x + z"), data)


def drawn(units, n, key):
    """How often each unit is drawn, by the seed of a bootstrap."""
    rows = np.random.default_rng(key).integers(0, units, (n, units))
    return np.array([[np.sum(sample == unit) for unit in range(units)] for sample in rows])


def test_a_replicate_is_the_fit_of_its_sample(data, fit):
    boot = fit.bootstrap(40, key=5)
    counts = drawn(70, 40, key=5)
    assert boot.n_failed == 0
    assert boot.names == tuple(fit.coef)
    for i in (0, 17):
        again = jm.fit(jm.bernoulli("y ~ x + z"), data, weights=counts[i].astype(float))
        np.testing.assert_allclose(boot.coef[i], list(again.coef.values()), rtol=1e-6)
        np.testing.assert_allclose(np.sqrt(np.diag(boot.covariance[i])), list(again.std_errors.values()), rtol=1e-6)


def test_side_by_side_and_one_by_one(fit, monkeypatch):
    quick = fit.bootstrap(6, key=2), fit.bootstrap(6, kind="parametric", key=2)
    monkeypatch.setattr(replicates, "LONGEST", 0)
    slow = fit.bootstrap(6, key=2), fit.bootstrap(6, kind="parametric", key=2)
    for a, b in zip(quick, slow):
        np.testing.assert_allclose(a.coef, b.coef, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(a.covariance, b.covariance, rtol=1e-5)


@pytest.mark.parametrize("kind", ["pairs", "parametric"])
def test_page_by_page_the_samples_are_the_same(fit, monkeypatch, kind):
    """Of a thousand samples of many rows, a few are in memory at once."""
    whole = fit.bootstrap(11, kind=kind, key=4)
    assert list(replicates.pages(11, 70)) == [(0, 11)]
    monkeypatch.setattr(replicates, "NUMBERS", 70 * 5)  # five samples of seventy rows, of which two are drawn at a time
    monkeypatch.setattr(predict, "ROWS_AT_ONCE", 70 * 2)
    assert list(replicates.pages(11, 70, 2)) == [(0, 4), (4, 4), (8, 3)]
    paged = fit.bootstrap(11, kind=kind, key=4)
    monkeypatch.setattr(replicates, "NUMBERS", 10**6)
    at_once = fit.bootstrap(11, kind=kind, key=4)
    np.testing.assert_allclose(paged.coef, at_once.coef, rtol=1e-9, atol=1e-12)
    if kind == "pairs":  # responses drawn two at a time are others than those of eleven
        np.testing.assert_allclose(paged.coef, whole.coef, rtol=1e-9, atol=1e-12)


def test_clusters_are_drawn_whole(data, fit):
    boot = fit.bootstrap(8, cluster="town", key=1)
    counts = drawn(14, 8, key=1)
    again = jm.fit(jm.bernoulli("y ~ x + z"), data, weights=counts[3][data["town"]].astype(float))
    np.testing.assert_allclose(boot.coef[3], list(again.coef.values()), rtol=1e-6)
    assert "cluster" in repr(boot)


def test_intervals_against_scipy():
    """The rate of an exponential sample, 1/mean: SciPy's intervals on the same number of samples of its own."""
    y = np.random.default_rng(8).exponential(2.0, 50)
    fit = jm.fit(jm.exponential("y"), {"y": y})
    (name,) = fit.coef
    inverse = fit.coef[name] > 1
    statistic = (
        (lambda s, axis: 1 / s.mean(axis))
        if abs(fit.coef[name] * y.mean() - 1) < 1e-6
        else (lambda s, axis: s.mean(axis))
    )
    boot = fit.bootstrap(9_999, key=0)
    for method, theirs in (("percentile", "percentile"), ("basic", "basic"), ("bca", "BCa")):
        result = stats.bootstrap((y,), statistic, method=theirs, n_resamples=9_999, rng=np.random.default_rng(1))
        width = result.confidence_interval.high - result.confidence_interval.low
        np.testing.assert_allclose(boot.confint(method=method)[name], result.confidence_interval, atol=0.04 * width)
    assert boot.std_errors[name] == pytest.approx(result.standard_error, rel=0.03)
    assert not inverse or fit.coef[name] > 1


def test_the_mean_of_a_normal_sample():
    """Its bootstrap standard error is σ̂/√n, its acceleration the skewness over 6√n, its bias nothing."""
    y = np.random.default_rng(4).gamma(2.0, size=200)
    fit = jm.fit(jm.normal("y"), {"y": y})
    name = next(iter(fit.coef))
    boot = fit.bootstrap(4_000, key=3)
    assert boot.std_errors[name] == pytest.approx(y.std() / np.sqrt(200), rel=0.04)
    assert abs(boot.bias[name]) < 5 * y.std() / np.sqrt(200 * 4_000)
    assert boot.acceleration[0] == pytest.approx(stats.skew(y) / (6 * np.sqrt(200)), rel=1e-6)
    for method in ("normal", "studentised"):
        low, high = boot.confint(0.9, method)[name]
        np.testing.assert_allclose(
            (low, high), y.mean() + np.array([-1.645, 1.645]) * y.std() / np.sqrt(200), rtol=0.02
        )


def test_a_parametric_bootstrap_draws_from_the_fit(fit):
    """The standard errors of a right model are those of the information; the data set is too small for more digits."""
    boot = fit.bootstrap(600, kind="parametric", key=1)
    assert boot.kind == "parametric"
    np.testing.assert_allclose(list(boot.std_errors.values()), list(fit.std_errors.values()), rtol=0.35)
    again = fit.bootstrap(600, kind="parametric", key=1)
    np.testing.assert_array_equal(boot.coef, again.coef)
    assert not np.array_equal(fit.bootstrap(20, kind="parametric", key=2).coef, boot.coef[:20])


def test_samples_without_an_optimum_are_left_out_and_counted():
    """Ten observations: some samples are separated."""
    x = np.array([-2.0, -1.5, -1, -0.5, 0, 0.2, 0.6, 1, 1.5, 2])
    fit = jm.fit(jm.bernoulli("y ~ x"), {"x": x, "y": np.array([0, 0, 0, 1, 0, 1, 0, 1, 1, 1.0])})
    boot = fit.bootstrap(200)
    assert 0 < boot.n_failed < 200
    assert len(boot.coef) + boot.n_failed == 200
    assert np.isfinite(boot.coef).all()
    assert any("separated" in reason for reason in boot.reasons)
    assert "have no proved optimum" in repr(boot)


def test_units_of_groups():
    rng = np.random.default_rng(2)
    person = np.repeat(np.arange(25), 3)
    y = rng.normal(1.0, 1.0, 75)
    model = jm.Model(
        lambda p, rows, mask: -0.5 * jnp.sum(jnp.where(mask, (rows["y"] - p["mean"]) ** 2, 0.0)),
        {"mean": jm.Real()},
        unit="person",
    )
    boot = jm.fit(model, {"y": y, "person": person}).bootstrap(12, key=7)
    counts = drawn(25, 12, key=7)
    means = counts @ y.reshape(25, 3).sum(axis=1) / 75
    np.testing.assert_allclose(boot.coef[:, 0], means, rtol=1e-7)


def test_a_second_bootstrap_compiles_nothing(fit):
    fit.bootstrap(30)
    with runtime.Compilation() as compilation:
        fit.bootstrap(30, key=9)
    assert compilation.count == 0


def test_functions_of_the_parameters_on_every_replicate(fit):
    """Of each replicate's coefficients; percentile and BCa intervals go with an increasing function (Efron, 1987)."""
    boot = fit.bootstrap(200, key=5)
    slope = {name: boot.coef[:, i] for i, name in enumerate(boot.names)}["prob[x]"]
    made = boot.transform(lambda p: {"odds": jnp.exp(p["prob"][1]), "both": p["prob"][:2] ** 3})
    np.testing.assert_allclose(made.replicates["odds"], np.exp(slope), rtol=1e-12)
    assert made.replicates["both"].shape == (200, 2)
    np.testing.assert_allclose(made.estimate["odds"], np.exp(fit.coef["prob[x]"]), rtol=1e-12)
    np.testing.assert_allclose(made.std_error["odds"], np.exp(slope).std(ddof=1), rtol=1e-12)
    for method in ("percentile", "bca"):
        ends = boot.confint(method=method)["prob[x]"]
        low, high = made.confint(method=method)
        np.testing.assert_allclose([low["odds"], high["odds"]], np.exp(ends), rtol=2e-2)
        np.testing.assert_allclose([low["both"][1], high["both"][1]], np.power(ends, 3), rtol=6e-2)
    with pytest.raises(jm.ModelError, match="no studentised interval"):
        made.confint(method="studentised")


def test_penalised_and_held(data):
    ridge = jm.fit(jm.bernoulli("y ~ x + z"), data, penalty=jm.Ridge(2.0), fixed={"prob[z]": -0.5})
    boot = ridge.bootstrap(5, key=4)
    counts = drawn(70, 5, key=4)
    again = jm.fit(
        jm.bernoulli("y ~ x + z"), data, penalty=jm.Ridge(2.0), fixed={"prob[z]": -0.5}, weights=counts[2].astype(float)
    )
    assert boot.names == ("prob[Intercept]", "prob[x]")
    np.testing.assert_allclose(boot.coef[2], list(again.coef.values()), rtol=1e-5)


def test_rows_that_stand_for_several_have_no_parametric_bootstrap(data):
    weighted = jm.fit(jm.bernoulli("y ~ x"), data, weights=np.full(70, 9))
    with pytest.raises(jm.ModelError, match="repeat each row"):
        weighted.bootstrap(20, kind="parametric")
    sampled = jm.fit(jm.bernoulli("y ~ x"), data, probability_weights=np.full(70, 9.0))
    with pytest.raises(jm.ModelError, match="needs a likelihood"):
        sampled.bootstrap(20, kind="parametric")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda fit: fit.bootstrap(0), "n must be"),
        (lambda fit: fit.bootstrap(10, kind="residual"), "'pairs' or 'parametric'"),
        (lambda fit: fit.bootstrap(10, kind="parametric", cluster="town"), "cluster= goes with"),
        (lambda fit: fit.bootstrap(10, cluster=np.zeros(70)), "one cluster alone"),
        (lambda fit: fit.bootstrap(10).confint(), "at least 20 replicates"),
        (lambda fit: fit.bootstrap(30).confint(method="bc"), "no bootstrap interval 'bc'"),
        (lambda fit: fit.bootstrap(30).confint(names="x"), "no coefficient 'x'"),
        (lambda fit: fit.bootstrap(30).confint(95), "level must be"),
        (lambda fit: fit.without_data().bootstrap(10), "needs the data"),
    ],
)
def test_mistakes(call, message, fit):
    with pytest.raises(jm.ModelError, match=message):
        call(fit)
