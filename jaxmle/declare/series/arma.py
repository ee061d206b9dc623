"""Autoregressions and autoregressive moving averages with regressors in the mean, by their exact normal likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import ModelError
from ..conditional import Bound, Data
from ..distributions.normal import Normal
from ..domains import Domain
from ..families import declared, split_response
from ..model import Model, Parameter
from . import starts
from .dependent import OfNumbers, in_order, read_series, seen_of
from .order import AGE, column_or_none
from .order import order as _order
from .recurrence import moved, product, recurrence, times
from .stationary import Invertible, Stationary, orders, partials_of


def ar(
    response: str,
    order: int = 1,
    *,
    time: str | None = None,
    series: str | None = None,
    mean: Any = None,
    ar: Any = None,
    sd: Any = None,
) -> Model:
    """An autoregression, or a regression with autoregressive errors: y_t = mean_t + x_t, where x is an AR(p) process.

    x_t = ar[0]·x_{t-1} + ... + ar[p-1]·x_{t-p} + e_t with normal e_t of standard deviation `sd`. The likelihood is exact:
    the first rows have the stationary distribution, and a missing response (NaN) is skipped as if it had been
    integrated out. The coefficients are stationary by construction (Monahan, 1984, Biometrika 71, 403-404).

    Arguments:
        response: `"response ~ terms"`, whose terms predict the mean, or the name of the response alone.
        order: the number p of autoregressive coefficients, at least 1.
        time: a column of numbers or dates, checked to go on in equal steps.
        series: a column that tells independent series of the same process apart; their rows are together.
        mean, ar, sd: a formula (of the mean), a domain, or numbers that the parameter is held at.

    Returns:
        The model; `fit.predict` gives one-step predictions, and forecasts for rows that come after the data.

    Raises:
        ModelError: for names, orders and formulas that make no sense.
    """
    p = _order(order, 1, "ar")
    return _model("ar", response, p, 0, time, series, {"mean": mean, "sd": sd}, {"ar": ar}, f"AR({p})")


def arma(
    response: str,
    order: tuple[int, int] = (1, 1),
    *,
    time: str | None = None,
    series: str | None = None,
    mean: Any = None,
    ar: Any = None,
    ma: Any = None,
    sd: Any = None,
) -> Model:
    """An autoregressive moving average, or a regression with such errors: y_t = mean_t + x_t, x an ARMA(p, q) process.

    x_t = Σ ar[i]·x_{t-1-i} + e_t + Σ ma[j]·e_{t-1-j} with normal e_t of standard deviation `sd`. The exact likelihood by
    the Kalman filter in Harvey's form (1989, Forecasting, Structural Time Series Models and the Kalman Filter, section
    3.3), from the stationary distribution; a missing response (NaN) is skipped exactly. The coefficients are stationary
    and invertible by construction (Monahan, 1984, Biometrika 71, 403-404).

    Arguments:
        response: `"response ~ terms"`, whose terms predict the mean, or the name of the response alone.
        order: (p, q), the numbers of autoregressive and of moving average coefficients.
        time: a column of numbers or dates, checked to go on in equal steps.
        series: a column that tells independent series of the same process apart; their rows are together.
        mean, ar, ma, sd: a formula (of the mean), a domain, or numbers that the parameter is held at.

    Returns:
        The model; `fit.predict` gives one-step predictions, and forecasts for rows that come after the data.

    Raises:
        ModelError: for names, orders and formulas that make no sense.
    """
    if not isinstance(order, tuple | list) or len(order) != 2:
        raise ModelError(f"arma needs order=(p, q), two whole numbers; got {order!r}.")
    p, q = (_order(n, 0, "arma", f"order[{i}]") for i, n in enumerate(order))
    if p + q == 0:
        raise ModelError("arma of order (0, 0) has no dependence: it is jm.normal.")
    given = ({"ar": ar} if p or ar is not None else {}) | ({"ma": ma} if q or ma is not None else {})
    return _model("arma", response, p, q, time, series, {"mean": mean, "sd": sd}, given, f"ARMA({p}, {q})")


def _model(
    owner: str,
    response: Any,
    p: int,
    q: int,
    time: Any,
    series: Any,
    given: Mapping[str, Any],
    coefficients: Mapping[str, Any],
    title: str,
) -> Model:
    names, terms = split_response(response)
    if len(names) != 1:
        raise ModelError(f"{owner} has one response; got {list(names)!r}.")
    if isinstance(given["sd"], str):
        raise ModelError(f"sd of {owner} is the same in all rows: a number or a domain; got {given['sd']!r}.")
    params = declared(Normal, terms, given)
    params |= {
        name: _coefficients(name, value, p if name == "ar" else q, owner) for name, value in coefficients.items()
    }
    params = {name: params[name] for name in ("mean", *coefficients, "sd")}
    process = Arma(
        series=column_or_none(series, "series", owner),
        time=column_or_none(time, "time", owner),
        name=names[0],
        p=p,
        q=q,
    )
    regression = terms is not None and not isinstance(params["mean"], Domain)
    name = f"Regression with {title} errors" if regression else title
    return Model(
        process, params, unit="all", name=name, about=response.strip() if isinstance(response, str) else names[0]
    )


def _coefficients(name: str, given: Any, k: int, owner: str) -> Parameter:
    kind = Stationary if name == "ar" else Invertible
    if k == 0:
        raise ModelError(f"{owner} of this order has no coefficients {name!r}.")
    if given is None:
        return kind(k)
    if isinstance(given, kind) and given.k == k and not given.shape:
        return given
    if isinstance(given, Domain | str):
        raise ModelError(f"{name} of {owner} takes the {k} numbers that it is held at, or {kind.__name__}({k}, ...).")
    return kind(k, fixed=np.atleast_1d(np.asarray(given, np.float64)))


@dataclass(frozen=True)
class Arma(OfNumbers):
    """A response that is a mean plus an ARMA(p, q) process; `gaps` says whether responses are missing."""

    p: int = 1
    q: int = 0
    gaps: bool = True

    def with_gaps(self) -> Arma:
        return replace(self, gaps=True)

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        read = read_series(self, data, weights)
        y = read.y[read.seen]
        degenerate = None
        if (y == y[0]).all():
            degenerate = f"all {len(y):,} responses are {y[0]:g}: the likelihood grows without limit as sd goes to 0"
        if (longest := int(read.age.max()) + 1) <= self.p + self.q:
            degenerate = f"the longest series has {longest} rows, too few for {self.p + self.q} coefficients"
        begin = starts.arma(read.y, read.seen, read.age, self.p, self.q)
        return Bound(replace(self, gaps=read.gaps), params, {AGE: read.age}, begin, degenerate)

    def ahead(self, p: Any, data: Mapping[str, Any]) -> Normal:
        y, seen = seen_of(data, self.name)
        x, age = y - p["mean"], in_order(data)
        if self.q == 0 and not self.gaps:
            expected, spread = autoregressed(p["ar"], x, age)
        else:
            process = StateSpace.of(p.get("ar"), p.get("ma"))
            expected, variance = filtered(process, x, seen, age == 0)
            spread = jnp.sqrt(variance)
        return Normal(mean=p["mean"] + expected, sd=p["sd"] * spread)

    def simulated(self, p: Any, data: Mapping[str, Any], keys: jax.Array) -> Any:
        process = StateSpace.of(p.get("ar"), p.get("ma"))
        noise = jax.vmap(lambda k: jax.random.normal(k, (process.size,), jnp.float64))(keys)
        root = jnp.linalg.cholesky(process.start + 1e-14 * jnp.eye(process.size) * process.start[0, 0])

        def step(state: Any, row: Any) -> Any:
            shock, first = row
            state = jnp.where(first, root @ shock, process.transition @ state + process.loading * shock[0])
            return state, state[0]

        _, x = jax.lax.scan(step, jnp.zeros(process.size), (noise, in_order(data) == 0))
        return p["mean"] + p["sd"] * x


def autoregressed(phi: jax.Array, x: jax.Array, age: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Prediction (n,) of each value from those before it and its standard deviation, of unit innovations; no value missing.

    The first p rows of a series are predicted by the coefficients of lower order (Durbin and Levinson).
    """
    k = phi.shape[0]
    by_age = jnp.stack([jnp.pad(c, (0, k - c.shape[0])) for c in orders(phi)])
    gains = 1.0 - partials_of(phi) ** 2
    sd = jnp.concatenate([1.0 / jnp.sqrt(jnp.cumprod(gains[::-1])[::-1]), jnp.ones(1)])
    old = jnp.minimum(age, k)
    before = jnp.stack([moved(x, j) for j in range(1, k + 1)])
    return jnp.sum(by_age[old].T * before, axis=0), sd[old]


class StateSpace(NamedTuple):
    """x_t = s_t[0], s_t = transition·s_{t-1} + loading·e_t with unit e_t; `start` is the stationary covariance of s."""

    transition: jax.Array
    loading: jax.Array
    start: jax.Array

    @property
    def size(self) -> int:
        return self.loading.shape[0]

    @staticmethod
    def of(ar: jax.Array | None, ma: jax.Array | None) -> StateSpace:
        """Harvey's form of an ARMA process (1989, section 3.3)."""
        p, q = (0 if c is None else c.shape[0] for c in (ar, ma))
        r = max(p, q + 1)
        shift = jnp.eye(r, k=1)
        transition = shift if ar is None else shift.at[:p, 0].set(ar)
        loading = jnp.zeros(r).at[0].set(1.0)
        loading = loading if ma is None else loading.at[1 : q + 1].set(ma)
        spread = jnp.outer(loading, loading)
        within = jnp.eye(r * r) - jnp.kron(transition, transition)
        start = jnp.linalg.solve(within, spread.reshape(-1)).reshape(r, r)
        return StateSpace(transition, loading, 0.5 * (start + start.T))


def filtered(process: StateSpace, x: jax.Array, seen: jax.Array, first: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Prediction (n,) of each value from those seen before it and its variance, of unit innovations: the Kalman filter."""
    spread = jnp.outer(process.loading, process.loading)
    state, covariance = states_before(process.transition, spread, process.start, x, seen, first)
    return state[:, 0], covariance[:, 0, 0]


@jax.custom_jvp
def states_before(
    transition: jax.Array, spread: jax.Array, start: jax.Array, x: jax.Array, seen: jax.Array, first: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The state (n, r) expected from the values seen before each row, and its covariance (n, r, r).

    `spread` is the covariance of what a step adds to the state, `start` that of a series' first state. Written out in
    numbers, which a loop over the rows computes many times faster than small matrices.
    """
    r = range(start.shape[0])
    phi = [transition[i, 0] for i in r]

    def step(carry: Any, row: Any) -> Any:
        value, is_seen, is_first = row
        state = [jnp.where(is_first, 0.0, number) for number in carry[0]]
        covariance = [[jnp.where(is_first, start[i, j], carry[1][i][j]) for j in r] for i in r]
        s, v = [*state, 0.0], [*covariance, [0.0] * len(r)]
        moves = [[phi[i] * v[0][j] + v[i + 1][j] for j in r] + [0.0] for i in r]
        gain = [jnp.where(is_seen, moves[i][0] / v[0][0], 0.0) for i in r]
        after = [phi[i] * s[0] + s[i + 1] + gain[i] * (value - s[0]) for i in r]
        new: dict[tuple[int, int], Any] = {}
        for i in r:
            for j in range(i, len(r)):
                known = gain[i] * gain[j] * v[0][0]
                new[i, j] = new[j, i] = moves[i][0] * phi[j] + moves[i][j + 1] + spread[i, j] - known
        return (after, [[new[i, j] for j in r] for i in r]), (state, covariance)

    begin = [jnp.zeros_like(start[0, 0]) for _ in r], [[start[i, j] for j in r] for i in r]
    state, covariance = jax.lax.scan(step, begin, (x, seen, first))[1]
    return jnp.stack(state, axis=1), jnp.stack([jnp.stack(row, axis=1) for row in covariance], axis=1)


@states_before.defjvp
def _states_before(primals: Any, tangents: Any) -> Any:
    """An error of the state is passed on by L = T - K Z, of its covariance by L · Lᵀ; the gain K is the best one, and so
    does not move the covariance to first order."""
    transition, spread, start, x, seen, first = primals
    d_transition, d_spread, d_start, d_x, _, _ = tangents
    state, covariance = states_before(transition, spread, start, x, seen, first)
    turned, d_turned = transition.T, d_transition.T
    variance = covariance[:, :1, 0]
    gain = jnp.where(seen[:, None], times(covariance[:, 0], turned) / variance, 0.0)
    passed = turned - jnp.pad(gain[:, None, :], ((0, 0), (0, gain.shape[1] - 1), (0, 0)))  # Lᵀ
    matrix = jnp.where(first[:, None, None], 0.0, moved(passed))
    half = product(product(jnp.swapaxes(passed, 1, 2), covariance), d_turned)  # L P dTᵀ
    source = half + jnp.swapaxes(half, 1, 2) + d_spread
    d_covariance = recurrence(matrix, jnp.where(first[:, None, None], d_start, moved(source)))
    better = (times(covariance[:, 0], d_turned) + times(d_covariance[:, 0], passed)) / variance
    d_gain = jnp.where(seen[:, None], better, 0.0)
    source = times(state, d_turned) + gain * d_x[:, None] + d_gain * (x - state[:, 0])[:, None]
    d_state = recurrence(matrix, jnp.where(first[:, None], 0.0, moved(source)))
    return (state, covariance), (d_state, d_covariance)
