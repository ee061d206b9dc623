"""Domains: the generic checks over all of them, closed forms for each, and what bad input is told."""

import dataclasses
import functools
import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmle.declare.domains import Interval, Positive, Real, UnitInterval
from jaxmle.declare.links import LINKS, Link, interval
from jaxmle.declare.matrices import Correlation, Covariance, Ordered, Simplex
from jaxmle.declare.tree import Tree
from jaxmle.errors import ModelError
from tests.registry import DOMAINS, NETWORK

every_domain = pytest.mark.parametrize("name", DOMAINS)


@functools.cache
def maps(name):
    """The compiled map of a domain, its inverse, and the gradient and Hessian of one smooth functional of it."""
    domain = DOMAINS[name]
    weights = np.random.default_rng(7).normal(size=len(domain.labels()))

    def functional(u):
        entries = domain.reported(domain.constrain(u)) * weights
        return entries.sum() + jnp.sin(entries.sum()) + (entries**2).sum()

    functions = (domain.constrain, domain.unconstrain, functional, jax.jacfwd(functional), jax.hessian(functional))
    return tuple(jax.jit(f) for f in functions)


def draw(name, seed, reach):
    return np.random.default_rng(seed).uniform(-reach, reach, DOMAINS[name].size)


def assert_trees_close(one, other, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), one, other)


@every_domain
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), reach=st.sampled_from([0.0, 0.1, 1.0, 2.0]))
def test_unconstrain_undoes_constrain(name, seed, reach):
    constrain, unconstrain = maps(name)[:2]
    u = draw(name, seed, reach)
    np.testing.assert_allclose(unconstrain(constrain(u)), u, rtol=1e-10, atol=1e-10)


@every_domain
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), reach=st.sampled_from([1.0, 4.0]))
def test_constrained_values_are_inside_and_constrain_undoes_unconstrain(name, seed, reach):
    domain, (constrain, unconstrain) = DOMAINS[name], maps(name)[:2]
    theta = jax.tree.map(np.asarray, constrain(draw(name, seed, reach)))
    checked = domain.check(theta, "theta")
    assert_trees_close(checked, theta, rtol=1e-14, atol=1e-14)
    assert_trees_close(constrain(unconstrain(theta)), theta, rtol=1e-10, atol=1e-10)
    low, high = np.array(domain.bounds()).T
    assert ((low < domain.reported(theta)) & (domain.reported(theta) < high)).all()


@every_domain
@pytest.mark.parametrize(
    ("reach", "kept"), [(0.0, 1), (0.3, 1), (2.5, 1), (1.0, 2)], ids=["at zero", "near", "far", "every other zero"]
)
def test_derivatives_against_differences(name, reach, kept):
    _, _, functional, gradient, hessian = maps(name)
    u = np.where(np.arange(DOMAINS[name].size) % kept == 0, draw(name, 11, reach), 0.0)
    steps = 1e-5 * np.eye(u.size)
    by_value = [(functional(u + e) - functional(u - e)) / 2e-5 for e in steps]
    by_gradient = [(gradient(u + e) - gradient(u - e)) / 2e-5 for e in steps]
    slope, curvature = gradient(u), hessian(u)
    np.testing.assert_allclose(slope, by_value, rtol=1e-6, atol=1e-7 * max(1, np.abs(slope).max()))
    np.testing.assert_allclose(curvature, by_gradient, rtol=1e-6, atol=1e-7 * max(1, np.abs(curvature).max()))


@every_domain
def test_derivatives_are_finite_far_out(name):
    _, _, _, gradient, hessian = maps(name)
    size = DOMAINS[name].size
    for u in (np.full(size, 60.0), np.full(size, -60.0), np.where(np.arange(size) % 2, 60.0, -60.0)):
        assert np.isfinite(gradient(u)).all()
        assert np.isfinite(hessian(u)).all()


@every_domain
def test_lengths_agree(name):
    domain = DOMAINS[name]
    theta = maps(name)[0](np.zeros(domain.size))
    reported, labels = domain.reported(theta), domain.labels()
    assert reported.shape == (len(labels),) == (len(domain.links()),) == (len(domain.bounds()),)
    assert len(set(labels)) == len(labels)
    assert all(isinstance(link, Link) for link in domain.links())
    assert maps(name)[1](theta).shape == (domain.size,)
    assert not domain.elementwise or len(labels) == domain.size
    assert isinstance(domain.describe(), str)


@pytest.mark.parametrize("name", [name for name, domain in DOMAINS.items() if not isinstance(domain, Tree)])
def test_labels_are_the_places_of_the_reported_entries(name):
    domain = DOMAINS[name]
    theta = np.asarray(maps(name)[0](draw(name, 3, 1.0)))
    at = [theta[tuple(int(i) for i in label.strip("[]").split(",") if i)] for label in domain.labels()]
    np.testing.assert_array_equal(domain.reported(theta), at)


@every_domain
def test_elementwise_means_one_for_one_in_the_same_order(name):
    domain = DOMAINS[name]
    u = draw(name, 5, 1.0)
    by_links = [link.inverse(v) for link, v in zip(domain.links(), u)]
    if domain.elementwise:
        np.testing.assert_allclose(domain.reported(maps(name)[0](u)), by_links, rtol=1e-15)


@every_domain
def test_links_and_bounds_belong_together(name):
    domain = DOMAINS[name]
    for link, bound in zip(domain.links(), domain.bounds()):
        inside = np.array([link.inverse(-3.0), link.inverse(3.0)])
        assert (inside > bound[0]).all()
        assert (inside < bound[1]).all()


@every_domain
def test_default_is_legal_plain_and_the_image_of_finite_numbers(name):
    domain = DOMAINS[name]
    default = domain.default()
    assert_trees_close(domain.check(default, "default"), default, rtol=1e-15)
    assert all(isinstance(leaf, np.ndarray) and leaf.dtype == np.float64 for leaf in jax.tree.leaves(default))
    constrain, unconstrain = maps(name)[:2]
    u = unconstrain(default)
    assert u.dtype == jnp.float64
    assert np.isfinite(u).all()
    assert_trees_close(constrain(u), default, rtol=1e-12, atol=1e-12)


@every_domain
def test_precision_is_that_of_the_argument(name):
    domain = DOMAINS[name]
    for dtype, expected in ((np.float32, np.float32), (np.float64, np.float64), (np.int64, np.float64)):
        theta = jax.eval_shape(domain.constrain, np.zeros(domain.size, dtype))
        assert all(leaf.dtype == expected for leaf in jax.tree.leaves(theta))
        assert jax.eval_shape(domain.unconstrain, theta).dtype == expected


@every_domain
def test_equality_and_hash_are_about_structure(name):
    domain = DOMAINS[name]
    started = dataclasses.replace(domain, start=domain.default(), prior=abs)
    held = dataclasses.replace(domain, fixed=domain.default())
    assert domain == started == held
    assert hash(domain) == hash(started) == hash(held)
    assert dataclasses.replace(domain, shape=(5, *domain.batch)) != domain
    again = pickle.loads(pickle.dumps(started))
    assert again == domain
    assert_trees_close(again.start, started.start, rtol=0)
    others = [other for key, other in DOMAINS.items() if key != name]
    assert domain not in others


@every_domain
def test_start_and_fixed_are_copies_that_cannot_be_written(name):
    domain = DOMAINS[name]
    given = domain.default()
    for role in ("start", "fixed"):
        kept = getattr(dataclasses.replace(domain, **{role: given}), role)
        for mine, theirs in zip(jax.tree.leaves(given), jax.tree.leaves(kept)):
            assert not np.shares_memory(mine, theirs)
            assert not theirs.flags.writeable
            assert theirs.dtype == np.float64


@every_domain
def test_nan_and_infinity_are_refused_with_their_place(name):
    domain = DOMAINS[name]
    for bad in (np.nan, np.inf):
        theta = domain.default()
        leaf = jax.tree.leaves(theta)[-1]
        leaf[(-1,) * leaf.ndim] = bad
        place = bracket_of(leaf)
        with pytest.raises(ModelError) as error:
            domain.check(theta, "alpha")
        text = str(error.value)
        assert text.startswith("alpha")
        assert f"{place} is {bad!r}" in text
        assert "expected" in text


def bracket_of(array):
    return f"element [{','.join(str(n - 1) for n in array.shape)}]" if array.ndim else ""


@every_domain
def test_wrong_shape_and_type_are_refused(name):
    domain = DOMAINS[name]
    widened = jax.tree.map(lambda leaf: np.stack([leaf] * 7), domain.default())
    with pytest.raises(ModelError, match=r"alpha.*shape \(7,.*expected"):
        domain.check(widened, "alpha")
    for wrong in ("text", True, 1j, None, {"no": 1.0}, [[1.0], [1.0, 2.0]]):
        with pytest.raises(ModelError, match=r"alpha.*expected"):
            domain.check(wrong, "alpha")


# closed forms


def test_positive_is_the_exponential():
    np.testing.assert_allclose(Positive(shape=2).constrain([-1.0, 2.0]), [math.exp(-1), math.exp(2)], rtol=1e-15)


def test_intervals_are_logistic():
    expected = 1 / (1 + math.exp(-0.7))
    np.testing.assert_allclose(UnitInterval().constrain([0.7]), expected, rtol=1e-15)
    np.testing.assert_allclose(Interval(-3, 5).constrain([0.7]), -3 + 8 * expected, rtol=1e-15)
    assert Interval(-3, 5).links() == (interval(-3, 5),)
    assert Interval(-3, 5).default() == 1.0


def test_simplex_is_the_inverse_isometric_log_ratio():
    u = np.array([0.3, -1.1, 0.6])
    logs = u @ scipy.linalg.helmert(4)
    np.testing.assert_allclose(Simplex(4).constrain(u), np.exp(logs) / np.exp(logs).sum(), rtol=1e-14)
    np.testing.assert_allclose(Simplex(4).constrain(np.zeros(3)), 0.25, rtol=1e-15)
    # an isometry: the centred log-ratios of two points are as far apart as their unconstrained values
    logs = np.log(np.asarray(Simplex(4).constrain(u)))
    np.testing.assert_allclose(np.linalg.norm(logs - logs.mean()), np.linalg.norm(u), rtol=1e-14)


def test_ordered_has_logarithmic_gaps():
    first, gaps = -1.0, np.array([0.5, 3.0])
    theta = Ordered(3).constrain([first, *np.log(gaps)])
    np.testing.assert_allclose(theta, [-1.0, -0.5, 2.5], rtol=1e-15)
    np.testing.assert_array_equal(Ordered(4).default(), [-1.5, -0.5, 0.5, 1.5])


def test_correlation_of_two_is_the_hyperbolic_tangent():
    np.testing.assert_allclose(Correlation(2).constrain([0.8]), [[1, np.tanh(0.8)], [np.tanh(0.8), 1]], rtol=1e-15)


def test_correlation_of_three_has_the_textbook_partial_correlation():
    a, b, partial = np.tanh([0.4, -0.9, 1.3])
    c = partial * math.sqrt((1 - a * a) * (1 - b * b)) + a * b
    np.testing.assert_allclose(
        Correlation(3).constrain([0.4, -0.9, 1.3]), [[1, a, b], [a, 1, c], [b, c, 1]], rtol=1e-14
    )


def test_correlation_keeps_a_unit_diagonal_and_inverts_near_singularity():
    theta = Correlation(4).constrain(np.full(6, 20.0))
    np.testing.assert_array_equal(np.diagonal(theta), 1.0)
    near = Correlation(2).unconstrain(np.array([[1, 1 - 1e-12], [1 - 1e-12, 1]]))
    np.testing.assert_allclose(near, np.arctanh(1 - 1e-12), rtol=1e-5)


def test_covariance_is_the_cholesky_factor_with_logarithms_on_its_diagonal():
    matrix = np.array([[4.0, 1.2], [1.2, 0.9]])
    lower = np.linalg.cholesky(matrix)
    u = Covariance(2).unconstrain(matrix)
    np.testing.assert_allclose(u, [np.log(lower[0, 0]), lower[1, 0], np.log(lower[1, 1])], rtol=1e-14)
    np.testing.assert_allclose(Covariance(2).constrain(u), matrix, rtol=1e-14)
    assert Covariance(2).links() == (LINKS["log"], LINKS["identity"], LINKS["log"])
    assert Covariance(2).bounds() == ((0, math.inf), (-math.inf, math.inf), (0, math.inf))


def test_a_tree_keeps_its_structure_and_names_its_leaves():
    tree = Tree(NETWORK)
    assert tree.size == 10
    assert tree.labels()[:4] == (
        "['hidden']['b'][0]",
        "['hidden']['b'][1]",
        "['hidden']['b'][2]",
        "['hidden']['w'][0,0]",
    )
    assert tree.labels()[-1] == "['out']"
    assert_trees_close(tree.constrain(tree.unconstrain(NETWORK)), NETWORK, rtol=0)
    batch = Tree((np.array([1.0, 2.0]), 3.0), shape=2)
    assert batch.labels() == ("[0][0,0]", "[0][0,1]", "[0][1,0]", "[0][1,1]", "[1][0]", "[1][1]")
    assert Tree({"a": np.zeros(2)}) != Tree({"a": np.zeros(3)})
    assert Tree({"a": np.zeros(2)}) != Tree({"b": np.zeros(2)})


def test_a_tree_does_not_follow_the_array_it_was_declared_with():
    given = {"w": np.ones(2)}
    tree = Tree(given)
    given["w"][0] = 9.0
    np.testing.assert_array_equal(tree.default()["w"], 1.0)


def test_a_tree_may_hold_jax_arrays_of_any_precision():
    tree = Tree({"a": jnp.ones(2, jnp.bfloat16), "b": jnp.float32(0.5)})
    assert all(leaf.dtype == np.float64 for leaf in jax.tree.leaves(tree.default()))


def test_labels_of_scalars_vectors_and_batches():
    assert Real().labels() == ("",)
    assert Real(shape=2).labels() == ("[0]", "[1]")
    assert Simplex(3, shape=(2,)).labels() == ("[0,0]", "[0,1]", "[0,2]", "[1,0]", "[1,1]", "[1,2]")
    assert Covariance(2, shape=2).labels() == ("[0,0,0]", "[0,0,1]", "[0,1,1]", "[1,0,0]", "[1,0,1]", "[1,1,1]")
    assert Correlation(3).labels() == ("[0,1]", "[0,2]", "[1,2]")


# configuration


def test_one_value_is_taken_for_the_whole_shape():
    np.testing.assert_array_equal(Positive(shape=(2, 2), start=3).start, np.full((2, 2), 3.0))
    np.testing.assert_array_equal(Simplex(2, shape=2, fixed=[0.3, 0.7]).fixed, [[0.3, 0.7], [0.3, 0.7]])
    assert Positive(shape=3).shape == (3,)
    assert Positive(shape=[3, 1]).shape == (3, 1)


def test_rounded_values_are_made_exact():
    np.testing.assert_allclose(Simplex(3).check([0.3333333, 0.3333333, 0.3333333], "s"), 1 / 3, rtol=1e-15)
    matrix = Covariance(2).check([[1.0, 0.5], [0.5 + 1e-9, 2.0]], "c")
    np.testing.assert_array_equal(matrix, matrix.T)
    assert Correlation(2).check([[1 + 1e-9, 0.5], [0.5, 1.0]], "r")[0, 0] == 1.0
