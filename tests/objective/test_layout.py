"""The flat vector: names, what is held, where the search starts, and the way between it and the natural scale."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmle import Interval, Linear, Model, ModelError, Positive, Real, Simplex
from jaxmle.data.tables import Table
from jaxmle.declare.domains import Domain
from jaxmle.declare.matrices import Covariance
from jaxmle.objective.build import build
from jaxmle.objective.fixing import start_vector
from jaxmle.objective.objective import Objective

from ..registry import DOMAINS
from .models import close

N = 6
DATA = {
    "y": np.linspace(-1, 1, N),
    "x": np.linspace(1, 3, N),
    "z": np.linspace(0, 500, N),
    "m": np.linspace(-1, 1, 2 * N).reshape(N, 2) ** 3,
}


def density(p, row):
    leaves = jax.tree.leaves(dict(p))
    return -sum(jnp.sum((row["y"] - leaf) ** 2) for leaf in leaves)


def model(**params: Any) -> Model:
    return Model(density, params)


MIXED = model(
    rate=Linear([1, "x", "m"], link="log"),
    scale=Positive(),
    effect=Linear("z", shape=(2,)),
    theta=Real(shape=3),
    share=Simplex(3),
    cov=Covariance(2),
    known=2.5,
    range=Interval(0, 10, shape=(2, 2)),
)

NAMES = (
    ("rate[Intercept]", "rate[x]", "rate[m0]", "rate[m1]", "scale", "effect[z,0]", "effect[z,1]")
    + ("theta[0]", "theta[1]", "theta[2]", "share[0]", "share[1]", "share[2]", "cov[0,0]", "cov[0,1]", "cov[1,1]")
    + ("range[0,0]", "range[0,1]", "range[1,0]", "range[1,1]")
)


def objective(model: Model, **settings: Any) -> Objective:
    return build(model, Table.read(DATA), weights=np.ones(N), **settings).objective


# --- names ----------------------------------------------------------------------------------------------------------------


def test_flat_names_are_those_of_parameters_and_terms():
    o = objective(MIXED)
    layout = o.layout
    assert layout.labels() == NAMES
    assert [name for name, _ in layout.constants] == ["known"]
    assert layout.size == 4 + 1 + 2 + 3 + 2 + 3 + 4
    assert [b.name for b in layout.linears] == ["rate", "effect"]
    assert len(layout.links()) == len(layout.bounds()) == len(layout.owners()) == len(NAMES)
    assert [layout.blocks[i].name for i in layout.owners()] == [name.split("[")[0] for name in NAMES]
    assert list(layout.of_unconstrained()) == [0] * 4 + [1] + [2] * 2 + [3] * 3 + [4] * 2 + [5] * 3 + [6] * 4
    assert layout.bounds()[4] == (0.0, np.inf)
    assert layout.links()[0].name == "identity"  # a coefficient stays on the predictor's scale
    assert layout.links()[4].name == "log"


def test_natural_values_carry_the_declared_structure():
    o = objective(MIXED)
    u = np.random.default_rng(0).normal(size=o.layout.size)
    params, reported = o.natural(o.to_z(u))
    assert list(params) == ["rate", "scale", "effect", "theta", "share", "cov", "range", "known"]
    shapes = {k: v.shape for k, v in params.items()}
    assert shapes == {
        "rate": (4,), "scale": (), "effect": (1, 2), "theta": (3,), "share": (3,), "cov": (2, 2), "range": (2, 2),
        "known": (),
    }  # fmt: skip
    assert all(v.dtype == np.float64 for v in params.values())
    named = dict(zip(NAMES, reported))
    assert named["effect[z,1]"] == params["effect"][0, 1] == u[6]
    assert named["scale"] == params["scale"] == pytest.approx(np.exp(u[4]), rel=1e-15)
    assert named["cov[0,1]"] == params["cov"][0, 1]
    assert params["known"] == 2.5


def test_the_scale_of_z_is_that_of_the_columns():
    """A power of two, so that going there and back is exact, near one over the root mean square of the column."""
    o = objective(MIXED)
    scale = dict(zip(("Intercept", "x", "m0", "m1", "scale", "z0", "z1"), o.scale))
    rms = {"x": DATA["x"], "m0": DATA["m"][:, 0], "z0": DATA["z"]}
    assert scale["Intercept"] == scale["scale"] == 1.0
    for name, column in rms.items():
        assert np.log2(scale[name]) == np.round(np.log2(scale[name]))
        assert 0.7 < scale[name] * np.sqrt(np.mean(column**2)) < 1.42
    u = np.random.default_rng(1).normal(size=o.layout.size)
    assert np.array_equal(o.to_u(o.to_z(u)), u)


@pytest.mark.parametrize("column", [np.zeros(N), np.full(N, 1e200), np.full(N, 1e-200)], ids=["zero", "huge", "tiny"])
def test_the_scale_of_a_degenerate_column_is_a_usable_number(column: np.ndarray):
    table = Table.read(DATA | {"odd": column})
    o = build(model(a=Linear([1, "odd"])), table, weights=np.ones(N)).objective
    assert np.isfinite(o.scale).all()
    assert (o.scale > 0).all()


# --- held values ----------------------------------------------------------------------------------------------------------


def test_whatever_is_fixed_is_held_where_it_was_told():
    fixed = {
        "rate[x]": 0.25, "rate[m1]": np.float32(-1), "scale": 3.0, "effect": [[1.0, 2.0]], "theta[1]": 7,
        "cov": np.eye(2), "range[1,0]": 2.5,
    }  # fmt: skip
    o = objective(MIXED, fixed=fixed)
    assert [name for name, _ in o.layout.constants] == ["scale", "cov", "known"]
    z = np.random.default_rng(0).normal(size=o.size)
    params, reported = o.natural(z)
    named = dict(zip(o.layout.labels(), reported))
    assert (named["rate[x]"], named["rate[m1]"], named["theta[1]"]) == (0.25, -1.0, 7.0)
    assert named["range[1,0]"] == pytest.approx(2.5, rel=1e-14)
    assert params["scale"] == 3.0
    assert np.array_equal(params["effect"], [[1.0, 2.0]])
    assert np.array_equal(params["cov"], np.eye(2))
    assert o.size == 20 - 1 - 3 - 1 - 2 - 2 - 1 - 1 - 1 + 1  # 19 free values, less what is held


def test_declared_values_are_held_unless_the_argument_says_otherwise():
    m = model(a=Real(fixed=1.0), b=Positive(fixed=2.0), c=Real(), d=Linear("x", fixed=0.5))
    o = objective(m)
    params, _ = o.natural(np.zeros(o.size))
    assert (float(params["a"]), float(params["b"]), params["d"].tolist(), o.size) == (1.0, 2.0, [0.5], 1)
    params, _ = objective(m, fixed={"a": 5.0, "d": 0.75}).natural(np.zeros(1))
    assert (float(params["a"]), params["d"].tolist()) == (5.0, [0.75])
    assert objective(m, fixed={"b": None}).size == 2  # released


def test_values_that_are_held_later_need_no_new_objective():
    o = objective(MIXED)
    u = np.random.default_rng(0).normal(size=o.layout.size)
    held = o.with_fixed(np.array([1, 4]), u)
    assert held.size == o.size - 2
    assert np.array_equal(held.to_u(held.to_z(u)), u)
    whole, part = o.evaluate(o.to_z(u)), held.evaluate(held.to_z(u))
    keep = np.delete(np.arange(o.size), [1, 4])
    close(part.value, whole.value, 1e-15)
    close(part.gradient, whole.gradient[keep], 1e-15)
    close(part.matrix, whole.matrix[np.ix_(keep, keep)], 1e-15)


@pytest.mark.parametrize("argument", ["fixed", "start"])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate[xx]": 1.0}, r"'rate\[xx\]'.*Did you mean 'rate\[x\]'"),
        ({"scal": 1.0}, "Did you mean 'scale'"),
        ({"nothing": 1.0}, r"Known names: 'rate', 'scale'"),
        ({"share[0]": 0.2}, r"one entry of a Simplex.*whole of 'share'"),
        ({"cov[0,1]": 0.2}, r"one entry of a Covariance.*whole of 'cov'"),
        ({"scale": -1.0}, r"scale.*positive"),
        ({"range[0,0]": 11.0}, r"range.*between 0 and 10"),
        ({"share": [0.5, 0.6, 0.1]}, "share"),
        ({"theta": [1.0, 2.0]}, r"theta.*shape \(2,\)"),
        ({"effect": np.ones(3)}, r"'effect'.*shape \(1, 2\)"),
        ({"rate": np.nan}, "'rate' must be finite"),
        ({"rate[x]": np.inf}, r"'rate\[x\]' must be a finite number"),
        ({"rate[x]": "1"}, r"'rate\[x\]' must be a finite number"),
        ({"rate[x]": True}, r"'rate\[x\]' must be a finite number"),
        ({"rate[x]": [1.0]}, r"'rate\[x\]' must be a finite number"),
        (["rate"], "must map names"),
    ],
)
def test_names_and_values_that_cannot_be_used(argument: str, values: Any, message: str):
    layout = objective(MIXED).layout
    use = (
        (lambda: objective(MIXED, fixed=values)) if argument == "fixed" else lambda: start_vector(MIXED, layout, values)
    )
    with pytest.raises(ModelError, match=message):
        use()


def test_a_model_without_free_parameters_is_refused():
    with pytest.raises(ModelError, match="nothing to estimate"):
        objective(model(a=1.0))
    with pytest.raises(ModelError, match="nothing to estimate"):
        objective(model(a=Real(), b=Linear("x")), fixed={"a": 1.0, "b[x]": 2.0})


# --- starts ---------------------------------------------------------------------------------------------------------------


def test_starts_come_from_the_argument_then_the_declaration_then_the_default():
    m = model(a=Positive(start=3.0), b=Linear([1, "x"], start=[1.0, 2.0]), c=Real(shape=2), d=Positive(shape=2))
    layout = objective(m).layout
    u, chosen = start_vector(m, layout, {"b[x]": 9.0, "c": [4.0, 5.0], "d[1]": 2.0})
    close(u, [np.log(3), 1.0, 9.0, 4.0, 5.0, 0.0, np.log(2)], 1e-15)
    assert chosen.tolist() == [True, True, True, True, True, False, True]
    u, chosen = start_vector(m, layout, None)
    close(u, [np.log(3), 1.0, 2.0, 0.0, 0.0, 0.0, 0.0], 1e-15)
    assert chosen.tolist() == [True] * 3 + [False] * 4


def test_the_parameters_of_one_fit_start_another():
    o = objective(MIXED)
    u = np.random.default_rng(5).normal(size=o.layout.size)
    params, _ = o.natural(o.to_z(u))
    again, chosen = start_vector(MIXED, o.layout, params)  # what is held, `known`, is passed over
    close(again, u, 1e-12)
    assert chosen.all()


# --- every domain -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def all_domains() -> tuple[Model, Objective]:
    m = model(**DOMAINS)
    return m, objective(m)


def test_every_domain_goes_to_the_natural_scale_and_back(all_domains):
    m, o = all_domains
    u = 0.7 * np.random.default_rng(2).normal(size=o.layout.size)
    params, reported = o.natural(o.to_z(u))
    again, _ = start_vector(m, o.layout, params)
    close(again, u, 1e-11)
    for (low, high), value in zip(o.layout.bounds(), reported):
        assert low < value < high
    assert len(set(o.layout.labels())) == len(reported)


def test_the_jacobian_of_every_domain_is_that_of_differences(all_domains):
    _, o = all_domains
    u = 0.7 * np.random.default_rng(3).normal(size=o.layout.size)
    jacobian = o.layout.jacobian(u)
    assert jacobian.dtype == np.float64
    h = 1e-5
    columns = [(_reported(o, u + h * e) - _reported(o, u - h * e)) / (2 * h) for e in np.eye(len(u))]
    close(jacobian, np.stack(columns, axis=1), 1e-9)
    owners, places = o.layout.owners(), o.layout.of_unconstrained()
    assert not jacobian[owners[:, None] != places[None, :]].any()


def _reported(o: Objective, u: np.ndarray) -> np.ndarray:
    return o.natural(o.to_z(u))[1]


@pytest.mark.parametrize("name", DOMAINS)
def test_single_entries_can_be_held_where_each_value_stands_alone(name: str):
    domain: Domain = DOMAINS[name]
    label = "q" + domain.labels()[-1]
    if not domain.elementwise and len(domain.labels()):
        with pytest.raises(ModelError, match="whole of 'q'"):
            objective(model(q=domain, other=Real()), fixed={label: 0.3})
        return
    low, high = domain.bounds()[-1]
    value = low / 2 if high == 0 else 0.3
    o = objective(model(q=domain, other=Real()), fixed={label: value})
    assert o.size == domain.size
    z = np.random.default_rng(0).normal(size=o.size)
    params, reported = o.natural(z)
    named = dict(zip(o.layout.labels(), reported)) | ({"q": params["q"]} if label == "q" else {})
    assert named[label] == pytest.approx(value, rel=1e-14)


def test_labels_of_an_objective_without_blocks_of_some_kind():
    o = objective(model(a=Linear([1, "x"])))
    assert o.layout.dense_index.shape == (0,)
    assert o.layout.labels() == ("a[Intercept]", "a[x]")
    close(o.layout.jacobian(np.zeros(2)), np.eye(2), 0)
