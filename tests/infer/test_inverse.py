"""Inverses of information matrices, against one that is known."""

import numpy as np
import pytest

from jaxmle.infer.covariance import observed


@pytest.mark.parametrize("k", [1, 64, 65, 130, 333])
def test_the_inverse_of_an_information_matrix_of_any_size(k: int):
    """Of neighbours that are correlated by ρ: three diagonals, whose inverse is ρ^|i − j| (AR(1), of variance one)."""
    rho, units = 0.9, 10.0 ** np.linspace(-3, 3, k)
    middle = np.full(k, 1 + rho**2)
    middle[[0, -1]] = 1.0 if k > 1 else 1 - rho**2
    information = (np.diag(middle) - rho * (np.eye(k, k=1) + np.eye(k, k=-1))) / (1 - rho**2)
    expected = rho ** np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    found = observed(information / np.outer(units, units)) / np.outer(units, units)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_what_is_not_positive_definite_has_no_covariance():
    assert np.isnan(observed(np.diag(np.r_[np.ones(80), -1.0]))).all()
