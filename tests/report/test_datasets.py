"""The data sets that come with the package."""

import csv
from pathlib import Path

import numpy as np
import pytest

from jaxmle.datasets import LARGER, NAMES, certified, load
from jaxmle.errors import DataError

from ..conftest import SHARED


@pytest.mark.parametrize("name", NAMES)
def test_data_and_certified_values_are_those_of_the_reference_case(name, cases):
    case = cases[f"nist_{name}"]
    with open(SHARED / case["data_file"]) as file:
        expected = np.array([[float(cell) for cell in row] for row in list(csv.reader(file))[1:]])
    assert np.array_equal(np.column_stack(list(load(name).values())), expected)
    answer = certified(name)
    params = {k: v for k, v in case["expected"]["params"].items() if k != "sigma"}
    assert list(answer["estimates"].values()) == list(params.values())
    (kind,) = (k for k in case["expected"]["std_errors"] if k.endswith("NIST_certified"))
    assert list(answer["std_errors"].values()) == list(case["expected"]["std_errors"][kind].values())
    assert answer["residual_sum_of_squares"] == case["expected"]["other"]["RSS"]


@pytest.mark.parametrize("name", NAMES)
def test_shapes(name):
    data, answer = load(name), certified(name)
    assert {column.shape for column in data.values()} == {(answer["n"],)}
    assert {column.dtype for column in data.values()} == {np.dtype(float)}
    assert list(answer["estimates"]) == list(answer["std_errors"])
    for start in answer.get("starts", []):
        assert list(start) == list(answer["estimates"])


def test_norris_by_the_textbook():
    data, answer = load("norris"), certified("norris")
    slope, intercept = np.polyfit(data["x"], data["y"], 1)
    assert intercept == pytest.approx(answer["estimates"]["Intercept"], rel=1e-9)
    assert slope == pytest.approx(answer["estimates"]["x"], rel=1e-12)
    rss = np.sum((data["y"] - intercept - slope * data["x"]) ** 2)
    assert rss == pytest.approx(answer["residual_sum_of_squares"], rel=1e-10)
    sxx = np.sum((data["x"] - data["x"].mean()) ** 2)
    assert np.sqrt(rss / 34 / sxx) == pytest.approx(answer["std_errors"]["x"], rel=1e-10)


def test_digits_are_those_of_scikit_learn():
    sklearn = pytest.importorskip("sklearn.datasets", reason="scikit-learn is an extra, and has the same data")
    data, theirs = load("digits"), sklearn.load_digits()
    assert np.array_equal(np.stack([data[f"pixel{i}"] for i in range(64)], axis=1), theirs.data)
    assert np.array_equal(data["digit"], theirs.target)


def test_names_are_those_of_the_year():
    """Ranks and counts of 2000 as the Social Security Administration publishes them: Jacob 34,471 boys, Michael 32,035."""
    data = load("names")
    count = dict(zip(data["name"], data["count"]))
    assert len(count) == 5000
    assert list(count)[:2] == ["Jacob", "Michael"]
    assert 34_471 <= count["Jacob"] <= 34_600  # girls' besides
    assert 32_035 <= count["Michael"] <= 32_200
    assert (np.diff(data["count"]) <= 0).all()
    with pytest.raises(DataError, match="'names' has no certified results"):
        certified("names")


@pytest.mark.parametrize("name", ["thurbr", 3, "../secret"])
def test_unknown_names_are_refused(name):
    for ask in (load, certified):
        with pytest.raises(DataError, match="Known names: 'longley'"):
            ask(name)


def test_the_source_and_the_licence_are_stated():
    readme = (Path(__import__("jaxmle.datasets").datasets.__file__).parent / "README").read_text()
    for item in ("itl.nist.gov", "17 U.S.C. 105", *NAMES, *LARGER, "CC BY 4.0", "ssa.gov"):
        assert item in readme
