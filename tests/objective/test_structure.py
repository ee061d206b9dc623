"""Predictors found in log-densities: the numbers of the generic path, and nothing found where nothing is."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jaxmle as jm
from jaxmle import Linear, Model, Positive, Real
from jaxmle.data.tables import Table
from jaxmle.errors import DataError, ModelError
from jaxmle.objective.build import Built, build
from jaxmle.runtime import Compilation

N = 150
RNG = np.random.default_rng(5)
DATA = {
    "y": RNG.normal(size=N),
    "x": RNG.normal(size=(N, 3)),
    "z": RNG.normal(size=N),
    "w": RNG.normal(size=N),
    "k": RNG.integers(-3, 4, (N, 3)).astype(np.int8),
    "g": RNG.integers(0, 4, N),
}
A, B, B2, B4, W, M = Real(), Real(shape=3), Real(shape=2), Real(shape=4), Real(shape=(2, 3)), Real(shape=(3, 2))
SIZES = np.array([1.0, 2.0, 3.0])


def built(density, params, structured=None, data=DATA, **arguments) -> Built:
    table = Table.read(data)
    model = Model(density, params)
    return build(model, table, weights=np.ones(table.n_rows), structured=structured, **arguments)


def groups(of: Built) -> list[set[str]]:
    """The names of the parameters that are in one predictor, for each predictor that was found."""
    blocks = [b for b in of.objective.layout.blocks if b.found is not None]
    firsts = [b for b in blocks if b.n_outputs]
    where = lambda first: set(first.positions.reshape(-1).tolist())
    return [{b.name for b in blocks if set(range(b.start, b.stop)) <= where(first)} for first in firsts]


def numbers(of: Built, u: np.ndarray, all_of_them: bool = False) -> list[np.ndarray]:
    """Value and gradient in `u`; the Hessian, and the terms and scores of every unit, where all are asked for."""
    objective = of.objective
    z, s = objective.to_z(u), objective.scale
    if not all_of_them:
        e = objective.evaluate(z, "gradient")
        return [np.asarray(e.value), e.gradient / s]
    e = objective.evaluate(z, "hessian")
    matrix = e.matrix / np.outer(s, s)
    return [np.asarray(e.value), e.gradient / s, matrix, objective.terms(z), objective.scores(z) / s]


def agree(a: list[np.ndarray], b: list[np.ndarray], tol: float = 1e-12) -> None:
    for x, y in zip(a, b, strict=True):
        assert np.abs(x - y).max() <= tol * (1 + np.abs(y).max())


def bell(r):
    """A smooth function of a residual, not a square: its Hessian differs by row."""
    return -jnp.log1p(r**2) - 0.1 * r**2


FOUND = {
    "matmul": (lambda p, r: bell(r["y"] - r["x"] @ p["b"]), {"b": B}, [{"b"}]),
    "dot": (lambda p, r: bell(jnp.dot(p["b"], r["x"]) + r["z"]) / p["s"], {"s": Positive(), "b": B}, [{"b"}]),
    "sum": (lambda p, r: bell(r["y"] - (r["x"] * p["b"]).sum()), {"b": B}, [{"b"}]),
    "matrix @ x": (lambda p, r: jnp.sum(bell(r["y"] - p["W"] @ r["x"])), {"W": W}, [{"W"}]),
    "x @ matrix": (lambda p, r: bell(jnp.linalg.norm(r["x"] @ p["M"])), {"M": M}, [{"M"}]),
    "sum of matrix": (lambda p, r: jnp.sum(bell(jnp.sum(r["x"] * p["W"], axis=1))), {"W": W}, [{"W"}]),
    "einsum": (lambda p, r: jnp.sum(bell(jnp.einsum("ij,i->j", p["M"], r["x"]))), {"M": M}, [{"M"}]),
    "tensordot": (lambda p, r: jnp.sum(bell(jnp.tensordot(p["W"].T, r["x"], axes=((0,), (0,))))), {"W": W}, [{"W"}]),
    "made": (lambda p, r: bell(r["y"] - jnp.concatenate([jnp.ones(1), r["x"] ** 2]) @ p["b"]), {"b": B4}, [{"b"}]),
    "stacked": (lambda p, r: bell(jnp.stack([1.0, r["z"], r["w"]]) @ p["b"]), {"b": B}, [{"b"}]),
    "from outside": (lambda p, r: bell(r["y"] - (r["x"] * SIZES) @ p["b"]), {"b": B}, [{"b"}]),
    "scaled": (lambda p, r: bell(r["y"] - r["x"] @ (p["b"] * SIZES)), {"b": B}, [{"b"}]),
    "integers": (lambda p, r: bell(r["y"] - r["k"] @ p["b"]), {"b": B}, [{"b"}]),
    "entries": (lambda p, r: bell(p["b"][0] + p["b"][1] * r["z"] + r["x"][:2] @ p["b"][2:]), {"b": B4}, [{"b"}]),
    "numbers": (lambda p, r: bell(r["y"] - p["a"] - p["b"] * r["z"]), {"a": A, "b": A}, [{"a", "b"}]),
    "array": (lambda p, r: bell(jnp.array([p["a"], p["b"]]) @ r["x"][:2] + 1), {"a": A, "b": A}, [{"a", "b"}]),
    "signs": (
        lambda p, r: bell(p["a"] - p["b"] * r["z"] - r["x"] @ p["c"]),
        {"a": A, "b": A, "c": B},
        [{"a", "b", "c"}],
    ),
    "levels": (lambda p, r: bell(r["y"] - p["b"][r["g"]] - r["x"] @ p["c"]), {"b": B4, "c": B}, [{"b", "c"}]),
    "levels of vectors": (lambda p, r: jnp.sum(bell(p["b"][r["g"]])), {"b": Real(shape=(4, 2))}, [{"b"}]),
    "vector": (lambda p, r: jnp.sum(bell(p["a"] + p["W"] @ r["x"])), {"a": B2, "W": W}, [{"a", "W"}]),
    "twice": (lambda p, r: bell(r["y"] - r["x"] @ p["b"]) - jnp.cosh(0.1 * (r["x"] @ p["b"])), {"b": B}, [{"b"}]),
    "two": (
        lambda p, r: bell((r["y"] - p["a"] - r["x"] @ p["b"]) * jnp.exp(p["c"] + r["x"] @ p["d"])),
        {"a": A, "b": B, "c": A, "d": B},
        [{"a", "b"}, {"c", "d"}],
    ),
    "one of two": (lambda p, r: bell(p["a"] + r["x"] @ p["b"]) * jnp.exp(-(p["a"] ** 2)), {"a": A, "b": B}, [{"b"}]),
    "jitted": (lambda p, r: jax.jit(lambda b, x: bell(x @ b))(p["b"], r["x"]), {"b": B}, [{"b"}]),
    "beside a Linear": (lambda p, r: bell(p["m"] - r["x"] @ p["b"]), {"m": Linear(["z", 1]), "b": B}, [{"b"}]),
}


@pytest.mark.parametrize("name", FOUND)
def test_same_numbers_as_the_generic_path(name):
    density, params, expected = FOUND[name]
    found, generic = built(density, params), built(density, params, structured=False)
    assert sorted(map(sorted, groups(found))) == sorted(map(sorted, expected))
    assert len(found.found) == len(expected)
    assert found.objective.layout.labels() == generic.objective.layout.labels()
    u = 0.4 * np.random.default_rng(1).normal(size=found.objective.layout.size)
    agree(*(numbers(of, u, name in ("matrix @ x", "signs", "levels", "two")) for of in (found, generic)))


def scanned(p, r):
    return bell(jax.lax.scan(lambda total, x: (total + x @ p["b"], None), r["y"], r["x"][None])[0])


def branched(p, r):
    return bell(jax.lax.cond(r["z"] > 0, lambda: r["x"] @ p["b"], lambda: 0.0))


@jax.custom_jvp
def own(b, x):
    return x @ b


own.defjvp(lambda at, along: (own(*at), along[0] @ at[1]))

NOT_FOUND = {
    "norm": (lambda p, r: bell(r["y"] - r["x"] @ p["b"]) - p["b"] @ p["b"], {"b": B}),
    "one entry": (lambda p, r: bell(r["y"] - r["x"] @ p["b"]) - p["b"][0] ** 2, {"b": B}),
    "two sums": (lambda p, r: bell(r["x"] @ p["b"]) - jnp.exp(r["k"] @ p["b"]), {"b": B}),
    "entry twice": (lambda p, r: bell(p["b"] * r["z"] + p["b"] * r["w"] + p["b"]), {"b": A}),
    "other parameter": (lambda p, r: bell(r["y"] - (r["x"] * p["a"]) @ p["b"]), {"a": A, "b": B}),
    "product": (lambda p, r: bell(r["x"] @ (p["W"].T @ p["v"])), {"W": W, "v": B2}),
    "loop": (scanned, {"b": B}),
    "branch": (branched, {"b": B}),
    "own derivative": (lambda p, r: bell(own(p["b"], r["x"])), {"b": B}),
    "held": (lambda p, r: bell(r["y"] - r["x"] @ jax.lax.stop_gradient(p["b"])), {"b": B}),
    "not as it is": (lambda p, r: bell(r["y"] - r["x"] @ p["b"]), {"b": Positive(shape=3)}),
    "fixed": (lambda p, r: bell(r["y"] - r["x"] @ p["b"]) * p["a"], {"a": A, "b": Real(shape=3, fixed=np.ones(3))}),
    "known": (lambda p, r: bell(r["y"] - SIZES @ p["b"]), {"b": B}),
    "row by row": (lambda p, r: bell(jnp.sum(jnp.tanh(r["x"] * p["b"]))), {"b": B}),
    "several rows": (lambda p, r: jnp.sum(bell(jnp.outer(r["x"], r["x"]) @ p["b"])), {"b": B}),
    "part": (lambda p, r: bell(r["x"][:2] @ p["b"][:2]), {"b": B}),
    "not finite": (lambda p, r: jnp.where(r["z"] > 0, bell(jnp.log(r["x"]) @ p["b"]), 0.0), {"b": B}),
    "integer": (lambda p, r: bell(r["g"] - p["a"]), {"a": A}),
    "single": (lambda p, r: bell(r["y"] - p["a"] * r["z"]), {"a": A}),
}


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("name", NOT_FOUND)
def test_nothing_is_found_where_nothing_is(name):
    density, params = NOT_FOUND[name]
    of = built(density, params)
    assert (of.found, groups(of), of.objective.program.structured) == ((), [], False)


TERMS = {
    "dot": (B, lambda p, r: r["x"] @ p),
    "sum": (B, lambda p, r: jnp.sum(p * r["x"])),
    "made": (B, lambda p, r: jnp.sin(r["x"] * 2) @ p),
    "number": (A, lambda p, r: p * r["z"]),
    "constant": (A, lambda p, r: p),
    "entries": (B4, lambda p, r: p[0] + p[1:] @ r["k"]),
    "levels": (B4, lambda p, r: p[r["g"]]),
    "outputs": (W, lambda p, r: jnp.sum(jnp.tanh(p @ r["x"]))),
    "known": (B, lambda p, r: SIZES @ p),
    "spoiled": (B, lambda p, r: r["x"] @ p + jnp.tanh(p @ p)),
    "row": (None, lambda p, r: r["w"]),
}


@st.composite
def densities(draw):
    """Two sums of random terms, each a parameter's own, some of them used again, in a smooth function of both."""
    drawn = [
        draw(st.lists(st.tuples(st.sampled_from(sorted(TERMS)), st.sampled_from([1, -1])), min_size=k, max_size=3))
        for k in (1, 0)
    ]
    params = {f"p{i}{j}": TERMS[t][0] for i, terms in enumerate(drawn) for j, (t, _) in enumerate(terms) if TERMS[t][0]}
    again = draw(st.sampled_from([None, *params]))

    def density(p, r):
        total = []
        for i, terms in enumerate(drawn):
            value = 0.0
            for j, (term, sign) in enumerate(terms):
                own = TERMS[term][1](p.get(f"p{i}{j}"), r)
                value = value + own if sign == 1 else value - own
            total.append(value)
        level, size = total
        extra = 0.0 if again is None else jnp.sum(jnp.cos(p[again]))
        return (
            bell(r["y"] - level) * (1.5 + jnp.tanh(size)) - jnp.log1p(level**2) - 0.1 * jnp.asarray(size) ** 2 - extra
        )

    return density, params or {"a": A}


def check(drawn, seed, all_of_them):
    density, params = drawn
    found, generic = built(density, params), built(density, params, structured=False)
    u = 0.4 * np.random.default_rng(seed).normal(size=found.objective.layout.size)
    agree(numbers(found, u, all_of_them), numbers(generic, u, all_of_them))


QUIET = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=8, **QUIET)
@given(densities(), st.integers(0, 99))
def test_random_densities(drawn, seed):
    check(drawn, seed, all_of_them=False)


@pytest.mark.slow
@settings(max_examples=40, **QUIET)
@given(densities(), st.integers(0, 99))
def test_many_random_densities(drawn, seed):
    check(drawn, seed, all_of_them=True)


ETA = jm.Model(lambda p, r: r["c"] * p["eta"] - jnp.exp(p["eta"]), {"eta": Linear([1, "x"])})
COUNTS = DATA | {"c": RNG.poisson(np.exp(0.2 + DATA["x"] @ [0.3, -0.2, 0.1])).astype(float)}


def poisson(p, r):
    eta = p["a"] + r["x"] @ p["b"]
    return r["c"] * eta - jnp.exp(eta)


@pytest.fixture(scope="module")
def fits():
    model = Model(poisson, {"a": A, "b": B})
    return SimpleNamespace(model=model, found=jm.fit(model, COUNTS), declared=jm.fit(ETA, COUNTS))


def test_a_fit_is_that_of_the_declared_predictor(fits):
    found, declared = fits.found, fits.declared
    assert found.converged
    assert list(found.coef) == ["a", "b[0]", "b[1]", "b[2]"]
    assert (found.params["a"].shape, found.params["b"].shape) == ((), (3,))
    for of in ("coef", "std_errors"):
        np.testing.assert_allclose(list(getattr(found, of).values()), list(getattr(declared, of).values()), rtol=1e-9)
    np.testing.assert_allclose(found.log_likelihood, declared.log_likelihood, rtol=1e-13)
    np.testing.assert_allclose(found.covariance("sandwich"), declared.covariance("sandwich"), rtol=1e-8)
    assert "found in the log-density: a linear predictor of x (a, b)" in str(found)


def test_the_same_model_compiles_nothing_again(fits):
    with Compilation() as compilation:
        again = jm.fit(fits.model, COUNTS)
    assert compilation.count == 0
    assert again.coef == fits.found.coef


def test_start_fixed_and_priors_are_those_of_the_parameter(fits):
    model = Model(poisson, {"a": A, "b": Real(shape=3, prior=lambda b: -2 * b**2)})
    held = {"fixed": {"b[1]": 0.25}, "start": {"b": [0.1, 0.25, 0.3], "a": 0.5}}
    fit = jm.fit(model, COUNTS, **held)
    plain = Model(ETA.log_density, {"eta": Linear([1, "x"], prior=lambda b: -2 * b[1:] ** 2)})
    declared = jm.fit(plain, COUNTS, fixed={"eta[x1]": 0.25})
    assert fit.params["b"][1] == 0.25
    assert "b[1]" not in fit.coef
    np.testing.assert_allclose(list(fit.coef.values()), list(declared.coef.values()), rtol=1e-6)
    np.testing.assert_allclose(list(fit.std_errors.values()), list(declared.std_errors.values()), rtol=1e-6)


def test_columns_are_not_copied_nor_carried_twice():
    density, params, _ = FOUND["two"]
    of = built(density, params)
    assert len(of.source.designs) == 1
    assert list(of.objective.parts[0].data["columns"]) == ["y"]
    x = DATA["x"]
    assert any(np.shares_memory(piece, x) for piece in of.source.designs[0].matrix.pieces)
    (factor,) = built(*FOUND["levels of vectors"][:2]).source.designs[0].factors
    np.testing.assert_array_equal(factor.codes, DATA["g"])


def test_codes_beyond_the_ends_are_what_jax_makes_of_them():
    data = DATA | {"g": np.arange(N) % 9 - 5}
    density, params, _ = FOUND["levels"]
    found, generic = (built(density, params, structured, data) for structured in (None, False))
    u = np.linspace(-1, 1, 7)
    assert groups(found)
    agree(numbers(found, u), numbers(generic, u))


def test_float32_searches_with_what_was_found():
    single, double = (built(poisson, {"a": A, "b": B}, None, COUNTS, precision=p) for p in ("float32", "float64"))
    u = np.array([0.1, 0.2, -0.3, 0.4])
    assert groups(single) == [{"a", "b"}]
    agree(numbers(single, u), numbers(double, u), 1e-5)

    def cast(p, r):
        return bell((r["x"].astype(jnp.float32) @ p["b"].astype(jnp.float32)).astype(jnp.float64))

    assert not groups(built(cast, {"b": B}))


def test_missing_values_that_the_density_handles_stay_with_it():
    data = DATA | {"x": np.where(np.arange(N)[:, None] % 7, DATA["x"], np.nan)}
    guarded = lambda p, r: bell(r["y"] - jnp.where(jnp.isnan(r["x"]), 0.0, r["x"]) @ p["b"])
    bare = lambda p, r: jnp.where(jnp.isnan(r["x"][0]), 0.0, bell(r["y"] - r["x"] @ p["b"]))
    assert groups(built(guarded, {"b": B}, None, data, missing="allow")) == [{"b"}]
    assert groups(built(bare, {"b": B}, None, data, missing="allow")) == []


def test_mistakes_in_densities_are_told_as_ever():
    with pytest.raises(DataError, match="asks for column 'u'"):
        built(lambda p, r: bell(r["u"] @ p["b"]), {"b": B})
    with pytest.raises(ModelError, match="cannot be evaluated"):
        built(lambda p, r: bell(r["x"] @ p["b"]), {"b": B4})
