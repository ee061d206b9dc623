"""Every reference case as a family and a formula, from the file as it stands to the published numbers."""

import csv
import gzip

import numpy as np
import pytest

import jaxmle as jm

from ..conftest import SHARED, read_cases
from .densities import LATER
from .families import model_of

CASES = read_cases()
FAMILY = [c for c in CASES if model_of(c) is not None]
NUMBERS = [c for c in FAMILY if "outcome" not in c["expected"]]
OUTCOMES = {c["id"]: c for c in FAMILY if "outcome" in c["expected"]}

pytestmark = pytest.mark.skipif(not CASES, reason="the reference cases are not part of this repository")


def raw(case):
    """The columns of the file, numbers as numbers, what is missing as NaN; nothing else is prepared."""
    path = SHARED / case["data_file"]
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    rows = list(csv.DictReader(text.splitlines()))
    columns = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        try:
            columns[name] = np.array([float(v) if v not in ("", "NA") else np.nan for v in values])
        except ValueError:
            columns[name] = np.array(values)
    if case["kind"] == "dirichlet":  # as the case says: each row sums to one exactly
        total = sum(columns[name] for name in case["response"])
        columns |= {name: columns[name] / total for name in case["response"]}
    return columns


def fit_case(case, **arguments):
    if "frequency_weights_column" in case:
        arguments["weights"] = case["frequency_weights_column"]
    return jm.fit(model_of(case)[0], raw(case), progress=False, **arguments)


def gradient(function, coef):
    """The derivative of a function of the estimates, by central differences."""
    out = []
    for name, value in coef.items():
        h = 1e-6 * max(abs(value), 1e-3)
        out.append((function(coef | {name: value + h}) - function(coef | {name: value - h})) / (2 * h))
    return np.array(out)


COVARIANCES = {
    "observed": {}, "observed_MLE_scale": {}, "opg": {"kind": "opg"}, "HC0": {"kind": "HC0"}, "HC1": {"kind": "HC1"},
}  # fmt: skip


def covariance_arguments(case, kind):
    """How `covariance` is asked for a kind of standard error of the cases; None for kinds of other conventions."""
    if kind in ("cluster_CR0", "cluster_firm_CR0"):
        return {"kind": "HC0", "cluster": case["cluster_column"]}
    if kind in ("cluster_HC1", "cluster_firm_HC1"):
        return {"kind": "HC1", "cluster": case["cluster_column"]}
    if kind != "observed" and "frequency_weights_column" in case:
        return None  # software differs on what a robust error of copies is
    return COVARIANCES.get(kind)


@pytest.mark.parametrize("case", NUMBERS, ids=lambda c: c["id"])
def test_the_numbers_of_the_case(case):
    fit, names = fit_case(case), model_of(case)[1]
    assert fit.converged
    best, tolerance, digits = case.get("polished", case["expected"]), case.get("tolerance") or {}, case.get("digits")
    scale = max(abs(best["loglik"]), 1.0)
    assert abs(fit.log_likelihood - best["loglik"]) <= max(1e-7 * scale, tolerance.get("loglik_abs", 0))
    kinds = best.get("std_errors") or case["expected"].get("std_errors") or {}
    coef = dict(fit.coef)
    for name, value in best["params"].items():
        ours = names[name]
        function = (lambda c, ours=ours: c[ours]) if isinstance(ours, str) else ours
        slope = gradient(function, coef)
        error = np.sqrt(slope @ fit.covariance() @ slope)
        if digits:
            allowed = max(10.0 ** -min(digits["params"], 9) * abs(value), 1e-5 * error)
        else:
            allowed = tolerance["params_in_units_of_se"] * error
        assert abs(function(coef) - value) <= allowed, name
        for kind, values in kinds.items():
            asked = covariance_arguments(case, kind)
            if asked is not None and name in values:
                theirs = fit.covariance(**asked)
                assert np.sqrt(slope @ theirs @ slope) == pytest.approx(values[name], rel=1e-4), (kind, name)


GLM = {"deviance": lambda f: f.deviance, "null_deviance": lambda f: f.null.deviance,
       "pearson_chi2": lambda f: f.pearson_statistic, "llnull": lambda f: f.null.log_likelihood,
       "aic": lambda f: f.aic}  # fmt: skip


@pytest.mark.parametrize(
    "case",
    [c for c in NUMBERS if set(c["expected"].get("other") or {}) & {"deviance", "llnull"}],
    ids=lambda c: c["id"],
)
def test_deviances_and_null_models_of_the_case(case):
    fit = fit_case(case)
    other = case["expected"]["other"]
    compared = 0
    for what, ours in GLM.items():
        if isinstance(other.get(what), int | float):
            assert ours(fit) == pytest.approx(other[what], rel=1e-5), what
            compared += 1
    assert compared


@pytest.mark.parametrize("name", ["separation_complete_iris", "separation_quasi_endometrial"])
def test_separated_data_are_reported_with_their_covariates(name):
    case = OUTCOMES[name]
    with pytest.warns(jm.FitWarning, match="separation"):
        fit = fit_case(case)
    names = model_of(case)[1]
    assert fit.certificate.status == "no_finite_maximum"
    diverging = {names[p] for p in case["expected"]["diverging_params"]}
    assert diverging <= set(fit.withheld)
    assert fit.log_likelihood == pytest.approx(case["expected"]["loglik_supremum"], abs=1e-4)
    for parameter, value in (case["expected"].get("limit_params") or {}).items():
        if np.isfinite(float(value)):
            assert fit.coef[names[parameter]] == pytest.approx(value, abs=1e-3)


def test_aliased_columns_are_an_error_that_names_the_combination():
    case = OUTCOMES["rankdef_swiss"]
    with pytest.raises(jm.DataError, match="protestant = 100·Intercept - catholic"):
        fit_case(case)
    fit = fit_case(case, collinear="drop")
    assert fit.converged
    assert "mean[protestant]" not in fit.coef
    assert fit.log_likelihood == pytest.approx(case["expected"]["loglik"], rel=1e-7)
    for parameter, value in case["expected"]["identified_params"].items():
        ours = model_of(case)[1].get(parameter)
        if ours in fit.coef and ours != "mean[Intercept]":
            assert fit.coef[ours] == pytest.approx(value, rel=1e-5)


def test_underdispersed_counts_put_the_dispersion_at_its_bound():
    case = OUTCOMES["nb_boundary_uksoccer"]
    with pytest.warns(jm.FitWarning, match="dispersion → 0"):
        fit = fit_case(case)
    assert fit.certificate.status == "boundary"
    assert fit.log_likelihood == pytest.approx(case["expected"]["loglik_supremum"], rel=1e-6)


def test_an_exact_fit_is_no_optimum():
    case = OUTCOMES["nist_wampler1"]
    with pytest.warns(jm.FitWarning, match=r"rounding|without limit"):
        fit = fit_case(case)
    for name, ours in model_of(case)[1].items():
        if name.startswith("B"):
            assert fit.coef[ours] == pytest.approx(case["expected"]["params"][name], rel=1e-6)


def test_how_many_cases_there_are(capsys):
    """Every case of the file is fitted: as a family here, or as a density in `test_cases`; but those that must wait."""
    later = [c["id"] for c in CASES if c["kind"] in LATER]
    densities = [c["id"] for c in CASES if model_of(c) is None and c["kind"] not in LATER]
    with capsys.disabled():
        print(f"\n{len(FAMILY)} reference cases by family, {len(densities)} by density, {len(later)} wait: {later}")
    assert len(FAMILY) + len(densities) + len(later) == len(CASES)
    assert all(c["kind"].startswith(("nist_nonlinear", "garch", "ar1", "lmm")) for c in CASES if c["id"] in densities)
