"""What `jm.fit` returns, name by name, on one Poisson regression against its own Newton method in NumPy."""

import dataclasses

import jax
import numpy as np
import pandas
import polars
import pyarrow
import pytest
from scipy.special import ndtr, ndtri

import jaxmle as jm

from .models import NORMAL, POISSON, array, counts, design, fit, irls

DATA = counts()
NAMES = ("rate[Intercept]", "rate[x]", "rate[z]")


@pytest.fixture(scope="module")
def poisson():
    return fit(POISSON, DATA)


def test_estimates_carry_the_names_of_the_field(poisson):
    beta, information, _ = irls(DATA)
    assert tuple(poisson.coef) == tuple(poisson.std_errors) == NAMES
    np.testing.assert_allclose(array(poisson.coef), beta, rtol=1e-9)
    np.testing.assert_allclose(poisson.params["rate"], beta, rtol=1e-9)
    np.testing.assert_allclose(poisson.covariance(), np.linalg.inv(information), rtol=1e-6)
    np.testing.assert_allclose(array(poisson.std_errors), np.sqrt(np.diag(np.linalg.inv(information))), rtol=1e-6)
    assert type(poisson.params["rate"]) is np.ndarray
    assert all(type(v) is float for v in poisson.coef.values())


def test_the_fit_is_measured(poisson):
    beta, _, _ = irls(DATA)
    eta = design(DATA) @ beta
    log_likelihood = DATA["y"] @ eta - np.exp(eta).sum()
    np.testing.assert_allclose(poisson.log_likelihood, log_likelihood, rtol=1e-12)
    assert (poisson.n_obs, poisson.df) == (200, 3)
    np.testing.assert_allclose(poisson.aic, 6 - 2 * log_likelihood, rtol=1e-12)
    np.testing.assert_allclose(poisson.bic, 3 * np.log(200) - 2 * log_likelihood, rtol=1e-12)
    np.testing.assert_allclose(poisson.log_density(DATA), DATA["y"] * eta - np.exp(eta), rtol=1e-8)
    assert poisson.converged is True
    assert poisson.certificate.status == "optimum"
    assert poisson.n_steps >= 3
    assert set(poisson.seconds) == {"compile", "run"}
    assert min(poisson.seconds.values()) >= 0
    assert poisson.withheld == {}
    assert poisson.optima == ()


def test_z_and_p_values_are_the_normal_distribution_s(poisson):
    z = array(poisson.coef) / array(poisson.std_errors)
    np.testing.assert_allclose(array(poisson.z_values), z, rtol=1e-12)
    np.testing.assert_allclose(array(poisson.p_values), 2 * ndtr(-np.abs(z)), rtol=1e-12)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_intervals_of_coefficients_are_symmetric_and_those_of_constants_stay_inside(poisson, level):
    half = ndtri(0.5 + level / 2)
    expected = array(poisson.coef)[:, None] + half * array(poisson.std_errors)[:, None] * [-1, 1]
    np.testing.assert_allclose(array(poisson.confint(level=level)), expected, rtol=1e-12)
    result = fit(NORMAL, {"y": [1.0, 2.0, 4.0]})
    # on the log scale the standard error of σ is se/σ (delta method)
    sigma, se = result.coef["sigma"], result.std_errors["sigma"]
    low, high = result.confint(level)["sigma"]
    np.testing.assert_allclose([low, high], sigma * np.exp(np.array([-1, 1]) * half * se / sigma), rtol=1e-9)
    assert 0 < low < sigma < high


def test_the_solver_is_named_with_the_reason(poisson):
    assert poisson.solver == "Newton (3 parameters: exact Hessians are cheap)"
    assert fit(POISSON, DATA, solver="newton").solver == "Newton (as asked)"
    assert fit(POISSON, DATA, solver=jm.Newton(tol=1e-8)).solver == "Newton (as asked)"


FRAMES = {
    "dict": (dict, dict),
    "lists": (lambda d: {k: v.tolist() for k, v in d.items()}, dict),
    "pandas": (pandas.DataFrame, pandas.DataFrame),
    "polars": (polars.DataFrame, polars.DataFrame),
    "polars, lazy": (polars.LazyFrame, polars.DataFrame),
    "pyarrow": (pyarrow.table, pyarrow.Table),
    "jax": (lambda d: {k: jax.numpy.asarray(v) for k, v in d.items()}, dict),
    "structured": (
        lambda d: np.rec.fromarrays([d["y"], d["x"], d["z"]], names="y,x,z").view(np.ndarray),
        dict,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
def test_tables_of_every_make_give_the_same_fit_and_get_their_own_make_back(name, poisson):
    make, kind = FRAMES[name]
    result = fit(POISSON, make(DATA))
    tolerance = 1e-5 if name == "jax" else 1e-12  # JAX's arrays are float32 outside a fit
    np.testing.assert_allclose(array(result.coef), array(poisson.coef), rtol=tolerance)
    tidy, glance = result.tidy(), result.glance()
    assert type(tidy) is type(glance) is kind
    columns = (
        tidy.column_names if kind is pyarrow.Table else list(tidy) if kind is not polars.DataFrame else tidy.columns
    )
    assert columns == ["term", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"]
    column = lambda frame, c: [v.as_py() for v in frame[c]] if kind is pyarrow.Table else list(frame[c])
    assert column(tidy, "term") == list(NAMES)
    np.testing.assert_allclose(column(tidy, "estimate"), array(result.coef))
    np.testing.assert_allclose(column(tidy, "conf_low"), array(result.confint())[:, 0])
    np.testing.assert_allclose(column(glance, "log_likelihood"), [result.log_likelihood])
    assert column(glance, "converged") == [True]


def test_a_fit_cannot_be_changed(poisson):
    with pytest.raises(dataclasses.FrozenInstanceError):
        poisson.estimates = None
    with pytest.raises(dataclasses.FrozenInstanceError):
        poisson.converged = True
    for mapping in (poisson.params, poisson.coef, poisson.std_errors, poisson.withheld, poisson.seconds):
        with pytest.raises(TypeError):
            mapping["rate[x]"] = 0.0
    before = poisson.covariance()
    poisson.covariance()[:] = 0.0
    poisson.covariance("HC0")[:] = 0.0
    np.testing.assert_array_equal(poisson.covariance(), before)
    with pytest.raises(ValueError, match="read-only"):
        poisson.params["rate"][0] = 9.0


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("bse", "std_errors"), ("llf", "log_likelihood"), ("conf_int", "confint()"), ("vcov", "covariance()"),
     ("cov_params", "covariance()"), ("pvalues", "p_values"), ("nobs", "n_obs"), ("coef_", "coef"),
     ("success", "converged"), ("nit", "n_steps"), ("AIC", "aic"), ("logLik", "log_likelihood")],
)  # fmt: skip
def test_names_of_other_packages_are_understood(theirs, ours, poisson):
    with pytest.raises(AttributeError, match="it is called") as error:
        getattr(poisson, theirs)
    assert repr(ours) in str(error.value)
    assert hasattr(poisson, ours.removesuffix("()"))
    assert ours.removesuffix("()") in dir(poisson)


def test_a_name_of_nobody_is_an_attribute_error(poisson):
    with pytest.raises(AttributeError, match="'wibble'"):
        poisson.wibble  # noqa: B018
    assert not hasattr(poisson, "wibble")
    assert repr(poisson) == str(poisson.summary())


# --- covariances ------------------------------------------------------------------------------------------------------


def bread_and_scores(data):
    _, information, scores = irls(data)
    return np.linalg.inv(information), scores


def test_robust_covariances_are_those_made_by_hand_in_numpy(poisson):
    """White (1982); HC1 with n/(n − k); BHHH's outer product of gradients."""
    bread, scores = bread_and_scores(DATA)
    sandwich = bread @ scores.T @ scores @ bread
    for kind, expected in {
        "observed": bread,
        "opg": np.linalg.inv(scores.T @ scores),
        "HC0": sandwich,
        "sandwich": sandwich,
        "HC1": sandwich * 200 / 197,
    }.items():
        np.testing.assert_allclose(poisson.covariance(kind), expected, rtol=1e-6, atol=1e-9, err_msg=kind)


@pytest.mark.parametrize(
    "cluster",
    [
        "group",
        DATA["group"],
        np.array([f"firm {g}" for g in DATA["group"]]),
        np.array([str(g) if g % 2 else int(g) for g in DATA["group"]], object),
    ],
)
@pytest.mark.parametrize("kind", ["default", "sandwich", "HC1"])
def test_clusters_are_a_column_or_an_array_of_any_labels(cluster, kind, poisson):
    """Liang and Zeger (1986); HC1 with G/(G − 1)·(n − 1)/(n − k), as Stata's vce(cluster)."""
    bread, scores = bread_and_scores(DATA)
    sums = np.stack([scores[DATA["group"] == g].sum(axis=0) for g in range(17)])
    factor = 17 / 16 * 199 / 197 if kind == "HC1" else 1.0
    expected = factor * bread @ sums.T @ sums @ bread
    np.testing.assert_allclose(poisson.covariance(kind, cluster=cluster), expected, rtol=1e-6, atol=1e-9)


def test_a_cluster_column_of_a_frame_and_of_rows_that_were_kept():
    missing = dict(DATA, x=np.where(np.arange(200) == 3, np.nan, DATA["x"]))
    kept = {k: np.delete(v, 3) for k, v in DATA.items()}
    result = fit(POISSON, pandas.DataFrame(missing), missing="drop")
    expected = fit(POISSON, kept).covariance(cluster="group")
    np.testing.assert_allclose(result.covariance(cluster="group"), expected, rtol=1e-8)
    np.testing.assert_allclose(result.covariance(cluster=DATA["group"]), expected, rtol=1e-8)


# --- weights ----------------------------------------------------------------------------------------------------------


def test_frequency_weights_are_repeated_rows():
    repeated = {k: np.repeat(v, DATA["w"]) for k, v in DATA.items()}
    by_weight, by_row = fit(POISSON, DATA, weights="w"), fit(POISSON, repeated)
    assert by_weight.n_obs == by_row.n_obs == DATA["w"].sum()
    np.testing.assert_allclose(array(by_weight.coef), array(by_row.coef), rtol=1e-10)
    np.testing.assert_allclose(by_weight.log_likelihood, by_row.log_likelihood, rtol=1e-13)
    np.testing.assert_allclose(by_weight.bic, by_row.bic, rtol=1e-13)
    for arguments in ({"kind": "observed"}, {"kind": "opg"}, {"kind": "HC0"}, {"kind": "HC1"}, {"cluster": "group"}):
        np.testing.assert_allclose(
            by_weight.covariance(**arguments), by_row.covariance(**arguments), rtol=1e-8, atol=1e-12
        )


def test_rows_of_weight_zero_are_not_there_and_may_hold_anything():
    weights = np.where(np.arange(200) < 5, 0.0, 1.0)
    broken = dict(DATA, x=np.where(weights == 0, np.nan, DATA["x"]))
    result, expected = fit(POISSON, broken, weights=weights), fit(POISSON, {k: v[5:] for k, v in DATA.items()})
    assert result.n_obs == 195
    np.testing.assert_allclose(array(result.coef), array(expected.coef), rtol=1e-9)


def test_fractional_weights_weigh():
    weights = np.random.default_rng(8).uniform(0.2, 2.5, 200)
    result = fit(POISSON, DATA, weights=weights)
    beta, information, _ = irls(DATA, weights)
    np.testing.assert_allclose(array(result.coef), beta, rtol=1e-9)
    np.testing.assert_allclose(result.covariance(), np.linalg.inv(information), rtol=1e-6)
    assert result.n_obs == pytest.approx(weights.sum(), rel=1e-14)


def test_sampling_weights_give_a_sandwich():
    """(XᵀWX)⁻¹ (Σ w² s sᵀ) (XᵀWX)⁻¹: a weight multiplies a row's contribution (Binder, 1983)."""
    weights = np.random.default_rng(9).uniform(0.2, 2.5, 200)
    result = fit(POISSON, dict(DATA, pw=weights), probability_weights="pw")
    beta, information, scores = irls(DATA, weights)
    bread = np.linalg.inv(information)
    weighted = scores * weights[:, None]
    expected = bread @ weighted.T @ weighted @ bread
    np.testing.assert_allclose(array(result.coef), beta, rtol=1e-9)
    np.testing.assert_allclose(result.covariance(), expected, rtol=1e-6)
    np.testing.assert_allclose(array(result.std_errors), np.sqrt(np.diag(expected)), rtol=1e-6)
    np.testing.assert_allclose(result.covariance("observed"), bread, rtol=1e-6)
    assert result.n_obs == 200


# --- units of columns -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1e6, 1e-6, 1e3, -7.0])
def test_the_unit_of_a_column_changes_the_unit_of_its_coefficient_alone(factor, poisson):
    result = fit(POISSON, dict(DATA, x=DATA["x"] * factor))
    assert result.converged
    units = np.array([1, 1 / factor, 1])
    np.testing.assert_allclose(array(result.coef), array(poisson.coef) * units, rtol=1e-8)
    np.testing.assert_allclose(array(result.std_errors), array(poisson.std_errors) * np.abs(units), rtol=1e-7)
    np.testing.assert_allclose(result.log_likelihood, poisson.log_likelihood, rtol=1e-13)
    assert result.n_steps == poisson.n_steps


@pytest.mark.parametrize("shift", [10.0, -1000.0])
def test_a_shift_of_a_column_moves_the_intercept_alone(shift, poisson):
    result = fit(POISSON, dict(DATA, x=DATA["x"] + shift))
    assert result.converged
    beta = array(poisson.coef)
    np.testing.assert_allclose(array(result.coef), [beta[0] - shift * beta[1], *beta[1:]], rtol=1e-6)
    np.testing.assert_allclose(array(result.std_errors)[1:], array(poisson.std_errors)[1:], rtol=1e-5)
    np.testing.assert_allclose(result.log_likelihood, poisson.log_likelihood, rtol=1e-12)
