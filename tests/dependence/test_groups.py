"""Groups of rows as the unit of observation: padding, batches of whole groups, matched sets."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxmle as jm
from jaxmle import runtime
from jaxmle.data.tables import Table
from jaxmle.declare.choices.conditional import Chosen
from jaxmle.objective.build import build
from jaxmle.objective.rebuild import log_density_of

close = np.testing.assert_allclose


def test_one_long_group_does_not_pad_ten_thousand_short_ones():
    sizes = np.concatenate([np.full(5_000, 3), [1_000], np.full(5_000, 3)])
    data = {"g": np.repeat(np.arange(len(sizes)), sizes), "y": np.random.default_rng(0).normal(size=sizes.sum())}

    def density(p, rows, mask):
        return -jnp.sum(jnp.where(mask, (rows["y"] - p["middle"]) ** 2, 0.0))

    objective = build(
        jm.Model(density, {"middle": jm.Real()}, unit="g"), Table.read(data), weights=np.ones(len(data["g"]))
    ).objective
    cells = 0
    for part in objective.parts:
        chunks, length, groups = part.data["mask"].shape
        cells += min(chunks, -(-len(part.units) // groups)) * length * groups
    assert len(data["g"]) < cells < 1.5 * len(data["g"])  # and not 10 million
    assert "pad all others to 1,024 rows" in objective.can_sample
    expected = [-((data["y"][data["g"] == g] - 0.5) ** 2).sum() for g in (0, 5_000, 10_000)]
    close(objective.terms(np.array([0.5]))[[0, 5_000, 10_000]], expected, rtol=1e-13)


def test_minibatches_are_of_whole_groups():
    """With rows drawn by themselves nobody would have a group's sum."""
    rng = np.random.default_rng(1)
    sizes = rng.integers(1, 7, 60)
    g = np.repeat(np.arange(60), sizes)
    data = {"g": g, "y": 1.0 + rng.normal(size=60)[g] + 0.5 * rng.normal(size=len(g))}
    model = jm.panel("y", group="g")
    exact = jm.fit(model, data)
    with pytest.warns(jm.FitWarning, match="makes no claim of an optimum"):
        rough = jm.fit(model, data, solver=jm.Minibatch(optax.adam(0.03), batch=16, epochs=30))
    assert exact.log_likelihood - 0.1 < rough.log_likelihood <= exact.log_likelihood + 1e-9


# --- matched sets -------------------------------------------------------------------------------------------------------


def sets(times: int = 1) -> dict:
    rng = np.random.default_rng(0)
    size, cases = np.array([5, 3, 7, 4, 2, 6, 4] * times), np.array([2, 1, 4, 3, 1, 2, 4] * times)
    case = np.concatenate([rng.permutation(np.arange(n) < m) for n, m in zip(size, cases)])
    group = np.repeat(np.arange(len(size)), size)
    return {"case": case.astype(int), "x": rng.normal(size=len(group)), "z": rng.normal(size=len(group)), "g": group}


def test_every_set_of_so_many_rows_is_compared():
    data = sets()
    utility = 0.8 * data["x"] - 1.7 * data["z"]
    model = jm.conditional_logit("case ~ x + z", group="g", several=True)
    terms = log_density_of(model, {"utility": np.array([0.8, -1.7])}, data)
    for g, term in enumerate(terms):
        mine = np.flatnonzero(data["g"] == g)
        chosen = mine[data["case"][mine] == 1]
        every = [utility[list(some)].sum() for some in itertools.combinations(mine, len(chosen))]
        close(term, utility[chosen].sum() - np.logaddexp.reduce(every), rtol=1e-12, atol=1e-14)


def test_the_hessian_of_equal_utilities():
    """Two of three equal rows: a hypergeometric choice, of variance 2/9. A rule of `logaddexp`'s own is lost in a loop."""
    density = Chosen("case", "g", most=2)
    with runtime.x64():
        mask, number = jnp.array([True, True, True, False]), jnp.array(2)
        found = jax.hessian(lambda u: density.log_sets(u, mask, number))(jnp.zeros(4))
    close(found[:3, :3], (np.eye(3) - 1 / 3) / 3, atol=1e-15)
    close(found[3], 0.0, atol=0)


def test_matched_sets_as_in_r():
    """survival 3.5.3: clogit(case ~ x + z + strata(g), method = "exact")."""
    fit = jm.fit(jm.conditional_logit("case ~ x + z", group="g", several=True), sets(6))
    assert fit.converged
    assert fit.certificate.only
    close(fit.log_likelihood, -68.722079032776, rtol=1e-11)
    close(list(fit.coef.values()), [0.14660204744736, -0.25419816246590], rtol=1e-8)
    close(list(fit.std_errors.values()), [0.17549430612979, 0.16047262814825], rtol=1e-8)
    scoring = jm.fit(jm.conditional_logit("case ~ x + z", group="g", several=True), sets(6), solver="fisher_scoring")
    close(scoring.log_likelihood, fit.log_likelihood, rtol=1e-12)


def test_separated_sets_and_sets_without_a_case():
    data = sets(6)
    data["x"] = np.where(data["case"] == 1, np.abs(data["x"]), -np.abs(data["x"]))
    with pytest.warns(jm.FitWarning, match="separation by x"):
        jm.fit(jm.conditional_logit("case ~ x", group="g", several=True), data)
    with pytest.raises(jm.DataError, match=r"In no row of 3 \('g'\) is 'case' 1"):
        jm.fit(
            jm.conditional_logit("case ~ z", group="g", several=True), data | {"case": data["case"] * (data["g"] != 3)}
        )
