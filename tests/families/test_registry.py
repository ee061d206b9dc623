"""Every family of the registry against its definition in mpmath, sums over its support, and its own simulations."""

from functools import cache

import jax
import mpmath
import numpy as np
import pytest
from scipy import special, stats

import jaxmle as jm
from jaxmle import runtime
from jaxmle.declare.domains import Interval, Positive, UnitInterval
from jaxmle.declare.families import family

from .examples_special import EXAMPLES as COMPOSITIONS
from .probe import DRAWS, Probe, all_examples

EXAMPLES = all_examples()

COMPOSED = {e.id for e in COMPOSITIONS}
"""Compositions, which test_composed_densities and test_combinators go through: here in the longer run."""

KINKED = {"Laplace": "the density has a kink, where its Hessian lacks a part"}
"""Families whose Hessian is not minus the information."""

HOPELESS = -1e20
"""The log-likelihood of a start so far away that a search, which compares values, has no digits to go by."""

SEVERAL = {
    "SkewNormal": "shape 0 is a stationary point of every sample, with singular information",
    "StudentT": "from few degrees of freedom and a tiny scale the search follows a ridge",
    "TwoNormals": "the components may change places",
    "ZeroInflatedPoisson": "from a rate far too low no zeros seem inflated",
}
"""Families whose likelihood has more than one place to end at: their starts are less far away."""


@cache
def probe_of(name: str) -> Probe:
    return Probe(next(e for e in EXAMPLES if e.id == name))


@pytest.fixture(params=[pytest.param(e.id, marks=[pytest.mark.slow] if e.id in COMPOSED else []) for e in EXAMPLES])
def probe(request) -> Probe:
    return probe_of(request.param)


def in_mpmath(probe: Probe, y: float):
    """The reference as a function of the parameters in mpmath, without its lower-level arguments."""
    known = {k: mpmath.mpf(v) for k, v in probe.known.items()}
    return lambda *theta: probe.example.reference(mpmath.mp, mpmath.mpf(y), **known, **dict(zip(probe.names, theta)))


def test_log_prob_equals_its_definition(probe):
    for params in (probe.example.params, *probe.example.others):
        theta = [float(params[name]) for name in probe.names]
        values = probe.derivatives(np.array(probe.example.grid), theta)[0]
        for y, value in zip(probe.example.grid, values):
            with mpmath.workdps(40):
                truth = in_mpmath(probe, y)(*map(mpmath.mpf, theta))
                error = abs(mpmath.mpf(float(value)) - truth) / max(1, abs(truth))
            assert error < 1e-12, f"at {params}, y = {y}: {value} for {mpmath.nstr(truth, 17)}"


def test_gradient_and_hessian_equal_differences_of_the_definition(probe):
    grid = probe.example.grid
    ys = (grid[min(1, len(grid) - 1)], grid[len(grid) // 2])
    _, gradients, hessians = probe.derivatives(np.array(ys))
    m = len(probe.theta)
    with mpmath.workdps(50):
        theta = tuple(map(mpmath.mpf, probe.theta.tolist()))
        for y, gradient, hessian in zip(ys, gradients, hessians):
            f = in_mpmath(probe, y)
            for i in range(m):
                for j in range(i, m + 1):  # j = m: the gradient
                    order = tuple((k == i) + (k == j) for k in range(m))
                    truth = float(mpmath.diff(f, theta, order) if m > 1 else mpmath.diff(f, theta[0], order[0]))
                    value = float(gradient[i] if j == m else hessian[i, j])
                    assert abs(value - truth) < 1e-8 * max(1.0, abs(truth)), f"y = {y}, order {order}"


def test_sums_to_one(probe):
    assert probe.truth["mass"].sum() == pytest.approx(1.0, abs=1e-10)


def test_score_has_mean_zero_and_its_variance_is_the_information(probe):
    mass, score, hessian = (probe.truth[k] for k in ("mass", "score", "hessian"))
    variance = np.einsum("n,ni,nj->ij", mass, score, score)
    scale = np.sqrt(np.diag(variance))
    assert np.abs(mass @ score / scale).max() < 1e-8
    if probe.example.id in KINKED:
        return
    information = -np.einsum("n,nij->ij", mass, hessian)
    assert np.abs((information - variance) / np.outer(scale, scale)).max() < 1e-7


def test_expected_information_is_that_of_the_family(probe):
    if not probe.example.family.has("expected_log_prob"):
        return

    def expected(theta, truth):
        return probe.make(theta).expected_log_prob(probe.make(truth))

    both = jax.jit(lambda theta: (jax.grad(expected)(theta, theta), jax.hessian(expected)(theta, theta)))
    gradient, hessian = (np.asarray(v) for v in runtime.call(both, probe.theta)[0])
    mass, score = probe.truth["mass"], probe.truth["score"]
    variance = np.einsum("n,ni,nj->ij", mass, score, score)
    scale = np.sqrt(np.diag(variance))
    assert np.abs(gradient / scale).max() < 1e-8
    if probe.example.id not in KINKED:
        assert np.abs((hessian + variance) / np.outer(scale, scale)).max() < 1e-7


def test_expectation_and_variance(probe):
    got = probe.statements([probe.example.grid[0]], [0.5])
    for what in ("expectation", "variance"):
        truth = probe.truth[what]
        if probe.example.id == "VonMises" and what == "variance":  # the circular one
            truth = probe.truth["mass"] @ (1.0 - np.cos(probe.nodes.y - probe.theta[0]))
        if np.isfinite(got[what]):
            assert got[what] == pytest.approx(truth, rel=1e-8, abs=1e-8 * np.sqrt(probe.truth["variance"])), what
        else:  # it does not exist: the sum grows with its range
            assert probe.truth["variance"] > 1e8 * np.ptp(probe.nodes.middle) ** 2


def tails(probe: Probe) -> tuple[np.ndarray, np.ndarray]:
    """log P(Y <= e) and log P(Y > e) at the edges, summed in logarithms."""
    log_mass, first = probe.truth["log_mass"], probe.nodes.first
    with np.errstate(divide="ignore"):
        below = np.logaddexp.accumulate(np.concatenate([[-np.inf], log_mass]))
        above = np.logaddexp.accumulate(np.concatenate([[-np.inf], log_mass[::-1]]))[::-1]
    return below[first], above[first]


def test_tails_and_quantiles(probe):
    below, above = tails(probe)
    if probe.nodes.middle:  # inside the middle half, where there are no atoms
        near = [int(np.argmin(np.abs(probe.nodes.edges - y))) for y in probe.nodes.middle]
    else:
        near = [int(np.argmin(np.abs(np.exp(below) - q))) for q in (0.1, 0.45, 0.9)]
    edges = probe.nodes.edges[near]
    got = probe.statements(edges, np.exp(below[near]))
    np.testing.assert_allclose(got["log_cdf"], below[near], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(got["log_survival"], above[near], rtol=1e-8, atol=1e-9)
    if probe.make(probe.theta).support.whole:
        # between two steps of the cdf, where rounding does not matter
        chances = np.exp(below[near]) - 0.5 * probe.truth["mass"][near]
        np.testing.assert_array_equal(probe.statements(edges, chances)["quantile"], edges)
    else:
        spread = np.sqrt(probe.truth["variance"]) if np.isfinite(probe.truth["variance"]) else 1.0
        np.testing.assert_allclose(got["quantile"], edges, rtol=1e-7, atol=1e-8 * min(spread, 1e3))


def test_far_tails_keep_their_digits(probe):
    below, above = tails(probe)
    low, high = (np.argmin(np.abs(tail - far)) for tail, far in zip((below, above), probe.nodes.far))
    got = probe.statements(probe.nodes.edges[[low, high]], [0.5])
    if below[low] > -80:  # a tail may end before it is far
        assert got["log_cdf"][0] == pytest.approx(below[low], rel=1e-5)
    if above[high] > -80:
        assert got["log_survival"][1] == pytest.approx(above[high], rel=1e-5)


@pytest.mark.slow
def test_sampler(probe):
    y = probe.sample(1)
    truth = probe.truth
    if probe.example.id == "VonMises":  # which draws angles in (-pi, pi]
        y = probe.theta[0] + np.mod(y - probe.theta[0] + np.pi, 2 * np.pi) - np.pi
    if np.sqrt(truth["variance"]) < 1e4 * max(np.ptp(probe.nodes.middle or (0, 1)), 1e-300):
        assert abs(y.mean() - truth["expectation"]) < 5 * np.sqrt(truth["variance"] / DRAWS)
    cumulative = np.concatenate([[0.0], np.exp(tails(probe)[0]), [1.0]])
    counts = np.concatenate([[0], np.searchsorted(np.sort(y), probe.nodes.edges, side="right"), [DRAWS]])
    kept = [0]
    for i in range(1, len(cumulative)):  # bins in which at least 50 draws are expected
        if cumulative[i] - cumulative[kept[-1]] > 50 / DRAWS and cumulative[-1] - cumulative[i] > 50 / DRAWS:
            kept.append(i)
    kept.append(len(cumulative) - 1)
    expected, observed = DRAWS * np.diff(cumulative[kept]), np.diff(counts[kept])
    statistic = np.sum((observed - expected) ** 2 / expected)
    assert special.chdtrc(len(expected) - 1, statistic) > 1e-6


# --- from simulation to fit -------------------------------------------------------------------------------------------


def model_of(probe: Probe, **parameters):
    known = {k: k for k in probe.known}
    return family(probe.example.family)("y", **known, **parameters)


def data_of(probe: Probe, y: np.ndarray, **columns) -> dict:
    return {"y": y, **{k: np.full(len(y), v) for k, v in probe.known.items()}, **columns}


def far_starts(probe: Probe) -> list[dict]:
    """Three starts that no one would choose."""
    factor = 2.0 if probe.example.id in SEVERAL else 20.0
    out = []
    for step in (1, 2, 3):
        start = {}
        for i, (name, value) in enumerate(probe.example.params.items()):
            domain, up = probe.example.family.parameters[name], (step + i) % 2 == 0
            if isinstance(domain, Positive):
                start[name] = value * factor if up else value / factor
            elif isinstance(domain, UnitInterval):
                start[name] = 0.95 if up else 0.05
            elif isinstance(domain, Interval):
                start[name] = domain.low + (0.9 if up else 0.1) * (domain.high - domain.low)
            else:
                start[name] = value + (0.1 if up else -0.1) * factor * step
        out.append(start)
    return out


def test_fit_of_constants_is_proved_and_the_same_from_far_starts(probe):
    unless_kinked(probe)
    data = data_of(probe, probe.sample(2)[: probe.example.n])
    model = model_of(probe)
    fit = jm.fit(model, data, start=probe.example.params if probe.example.id == "TwoNormals" else None)
    assert fit.converged
    best = np.array(list(fit.coef.values()))
    errors = np.array(list(fit.std_errors.values()))
    assert (np.abs(best - probe.theta) < 5 * errors).all(), (best, errors)
    for start in far_starts(probe):
        at_start = log_likelihood(probe, data["y"], start)
        if not at_start > HOPELESS:  # outside the support, where a start is refused, or nearly so
            continue
        other = jm.fit(model, data, start=start)
        assert other.converged, start
        assert np.abs(np.array(list(other.coef.values())) - best).max() < 1e-4 * errors.max(), start


def log_likelihood(probe: Probe, y: np.ndarray, params: dict) -> float:
    return float(probe.derivatives(y, [params[name] for name in probe.names])[0].sum())


def unless_kinked(probe: Probe) -> None:
    if probe.example.id in KINKED:
        pytest.skip(f"{KINKED[probe.example.id]}: its optimum is found and not proved")


@pytest.mark.slow
def test_fit_of_a_predictor_is_proved_and_near_the_truth(probe):
    unless_kinked(probe)
    first = probe.names[0]
    link = probe.example.family.default_link(first)
    x = np.repeat([-1.0, 0.0, 1.0], probe.example.n // 2)
    with runtime.x64():
        eta = float(link.forward(probe.theta[0])) + 0.3 * np.array([-1.0, 0.0, 1.0])
        values = np.asarray(link.inverse(eta))
    draws = [probe.sample(3 + i, [v, *probe.theta[1:]])[: probe.example.n // 2] for i, v in enumerate(values)]
    fit = jm.fit(model_of(probe, **{first: jm.Linear([1, "x"])}), data_of(probe, np.concatenate(draws), x=x))
    assert fit.converged
    slope = f"{first}[x]"
    assert abs(fit.coef[slope] - 0.3) < 5 * fit.std_errors[slope]


@pytest.mark.slow
def test_intervals_cover(probe):
    unless_kinked(probe)
    n, sets = max(probe.example.n, 500), 200
    draws = np.concatenate([probe.sample(100 + i) for i in range(-(-n * sets // DRAWS))])[: n * sets].reshape(sets, n)
    model, hits = model_of(probe), np.zeros(len(probe.theta))
    for y in draws:
        bounds = np.array(list(jm.fit(model, data_of(probe, y)).confint().values()))
        hits += (bounds[:, 0] <= probe.theta) & (probe.theta <= bounds[:, 1])
    assert (stats.binom.cdf(hits, sets, 0.95) > 1e-4).all(), dict(zip(probe.names, hits))
    assert (stats.binom.sf(hits - 1, sets, 0.95) > 1e-4).all(), dict(zip(probe.names, hits))
