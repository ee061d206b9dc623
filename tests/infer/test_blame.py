"""A log-density, score or Hessian that is not finite is traced to its rows, its parameters and its kind."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxmle as jm
from jaxmle.data.tables import Table
from jaxmle.infer.blame import find_blame
from jaxmle.objective.build import build

from . import densities as d

N = 20
Y = np.arange(N) % 4 + 0.5
X = np.linspace(-1, 1, N)


def log_of_mean(p, row):
    """A mean that may be negative: the density is not a number there."""
    return row["y"] * jnp.log(p["mean"]) - p["mean"]


def bounded(p, row):
    return jnp.where(row["y"] <= p["top"], -jnp.log(p["top"]), -jnp.inf)


def root_of_gap(p, row):
    gap = row["y"] - p["c"]
    return jnp.where(gap > 0, -jnp.sqrt(gap), 0.0) - 0.5 * p["c"] ** 2 + 0.0 * p["other"]


def log_of_product(p, row):
    return jnp.where(row["y"] > 0, row["y"] * jnp.log(p["rate"] * row["y"]), 0.0) - p["rate"]


def power(p, row):
    """|c|^1.5 has a first derivative at zero and no second one."""
    return -(jnp.abs(row["y"] * p["c"]) ** 1.5) + p["c"]


def refused(model, data, **options) -> str:
    with pytest.raises(jm.ModelError) as error:
        jm.fit(model, data, progress=False, **options)
    assert str(error.value).startswith("At the start values, the log-density")
    assert "start={...}" in str(error.value)
    return str(error.value)


MEAN = jm.Model(log_of_mean, {"mean": jm.Linear([1, "x"])})
NEGATIVE = {"start": {"mean": [0.02, 1.0]}}


def test_a_value_that_is_no_number_names_rows_and_parameters():
    words = refused(MEAN, {"y": Y, "x": X}, **NEGATIVE)
    assert "not a number (NaN) (10 times) in rows 0, 1, 2, 3, 4 and 5 more" in words
    assert "finite when 'mean[Intercept]' or 'mean[x]' alone is moved" in words


def test_rows_are_the_users_after_missing_values_are_dropped_and_weights_are_zero():
    y, weights = Y.copy(), np.ones(N)
    y[[0, 2]] = np.nan
    weights[1] = 0
    words = refused(MEAN, {"y": y, "x": X}, missing="drop", weights=weights, **NEGATIVE)
    assert "(7 times) in rows 3, 4, 5, 6, 7 and 2 more" in words


def test_a_density_of_zero_is_told_from_one_that_is_no_number():
    words = refused(jm.Model(bounded, {"top": jm.Positive()}), {"y": Y}, start={"top": 3.0})
    assert "−inf, a density of zero (5 times) in rows 3, 7, 11, 15, 19." in words
    assert "finite when 'top' alone is moved" in words


def test_overflow_in_one_row():
    x = np.where(np.arange(N) == 13, 1000.0, X)
    words = refused(
        jm.Model(d.poisson, {"rate": jm.Linear([1, "x"], link="log")}), {"y": Y, "x": x}, start={"rate": [0.0, 1.0]}
    )
    assert "in row 13." in words
    assert "'rate[x]'" in words


@pytest.mark.parametrize("n", [N, 5000])
def test_a_score_of_a_branch_not_taken(n):
    y = np.resize(Y, n)
    y[[3, n - 2]] = -1.0
    model = jm.Model(root_of_gap, {"c": jm.Real(start=0.0), "other": jm.Real(start=0.0)})
    words = refused(model, {"y": y})
    assert f"derivative by 'c' is not, in rows 3, {n - 2}. " in words
    assert "f(where(c, x, 1.0))" in words


def test_a_score_that_only_reverse_mode_spoils():
    y = np.where(np.arange(N) == 7, 0.0, Y)
    words = refused(jm.Model(log_of_product, {"rate": jm.Positive(start=1.0)}), {"y": y})
    assert "derivative by 'rate' is not, in row 7. " in words


def test_rows_of_a_hessian_on_two_devices_and_many_chunks():
    y = np.where(np.isin(np.arange(200), [0, 17, 150]), 0.0, np.resize(Y, 200))
    words = refused(jm.Model(log_of_product, {"rate": jm.Positive(start=1.0)}), {"y": y}, chunk_rows=16)
    assert "in rows 0, 17, 150. " in words


def test_many_rows_are_not_all_listed():
    words = refused(jm.Model(power, {"c": jm.Real(start=0.0)}), {"y": Y})
    assert "the log-density and its score are finite but its second derivative by 'c' is not, in rows " in words
    assert " and others. " in words


def test_groups_are_named_by_their_value():
    def of_group(p, rows, mask):
        return jnp.where(mask, rows["y"] * jnp.log(p["mean"]) - p["mean"], 0.0).sum()

    firm = np.repeat(["north", "south", "east", "west"], 5)
    model = jm.Model(of_group, {"mean": jm.Linear([1, "x"])}, unit="firm")
    words = refused(model, {"y": Y, "x": np.where(firm == "east", -1.0, 1.0), "firm": firm}, start={"mean": [0.5, 1.0]})
    assert "in firm 'east'" in words


def test_a_prior_is_not_blamed_on_rows():
    def prior(c):
        return jnp.sqrt(c)

    table = Table.read({"y": Y})
    built = build(jm.Model(power, {"c": jm.Real(prior=prior)}), table, weights=np.ones(N))
    blame = find_blame(built.objective, np.array([-1.0]), ["c"], np.arange(N), "row")
    assert blame is not None
    assert blame.kind == "penalty"
    assert not len(blame.units)
    assert "prior" in blame.words


def test_nothing_is_blamed_where_all_is_finite():
    built = build(jm.Model(bounded, {"top": jm.Positive()}), Table.read({"y": Y}), weights=np.ones(N))
    assert find_blame(built.objective, np.array([2.0]), ["top"], np.arange(N), "row") is None


def gap_with_edge(p, row):
    """Rises with c, but the branch not taken has no derivative beyond the smallest observation."""
    gap = row["y"] - p["c"]
    return jnp.where(gap > 0, 3.0 * p["c"] + 0.0 * jnp.sqrt(gap), p["c"])


def test_a_derivative_that_fails_during_the_search_is_blamed():
    y = np.where(np.arange(N) == 11, 0.25, Y)
    with pytest.warns(jm.FitWarning, match="a little further in 'c' the log-density"):
        fit = jm.fit(jm.Model(gap_with_edge, {"c": jm.Real(start=0.0)}), {"y": y}, progress=False)
    assert fit.certificate.status == "not_finite"
    assert "row 11" in fit.certificate.reason
    assert fit.coef["c"] == pytest.approx(0.25, abs=1e-5)


def test_an_interrupt_returns_the_best_point_so_far():
    seen = []

    def stop(progress):
        seen.append(progress)
        if len(seen) == 2:
            raise KeyboardInterrupt

    model = jm.Model(d.poisson, {"rate": jm.Linear([1, "x"], link="log")})
    with pytest.warns(jm.FitWarning, match="Interrupted after 2 steps; this is the best point so far"):
        fit = jm.fit(model, {"y": Y, "x": X}, progress=False, callback=stop, start={"rate": [3.0, 2.0]})
    assert fit.log_likelihood == pytest.approx(-min(p.value for p in seen))
    assert np.isnan(list(fit.std_errors.values())).all()
    resumed = jm.fit(model, {"y": Y, "x": X}, progress=False, start=dict(fit.params))
    assert resumed.converged
