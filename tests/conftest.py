"""What all tests share: two CPU devices, a compile cache of the test run's own, and the reference cases where they are."""

import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("JAXMLE_CACHE_DIR", str(Path(tempfile.gettempdir()) / "jaxmle-test-cache"))

import jax

jax.config.update("jax_num_cpu_devices", 2)

import pytest

from jaxmle import runtime

SHARED = Path(__file__).parents[2] / "shared" / "cases"


def read_cases() -> list[dict]:
    """The verified reference cases; none where they are not at hand."""
    path = SHARED / "cases.json"
    return json.loads(path.read_text()) if path.exists() else []


MOST_MAPS = 12_000
"""Each compiled program takes a few memory maps of the process, and Linux allows 65,530: then it dies."""


@pytest.fixture(autouse=True, scope="module")
def few_programs():
    """Programs of earlier modules are forgotten where there are many."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_text().count("\n") > MOST_MAPS:
        runtime.forget_programs()


LONGER = {
    "tests/cases/test_families.py::test_the_numbers_of_the_case": (
        "ztnb_medpar", "tweedie_fair", "oprobit_ucla", "nb1_biochemists", "zinb_biochemists", "hurdle_nb_biochemists",
        "betabinomial_lirat"),
    "tests/families/test_continuous.py::test_tails_quantiles_and_moments_agree_with_scipy": ("GeneralizedGamma",),
    "tests/families/test_registry.py::test_expectation_and_variance": (
        "ConwayMaxwellPoisson", "BetaBinomial", "Tweedie", "NegativeBinomial1", "GeneralizedPoisson"),
    "tests/families/test_registry.py::test_fit_of_constants_is_proved_and_the_same_from_far_starts": (
        "BetaBinomial", "ConwayMaxwellPoisson", "Tweedie", "VonMises", "NegativeBinomial1", "GeneralizedPoisson",
        "GeneralizedGamma"),
    "tests/families/test_composed_densities.py::test_draws_have_the_mean_and_the_variance": ("TruncatedNormal",),
    "tests/families/test_combinators.py::test_combinators_combine": (),
    "tests/families/test_combinators.py::test_truncation_by_columns_is_truncation_by_numbers": (),
    "tests/objective/test_factors.py::test_every_pass_gives_the_numbers_of_the_whole_matrix": (
        "same_factor_in_two_designs-7-2", "vectors_and_designs_out_of_order-1000-1", "shared-1-1"),
    "tests/objective/test_in_place.py::test_the_same_numbers_as_from_a_copy": (
        "beside levels-False", "two with one matrix-None"),
    "tests/fit/test_teaching.py::test_the_maximum_likelihood_variance_is_too_small_by_one_part_in_n": (),
    "tests/infer/test_goodness_of_fit.py::test_trials_are_known_in_each_data_set": (),
    "tests/families/test_special.py::test_ordered_labels_keep_their_derivatives_in_the_tails": ("probit",),
    "tests/families/test_registry.py::test_tails_and_quantiles": ("ConwayMaxwellPoisson", "BetaBinomial"),
    "tests/families/test_registry.py::test_score_has_mean_zero_and_its_variance_is_the_information": ("GeneralizedGamma",),
    "tests/families/test_registry.py::test_expected_information_is_that_of_the_family": ("ConwayMaxwellPoisson",),
    "tests/families/test_registry.py::test_far_tails_keep_their_digits": ("ConwayMaxwellPoisson",),
    "tests/families/test_registry.py::test_sums_to_one": (
        "GeneralizedGamma", "SkewNormal", "InverseGaussian"),
    "tests/families/test_continuous.py::test_densities_are_smooth_through_shape_zero": ("GeneralizedGamma",),
    "tests/cases/test_cases.py::test_the_standard_errors_of_the_case": ("lmm_ml_sleepstudy_slope",),
    "tests/cases/test_families.py::test_deviances_and_null_models_of_the_case": ("nb1_biochemists",),
    "tests/objective/test_paths.py::test_both_paths_give_the_derivatives_of_the_whole": (
        "matrix_valued-1000-2", "held-7-2", "shared_out_of_order-7-2", "many_dense-7-1", "whole_numbers-None-2",
        "float32_columns-1-1"),
    "tests/objective/test_paths.py::test_results_do_not_depend_on_how_the_rows_are_cut": ("one_predictor-False",),
    "tests/objective/test_paths.py::test_chunks_of_padding_are_never_touched": ("2",),
    "tests/objective/test_units.py::test_groups_give_what_a_loop_over_them_gives": ("1-2",),
    "tests/objective/test_factors.py::test_coefficients_that_are_differentiated_one_by_one": (
        "case0-settings0", "case2-settings2"),
    "tests/objective/test_once.py::test_the_numbers_are_those_of_the_density": ("negative binomial", "gamma"),
    "tests/test_estimate.py::test_a_covariate_a_held_value_and_a_penalty_move_it_as_refits_do": ("jacfwd",),
    "tests/test_estimate.py::test_second_derivatives": ("float32",),
    "tests/test_estimate.py::test_a_mean_and_a_standard_deviation_move_as_closed_forms_say": ("float32",),
    "tests/numerics/test_numerics_incomplete.py::test_incomplete_gamma": ("gammaincc", "log_gammaincc"),
    "tests/infer/test_bias.py::test_the_formula_for_generalised_linear_models": ("probit",),
    "tests/infer/test_separation.py::test_counts_that_are_zero_within_a_level": ("negative_binomial",),
    "tests/infer/test_one_optimum.py::test_location_and_scale_are_jointly_concave_censored_or_not": (
        "Weibull", "LogNormal"),
    "tests/families/test_gaussian_mixture.py::test_products_of_monomials_give_the_derivatives_of_the_log_density": (
        "VVV",),
}  # fmt: skip
"""Tests of ten seconds and more that vary others: they are slow ones, by the names of their cases where not all are."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        name, _, case = item.nodeid.partition("[")
        if name in LONGER and (not LONGER[name] or case.removesuffix("]") in LONGER[name]):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def cases() -> dict[str, dict]:
    """The reference cases by id; tests that need them are skipped where they are not at hand."""
    found = read_cases()
    if not found:
        pytest.skip("the reference cases are not part of this repository")
    return {case["id"]: case for case in found}
