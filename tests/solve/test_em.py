"""EM: no step lowers the likelihood, the M-step is the textbook's, SQUAREM saves passes, and the end is the published one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jaxmle as jm
from jaxmle.data.tables import Table
from jaxmle.objective.build import build
from jaxmle.solve.em import m_step
from jaxmle.solve.solver import DONE, STALLED

# Hasselblad (1969), Journal of the American Statistical Association 64, 1459-1471: deaths of women over 80 by day in the
# London Times, 1910-1912; the estimates are his, the log-likelihood that of Titterington et al. (1985)
DEATHS = {
    "deaths": np.arange(10),
    "days": np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1]),
}
PUBLISHED = {"rate.0": 1.256, "rate.1": 2.663, "weight.0": 0.3599}
LOG_LIKELIHOOD = -1989.946


def two_poissons(**arguments):
    return jm.fit(jm.mixture(jm.poisson("deaths"), components=2), DEATHS, weights="days", progress=False, **arguments)


def normals(y, k=2):
    """The objective of a mixture of normals, and its points at parameters."""
    built = build(jm.mixture(jm.normal("em_y"), components=k), Table.read({"em_y": y}), weights=np.ones(len(y)))
    return built.objective


def at(objective, mean, sd, weight):
    from jaxmle.objective.fixing import _put

    u = np.zeros(objective.layout.size)
    theta = {f"mean.{i}": np.float64(m) for i, m in enumerate(mean)} | {
        f"sd.{i}": np.float64(s) for i, s in enumerate(sd)
    }
    _put(objective.layout, theta | {"weight": np.asarray(weight, float)}, u)
    return objective.to_z(u)


RNG = np.random.default_rng(3)
Y = np.concatenate([RNG.normal(-1.0, 1.0, 90), RNG.normal(1.5, 0.7, 60)])


@pytest.fixture(scope="module")
def objective():
    return normals(Y)


@pytest.mark.parametrize("solver", [jm.EM(), jm.EM(finish=False), "em"], ids=str)
def test_the_deaths_of_the_london_times(solver):
    fit = two_poissons(solver=solver)
    assert fit.converged
    assert abs(fit.log_likelihood - LOG_LIKELIHOOD) < 5e-4
    for name, value in PUBLISHED.items():
        assert abs(fit.coef[name] - value) < 6e-4


def test_newton_after_em_ends_where_newton_does():
    em, newton = two_poissons(solver="em"), two_poissons(solver="newton")
    assert "Newton" in em.solver
    assert em.n_steps < 40
    np.testing.assert_allclose(list(em.coef.values()), list(newton.coef.values()), rtol=1e-7)
    np.testing.assert_allclose(list(em.std_errors.values()), list(newton.std_errors.values()), rtol=1e-6)


def test_squarem_reaches_the_same_end_in_fewer_passes():
    plain = two_poissons(solver=jm.EM(accelerate=None, finish=False, max_steps=20_000, tol=1e-8))
    fast = two_poissons(solver=jm.EM(finish=False, tol=1e-8))
    assert plain.converged
    assert fast.converged
    assert fast.n_steps < plain.n_steps / 8
    assert abs(fast.log_likelihood - plain.log_likelihood) < 1e-5


def test_the_step_of_normals_is_weighted_moments(objective):
    mean, sd, weight = np.array([-0.5, 2.0]), np.array([1.3, 0.4]), np.array([0.7, 0.3])
    e = objective.evaluate(at(objective, mean, sd, weight), "expectation")
    z = (Y[:, None] - mean) / sd
    joint = weight * np.exp(-0.5 * z**2) / sd / np.sqrt(2 * np.pi)
    r = joint / joint.sum(axis=1, keepdims=True)
    means = (r * Y[:, None]).sum(axis=0) / r.sum(axis=0)
    sds = np.sqrt((r * (Y[:, None] - means) ** 2).sum(axis=0) / r.sum(axis=0))
    assert e.gradient is None
    assert e.value == pytest.approx(-np.log(joint.sum(axis=1)).sum(), rel=1e-13)
    np.testing.assert_allclose(e.maximum, at(objective, means, sds, r.mean(axis=0)), rtol=1e-11)
    assert m_step(np.zeros(5), e)[1]


@given(
    mean=st.tuples(*[st.floats(-6, 6)] * 2),
    sd=st.tuples(*[st.floats(0.2, 8)] * 2),
    share=st.floats(0.02, 0.98),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("accelerate", ["squarem", None])
def test_no_step_lowers_the_likelihood(objective, accelerate, mean, sd, share):
    solver = jm.EM(accelerate=accelerate, finish=False, max_steps=60)
    seen = []
    end = solver.minimise(objective, at(objective, mean, sd, (share, 1 - share)), lambda p: seen.append(p.value))
    assert (np.diff(seen) <= 1e-9).all()
    assert end.value == (seen or [end.value])[-1]
    assert not any("lowered" in note for note in end.notes)


class Wrong:
    """An objective whose maximisation goes the wrong way."""

    def __init__(self, objective):
        self.objective, self.size = objective, objective.size

    def evaluate(self, z, needs="hessian"):
        e = self.objective.evaluate(z, needs)
        return e._replace(maximum=2 * np.asarray(z) - e.maximum + 0.3)


def test_a_step_that_lowers_the_likelihood_is_a_failure_that_is_told(objective):
    end = jm.EM(finish=False).minimise(Wrong(objective), at(objective, (-1, 1), (1, 1), (0.5, 0.5)))
    assert end.stop == STALLED
    assert "lowered the log-likelihood" in end.notes[0]


def test_where_a_component_closes_in_on_one_response_the_search_says_so(objective):
    start = at(objective, (Y[7], 0.0), (1e-4, 1.0), (0.02, 0.98))
    end = jm.EM().minimise(objective, start)
    assert end.stop == "improper"
    assert "component 0 has closed in on" in end.notes[0]


def test_a_fit_that_ends_there_is_none():
    model = jm.mixture(jm.normal("em_y"), components=2)
    with pytest.warns(jm.FitWarning, match="scale, .* is below 0.001 of the largest component's"):
        fit = jm.fit(
            model,
            {"em_y": Y},
            start={"mean.0": Y[7], "sd.0": 1e-4, "mean.1": 0.0, "sd.1": 1.0, "weight": [0.02, 0.98]},
            solver="em",
            progress=False,
        )
    assert not fit.converged
    assert fit.certificate.status == "improper"
    assert all(np.isnan(v) for v in fit.std_errors.values())


def test_components_without_a_closed_form_take_newtons_step():
    rng = np.random.default_rng(8)
    x = rng.normal(size=240)
    y = np.where(rng.uniform(size=240) < 0.4, 3 - 2 * x, x) + 0.4 * rng.normal(size=240)
    model = jm.mixture(jm.normal("em_y ~ em_x"), components=2)
    em = jm.fit(model, {"em_y": y, "em_x": x}, solver=jm.EM(), progress=False)
    plain = jm.fit(model, {"em_y": y, "em_x": x}, solver=jm.EM(finish=False, accelerate=None, tol=1e-8), progress=False)
    assert em.converged
    assert plain.converged
    assert em.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)
    assert min(em.coef["mean.0[em_x]"], em.coef["mean.1[em_x]"]) == pytest.approx(-2, abs=0.2)


def test_many_searches_share_one_batch(objective):
    z = np.stack([at(objective, m, (1, 1), (0.5, 0.5)) for m in ((-1, 1), (-3, 0), (0, 2))])
    for one, point in zip(objective.evaluate_batch(z, "expectation"), z):
        alone = objective.evaluate(point, "expectation")
        assert one.value == pytest.approx(alone.value, rel=1e-12)
        np.testing.assert_allclose(one.maximum, alone.maximum, rtol=1e-9)
    end = jm.MultiStart(3, jm.EM(finish=False), spread=0.3).minimise(objective, z[0])
    assert end.stop == DONE
    assert len(end.optima) >= 1


def test_other_models_and_settings_are_refused():
    with pytest.raises(jm.ModelError, match="EM fits mixtures"):
        jm.fit(jm.poisson("deaths"), DEATHS, solver="em", progress=False)
    with pytest.raises(jm.ModelError, match="accelerate must be 'squarem' or None"):
        replace(jm.EM(), accelerate="fast")


@pytest.mark.parametrize("short", [0, 1.5, True])
def test_the_number_of_starts_and_steps_is_whole(short):
    with pytest.raises(jm.ModelError, match="short must be a whole number from 1 up"):
        jm.EM(short=short)
