"""Hidden Markov models: sums over all paths, hmmlearn, one step of EM, the published counts of earthquakes."""

import itertools

import numpy as np
import pytest
from scipy.stats import poisson

import jaxmle as jm
from jaxmle.infer.ahead import BestPath, StateChance
from jaxmle.infer.predict import data_sets
from jaxmle.infer.statements import INDEX

from .numbers import EARTHQUAKES, ask, log_likelihood

FREE = jm.hidden_markov(jm.poisson("y"), states=2, initial="free")
GIVEN = {"rate.0": 14.0, "rate.1": 24.0, "transition": [[0.9, 0.1], [0.2, 0.8]], "initial": [0.6, 0.4]}


@pytest.fixture(scope="module")
def quakes():
    return jm.fit(jm.hidden_markov(jm.poisson("y"), states=2), {"y": EARTHQUAKES})


def over_paths(b, start, transition):
    """The density of every path of states (paths, n) and its joint density, by brute force."""
    n, k = b.shape
    paths = np.array(list(itertools.product(range(k), repeat=n)))
    joint = start[paths[:, 0]] * np.prod([transition[paths[:, t - 1], paths[:, t]] for t in range(1, n)], axis=0)
    return paths, joint * np.prod([b[t, paths[:, t]] for t in range(n)], axis=0)


@pytest.mark.parametrize("missing", [[], [0, 3]], ids=["whole", "with gaps"])
def test_the_likelihood_is_a_sum_over_all_paths(missing):
    y = EARTHQUAKES[40:48].astype(float)
    y[missing] = np.nan
    start, transition = np.array([0.2, 0.5, 0.3]), np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.1, 0.4, 0.5]])
    rates = np.array([20.0, 26.0, 35.0])
    b = np.where(np.isnan(y)[:, None], 1.0, poisson.pmf(np.nan_to_num(y, nan=0.0)[:, None], rates))
    paths, joint = over_paths(b, start, transition)
    params = {f"rate.{i}": r for i, r in enumerate(rates)} | {"transition": transition, "initial": start}
    model = jm.hidden_markov(jm.poisson("y"), states=3, initial="free")
    assert log_likelihood(model, params, {"y": y}) == pytest.approx(np.log(joint.sum()), rel=1e-12)
    chances = np.stack([[joint[paths[:, t] == i].sum() for i in range(3)] for t in range(8)]) / joint.sum()
    found = [state_chances(model, params, {"y": y}, i) for i in range(3)]
    np.testing.assert_allclose(np.stack(found, axis=1), chances, rtol=1e-10)
    np.testing.assert_array_equal(ask(model, params, {"y": y}, BestPath(model.log_density)), paths[joint.argmax()])


def state_chances(model, params, data, state):
    index = np.full(len(data["y"]), state)
    return ask(model, params, data, StateChance(model.log_density), **{INDEX: index})


def test_the_likelihood_is_hmmlearns():
    """hmmlearn 0.3.3: PoissonHMM(2).score(X) and score(X, lengths=[50, 57]); GaussianHMM(3, "diag").score(X)."""
    assert log_likelihood(FREE, GIVEN, {"y": EARTHQUAKES}) == pytest.approx(-345.5783326219587, rel=1e-12)
    two = jm.hidden_markov(jm.poisson("y"), states=2, initial="free", series="part")
    data = {"y": EARTHQUAKES, "part": np.arange(107) >= 50}
    assert log_likelihood(two, GIVEN, data) == pytest.approx(-346.2714540989277, rel=1e-12)
    normal = jm.hidden_markov(jm.normal("y"), states=3, initial="free")
    params = {f"mean.{i}": m for i, m in enumerate((12.0, 20.0, 30.0))} | {
        f"sd.{i}": s for i, s in enumerate((3, 4, 5.0))
    }
    params |= {"initial": [0.5, 0.3, 0.2], "transition": [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]]}
    assert log_likelihood(normal, params, {"y": EARTHQUAKES}) == pytest.approx(-336.98671980146577, rel=1e-12)


def test_a_step_of_em_is_hmmlearns():
    """hmmlearn 0.3.3: PoissonHMM(2, params="stl", init_params="", n_iter=1).fit(X) from the parameters above."""
    one = state_chances(FREE, GIVEN, {"y": EARTHQUAKES}, 1)
    np.testing.assert_allclose([1 - one[0], one[0]], [0.992083639197882, 0.007916360802118052], rtol=1e-10)
    np.testing.assert_allclose(np.average(EARTHQUAKES, weights=1 - one), 14.374849931181396, rtol=1e-10)
    np.testing.assert_allclose(np.average(EARTHQUAKES, weights=one), 24.414204836627697, rtol=1e-10)
    path = ask(FREE, GIVEN, {"y": EARTHQUAKES}, BestPath(FREE.log_density))
    runs = np.diff(np.flatnonzero(np.concatenate([[True], path[1:] != path[:-1], [True]])))
    assert path[0] == 0
    assert runs.tolist() == [5, 14, 4, 9, 2, 24, 7, 12, 30]


def test_the_published_counts(quakes):
    """Zucchini, MacDonald and Langrock (2016), table 3.1 and section 3.3.3: two states, -342.3183, rates 15.472 and 26.125."""
    assert quakes.converged
    assert quakes.log_likelihood == pytest.approx(-342.3183, abs=5e-5)
    assert [quakes.coef["rate.0"], quakes.coef["rate.1"]] == pytest.approx([15.472, 26.125], abs=5e-4)
    assert quakes.coef["transition[0,1]"] == pytest.approx(0.066, abs=5e-4)
    assert quakes.coef["transition[1,0]"] == pytest.approx(0.1285, abs=5e-4)


@pytest.mark.slow
def test_three_states_of_the_published_counts():
    with pytest.warns(jm.FitWarning, match="end of a parameter's range"):
        fit = jm.fit(jm.hidden_markov(jm.poisson("y"), states=3), {"y": EARTHQUAKES})
    assert -fit.log_likelihood == pytest.approx(329.4603, abs=5e-5)


def test_predictions_of_the_next_counts(quakes):
    """By powers of the transition matrix, from what is known of the last state."""
    now = quakes.predict(what="states")[-1]
    rates, transition = np.array([quakes.coef["rate.0"], quakes.coef["rate.1"]]), quakes.params["transition"]
    next_two = np.stack([now @ transition, now @ transition @ transition])
    new = {"any": [0, 0]}
    np.testing.assert_allclose(quakes.predict(new), next_two @ rates, rtol=1e-9)
    chances = quakes.predict(new, what="prob", value=[10, 30])
    expected = np.stack([next_two @ poisson.pmf(v, rates) for v in (10, 30)], axis=1)
    np.testing.assert_allclose(chances, expected, rtol=1e-9)


@pytest.mark.slow
def test_residuals_are_about_standard_normal(quakes):
    z = quakes.residuals("quantile")
    assert abs(z.mean()) < 0.2
    assert z.std() == pytest.approx(1.0, abs=0.15)


def test_drawn_series_have_the_moments_of_the_chain(quakes):
    y = np.stack([d["y"] for d in data_sets(quakes.model, quakes.params, quakes.session.used, 300, 1)])
    share = quakes.params["transition"][1, 0] / (quakes.params["transition"][1, 0] + quakes.params["transition"][0, 1])
    low, high = quakes.coef["rate.0"], quakes.coef["rate.1"]
    mean = share * low + (1 - share) * high
    assert y.mean() == pytest.approx(mean, abs=0.3)
    memory = 1 - quakes.params["transition"][1, 0] - quakes.params["transition"][0, 1]
    expected = share * (1 - share) * (high - low) ** 2 * memory
    assert ((y[:, 1:] - mean) * (y[:, :-1] - mean)).mean() == pytest.approx(expected, rel=0.12)


def test_states_with_regressions_and_missing_responses():
    rng = np.random.default_rng(5)
    state = np.cumsum(rng.uniform(size=400) < 0.05) % 2
    x = rng.normal(size=400)
    y = np.where(state == 0, 1.0 + 0.5 * x, 6.0 - 1.0 * x) + 0.7 * rng.normal(size=400)
    y[[0, 17, 18, 399]] = np.nan
    fit = jm.fit(jm.hidden_markov(jm.normal("y ~ x"), states=2), {"y": y, "x": x})
    assert fit.converged
    assert fit.n_obs == 396
    assert fit.coef["mean.0[x]"] == pytest.approx(0.5, abs=0.15)
    assert fit.coef["mean.1[x]"] == pytest.approx(-1.0, abs=0.2)
    assert np.mean(fit.predict(what="path") == state) > 0.98
    here = fit.predict(what="mean")[17]
    before = (fit.predict(what="states")[16] > 0.5) @ fit.params["transition"]
    by_state = [fit.predict(what=f"mean.{i}")[17] for i in range(2)]
    assert here == pytest.approx(before @ by_state, rel=0.02)


def test_labels_are_a_response_too():
    rng = np.random.default_rng(8)
    state = np.cumsum(rng.uniform(size=500) < 0.03) % 2
    word = np.where(rng.uniform(size=500) < np.where(state == 0, 0.1, 0.8), "yes", "no")
    fit = jm.fit(jm.hidden_markov(jm.bernoulli("word"), states=2), {"word": word})
    assert [fit.coef[f"prob.{i}"] for i in range(2)] == pytest.approx([0.1, 0.8], abs=0.1)
    assert set(fit.simulate(3)) == {"yes", "no"}


def test_states_have_one_order_from_whatever_start(quakes):
    start = {"rate.0": 26.0, "rate.1": 15.0, "transition": [[0.87, 0.13], [0.07, 0.93]]}
    fit = jm.fit(jm.hidden_markov(jm.poisson("y"), states=2), {"y": EARTHQUAKES}, start=start)
    assert fit.converged
    for name, value in quakes.coef.items():
        assert fit.coef[name] == pytest.approx(value, rel=1e-5), name


def test_a_saved_fit_knows_its_states(quakes, tmp_path):
    quakes.save(tmp_path / "fit")
    path = jm.load(tmp_path / "fit").predict({"y": EARTHQUAKES}, what="path")
    np.testing.assert_array_equal(path, quakes.predict(what="path"))
