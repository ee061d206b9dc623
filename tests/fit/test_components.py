"""Which component a response is from, how many there are, and a test that simulates the smaller number."""

import numpy as np
import pytest

import jaxmle as jm

RNG = np.random.default_rng(4)
TWO = {"comp_y": np.concatenate([RNG.normal(0, 1, 60), RNG.normal(4, 1, 40)])}


@pytest.fixture(scope="module")
def chosen():
    return jm.choose_components(jm.normal("comp_y"), TWO, components=range(1, 4))


def posterior(fit, y):
    """By hand, from the estimates."""
    k = len(fit.params["weight"])
    mean, sd = (np.array([fit.coef[f"{name}.{i}"] for i in range(k)]) for name in ("mean", "sd"))
    joint = fit.params["weight"] * np.exp(-0.5 * ((y[:, None] - mean) / sd) ** 2) / sd
    return joint / joint.sum(axis=1, keepdims=True)


def test_two_components_are_chosen(chosen):
    assert chosen.best == 2
    assert chosen.fit is chosen.fits[2]
    assert chosen.values[1] == pytest.approx(-2 * chosen.fits[1].log_likelihood + 2 * np.log(100), rel=1e-12)
    assert chosen.values[2] == pytest.approx(-2 * chosen.fits[2].log_likelihood + 5 * np.log(100), rel=1e-12)
    assert "← smallest BIC" in repr(chosen).splitlines()[2]


def test_posteriors(chosen):
    fit, y = chosen.fits[2], TWO["comp_y"]
    r = posterior(fit, y)
    np.testing.assert_allclose(fit.predict(what="posterior"), r, rtol=1e-9, atol=1e-15)
    assert (fit.predict(what="component") == r.argmax(axis=1)).all()
    new = np.array([-1.0, 2.0, 5.0])
    estimate, error = fit.predict({"comp_y": new}, what="posterior", se=True)
    np.testing.assert_allclose(estimate, posterior(fit, new), rtol=1e-9)
    np.testing.assert_allclose(error[:, 0], error[:, 1], rtol=1e-6)  # they add up to one
    assert error[1, 0] > error[0, 0] > 0


def test_the_integrated_criterion_counts_what_is_not_certain(chosen):
    r = posterior(chosen.fits[2], TWO["comp_y"])
    icl = chosen.tidy()["icl"]
    assert icl[0] == chosen.fits[1].bic
    assert icl[1] == pytest.approx(chosen.fits[2].bic - 2 * (r * np.log(r)).sum(), rel=1e-9)


def test_the_bootstrap_sees_the_second_component(chosen):
    test = jm.bootstrap_test(chosen.fits[1], chosen.fits[2], n=19, key=3)
    assert test.df == 3
    assert test.statistic == pytest.approx(2 * (chosen.fits[2].log_likelihood - chosen.fits[1].log_likelihood))
    assert len(test.simulated) + test.n_failed == 19
    assert (test.simulated >= 0).all()
    # without a second component the statistic is of the size of a χ² of a few degrees of freedom, not of this one
    assert np.median(test.simulated) < 12
    assert test.p_value == 1 / (1 + len(test.simulated))


def test_what_makes_no_sense_is_refused(chosen):
    one, two = chosen.fits[1], chosen.fits[2]
    with pytest.raises(jm.ModelError, match="larger one of the same data"):
        jm.bootstrap_test(two, one)
    with pytest.raises(jm.ModelError, match="at least 19 data sets"):
        jm.bootstrap_test(one, two, n=5)
    weighted = jm.fit(jm.normal("comp_y"), TWO, weights=np.full(100, 2), progress=False)
    with pytest.raises(jm.ModelError, match="repeat the rows in place of weights"):
        jm.bootstrap_test(weighted, two)
    with pytest.raises(jm.ModelError, match="criterion is one of 'bic', 'aic', 'icl'; got 'dic'"):
        jm.choose_components(jm.normal("comp_y"), TWO, criterion="dic")
    with pytest.raises(jm.ModelError, match="distinct whole numbers from 1 up"):
        jm.choose_components(jm.normal("comp_y"), TWO, components=[0, 1])
    with pytest.raises(jm.ModelError, match=r"is for mixtures \(jm.mixture\), not 'Normal'"):
        one.predict(what="posterior")
