"""Every reference case that can be written as a density, from raw columns to the published numbers."""

import csv
import gzip
import re
import warnings

import numpy as np
import pytest

import jaxmle as jm

from ..conftest import SHARED, read_cases
from .densities import LATER, model_of
from .families import model_of as family_of

CASES = read_cases()
DONE = [c for c in CASES if c["kind"] not in LATER]
NUMBERS = [c for c in DONE if "outcome" not in c["expected"] and not c["kind"].startswith("nist_nonlinear")]
BY_DENSITY = [  # those that test_families fits too are for the longer run
    pytest.param(c, id=c["id"], marks=[] if family_of(c) is None else [pytest.mark.slow]) for c in NUMBERS
]

pytestmark = pytest.mark.skipif(not CASES, reason="the reference cases are not part of this repository")


def data_of(case):
    path = SHARED / case["data_file"]
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    rows = list(csv.DictReader(text.splitlines()))
    number = lambda s: float(s) if s not in ("", "NA") else np.nan
    data = {}
    for name in rows[0]:
        try:
            data[name] = np.array([number(row[name]) for row in rows])
        except ValueError:  # text, such as the mode of travel
            data[name] = np.array([row[name] for row in rows])
    names = case["covariates"] or []
    for name in names if isinstance(names, list) else sum(names.values(), []):
        if ":" in name:
            a, b = name.split(":")
            data[name] = data[a] * data[b]
    if "offset_is_log_of_column" in case:
        data["log_" + case["offset_is_log_of_column"]] = np.log(data[case["offset_is_log_of_column"]])
    if case["kind"].startswith("nist_linear"):
        for name in case["expected"]["params"]:
            if (j := int(name[1:]) if re.fullmatch(r"B\d", name) else 0) > 0:
                data[name] = data[f"x{j}"] if "x1" in data else data["x"] ** j
    if case["kind"] == "interval_censored_lognormal":
        left, right = data["left"], data["right"]
        data["kind"] = np.where(np.isnan(left), 1, np.where(np.isnan(right), 2, np.where(left == right, 0, 3)))
        data["left"] = np.where(np.isnan(left), right, left)
        data["right"] = np.where(np.isnan(right), left, right)
    return data


def fit_case(case, **arguments):
    if "frequency_weights_column" in case:
        arguments["weights"] = case["frequency_weights_column"]
    return jm.fit(model_of(case), data_of(case), progress=False, **arguments)


def coef_name(case, fit, name):
    """The name that a case's parameter has in the fit."""
    if name in fit.coef:
        return name
    if match := re.fullmatch(r"y(\d):(.*)", name):
        return f"eta[{match[2]},{int(match[1]) - 1}]"
    if match := re.fullmatch(r"cut(\d)", name):
        return f"cut[{int(match[1]) - 1}]"
    block, _, term = name.rpartition(":") if name.split(":")[0] in case_blocks(case) else ("", "", name)
    block = block or next(
        b for b in ("eta", "fixed", "mu") if f"{b}[{term}]" in fit.coef or f"{b}[Intercept]" in fit.coef
    )
    term = "Intercept" if case["kind"].startswith("nist_linear") and term == "B0" else term
    return f"{block}[{term}]"


def case_blocks(case):
    return case["covariates"] if isinstance(case["covariates"], dict) else ()


@pytest.mark.parametrize("case", BY_DENSITY)
def test_the_numbers_of_the_case(case):
    fit = fit_case(case)
    assert fit.converged
    best = case.get("polished", case["expected"])
    digits = case.get("digits")
    tolerance = case.get("tolerance") or {}
    scale = max(abs(best["loglik"]), 1.0)
    assert abs(fit.log_likelihood - best["loglik"]) <= max(1e-7 * scale, tolerance.get("loglik_abs", 0))
    for name, value in best["params"].items():
        ours = coef_name(case, fit, name)
        error = abs(fit.coef[ours] - value)
        if digits:
            assert error <= max(10.0 ** -min(digits["params"], 9) * abs(value), 1e-5 * fit.std_errors[ours]), name
        else:
            assert error <= tolerance["params_in_units_of_se"] * fit.std_errors[ours], name


def standard_errors(case):
    best = case.get("polished", case["expected"])
    kinds = best.get("std_errors") or case["expected"]["std_errors"]
    return {k: {n: v for n, v in se.items() if not n.startswith("_")} for k, se in kinds.items()}


COVARIANCE = {
    "observed": {}, "observed_MLE_scale": {}, "opg": {"kind": "opg"}, "HC0": {"kind": "HC0"}, "HC1": {"kind": "HC1"},
}  # fmt: skip


@pytest.mark.parametrize("case", BY_DENSITY)
def test_the_standard_errors_of_the_case(case):
    fit = fit_case(case)
    compared = 0
    for kind, values in standard_errors(case).items():
        arguments = COVARIANCE.get(kind)
        if kind in ("cluster_CR0", "cluster_firm_CR0"):
            arguments = {"kind": "HC0", "cluster": case["cluster_column"]}
        if kind in ("cluster_HC1", "cluster_firm_HC1"):
            arguments = {"kind": "HC1", "cluster": case["cluster_column"]}
        if arguments is None:
            continue
        se = dict(zip(fit.coef, np.sqrt(np.diag(fit.covariance(**arguments)))))
        rows_count = "frequency_weights_column" not in case  # software differs on what a robust error of copies is
        if not rows_count and kind != "observed":
            continue
        for name, value in values.items():
            assert se[coef_name(case, fit, name)] == pytest.approx(value, rel=1e-4), (kind, name)
            compared += 1
    assert compared or not standard_errors(case)


NONLINEAR = [(c, s) for c in DONE if c["kind"].startswith("nist_nonlinear") for s in ("start1", "start2")]


@pytest.mark.parametrize(("case", "start"), NONLINEAR, ids=lambda x: x if isinstance(x, str) else x["id"])
def test_nist_nonlinear_regressions_from_both_starts(case, start):
    exact = case["id"] == "nist_lanczos1"  # residuals of 1e-13: data to 14 digits, the fit is exact to rounding
    with warnings.catch_warnings():
        if exact:
            warnings.simplefilter("ignore", jm.FitWarning)
        fit = fit_case(case, start=case["start"][start])
    certified = {n: v for n, v in case["expected"]["params"].items() if not (exact and n == "sigma")}
    digits = min(min(-np.log10(abs(fit.coef[n] / v - 1) + 1e-16), 11.0) for n, v in certified.items())
    print(f"{case['id']:14s} {start}: {digits:4.1f} digits, {fit.n_steps} steps, {fit.certificate.status}")
    assert digits >= 6
    if exact:
        assert fit.certificate.status in ("rounding", "unbounded")  # either names the exact fit
    else:
        assert fit.converged


OUTCOMES = {c["id"]: c for c in DONE if "outcome" in c["expected"]}


@pytest.mark.parametrize("name", ["separation_complete_iris", "separation_quasi_endometrial"])
def test_separated_data_are_reported_with_their_covariates(name):
    case = OUTCOMES[name]
    with pytest.warns(jm.FitWarning, match="∞"):
        fit = fit_case(case)
    assert fit.certificate.status == "no_finite_maximum"
    for parameter in case["expected"]["diverging_params"]:
        ours = coef_name(case, fit, parameter)
        assert ours in fit.withheld
        assert np.isnan(fit.std_errors[ours])
    supremum = case["expected"]["loglik_supremum"]
    assert fit.log_likelihood == pytest.approx(supremum, abs=1e-4)
    for parameter, value in (case["expected"].get("limit_params") or {}).items():
        if np.isfinite(float(value)):
            assert fit.coef[coef_name(case, fit, parameter)] == pytest.approx(value, abs=1e-3)


def test_aliased_columns_are_reported_with_their_combination():
    case = OUTCOMES["rankdef_swiss"]
    with pytest.warns(jm.FitWarning, match="catholic"):
        fit = fit_case(case)
    assert fit.certificate.status == "not_identified"
    assert fit.log_likelihood == pytest.approx(case["expected"]["loglik"], rel=1e-7)
    for parameter, value in case["expected"]["identified_params"].items():
        if (ours := coef_name(case, fit, parameter)) in fit.coef:
            assert fit.coef[ours] == pytest.approx(value, rel=1e-5)
            assert np.isfinite(fit.std_errors[ours])
    for parameter in case["expected"]["not_identified"]:
        if (ours := f"eta[{parameter}]") in fit.coef:
            assert np.isnan(fit.std_errors[ours])


def test_underdispersed_counts_put_the_dispersion_at_its_bound():
    case = OUTCOMES["nb_boundary_uksoccer"]
    with pytest.warns(jm.FitWarning, match="alpha → 0"):
        fit = fit_case(case)
    assert fit.certificate.status == "boundary"
    assert fit.log_likelihood == pytest.approx(case["expected"]["loglik_supremum"], rel=1e-6)
    assert np.isnan(fit.std_errors["alpha"])


def test_an_exact_fit_is_no_optimum():
    case = OUTCOMES["nist_wampler1"]
    with pytest.warns(jm.FitWarning, match=r"rounding|without limit"):
        fit = fit_case(case)
    assert not fit.converged
    for name, value in case["expected"]["params"].items():
        if name.startswith("B"):
            assert fit.coef[coef_name(case, fit, name)] == pytest.approx(value, rel=1e-6)
