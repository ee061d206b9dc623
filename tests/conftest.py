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
    "tests/families/test_registry.py::test_expectation_and_variance": ("ConwayMaxwellPoisson", "BetaBinomial"),
    "tests/families/test_registry.py::test_fit_of_constants_is_proved_and_the_same_from_far_starts": (
        "BetaBinomial", "ConwayMaxwellPoisson", "Tweedie"),
    "tests/families/test_composed_densities.py::test_draws_have_the_mean_and_the_variance": ("TruncatedNormal",),
    "tests/families/test_combinators.py::test_combinators_combine": (),
    "tests/families/test_combinators.py::test_truncation_by_columns_is_truncation_by_numbers": (),
    "tests/objective/test_factors.py::test_every_pass_gives_the_numbers_of_the_whole_matrix": (
        "same_factor_in_two_designs-7-2", "vectors_and_designs_out_of_order-1000-1"),
    "tests/objective/test_in_place.py::test_the_same_numbers_as_from_a_copy": (
        "beside levels-False", "two with one matrix-None"),
    "tests/fit/test_teaching.py::test_the_maximum_likelihood_variance_is_too_small_by_one_part_in_n": (),
    "tests/infer/test_goodness_of_fit.py::test_trials_are_known_in_each_data_set": (),
    "tests/families/test_special.py::test_ordered_labels_keep_their_derivatives_in_the_tails": ("probit",),
    "tests/families/test_registry.py::test_tails_and_quantiles": ("ConwayMaxwellPoisson",),
    "tests/families/test_registry.py::test_far_tails_keep_their_digits": ("ConwayMaxwellPoisson",),
    "tests/families/test_registry.py::test_sums_to_one": ("GeneralizedGamma",),
    "tests/families/test_continuous.py::test_densities_are_smooth_through_shape_zero": ("GeneralizedGamma",),
    "tests/cases/test_cases.py::test_the_standard_errors_of_the_case": ("lmm_ml_sleepstudy_slope",),
    "tests/cases/test_families.py::test_deviances_and_null_models_of_the_case": ("nb1_biochemists",),
    "tests/objective/test_paths.py::test_both_paths_give_the_derivatives_of_the_whole": (
        "matrix_valued-1000-2", "held-7-2", "shared_out_of_order-7-2"),
    "tests/objective/test_once.py::test_the_numbers_are_those_of_the_density": ("negative binomial",),
    "tests/test_estimate.py::test_a_covariate_a_held_value_and_a_penalty_move_it_as_refits_do": ("jacfwd",),
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
