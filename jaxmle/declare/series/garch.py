"""Variances that change with time: generalised autoregressive conditional heteroscedasticity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import ModelError
from ..conditional import Bound, Data
from ..distributions.normal import Normal
from ..distributions.student_t import StudentT
from ..domains import Domain, Interval, Positive, UnitInterval
from ..families import declared, split_response
from ..model import Model, Parameter
from .dependent import OfNumbers, in_order, read_series, seen_of
from .order import AGE, column_or_none
from .order import order as _order
from .recurrence import moved, recurrence

ERRORS = ("normal", "student_t")

MOST_DF = 1000.0
"""Degrees of freedom, beyond which nothing tells Student's t from the normal distribution."""


def garch(
    response: str,
    order: tuple[int, int] = (1, 1),
    *,
    errors: str = "normal",
    time: str | None = None,
    series: str | None = None,
    mean: Any = None,
    omega: Any = None,
    alpha: Any = None,
    beta: Any = None,
    df: Any = None,
) -> Model:
    """GARCH: a response whose variance follows from the squares before it (Bollerslev, 1986, J. Econometrics 31, 307-327).

    y_t = mean_t + e_t, where e_t has the variance h_t = omega + Σ alpha[i]·e²_{t-1-i} + Σ beta[j]·h_{t-1-j}. What is before
    the first row is the mean of e² at the same parameters (Fiorentini, Calzolari and Panattoni, 1996). Ask for
    `covariance("sandwich")` where the errors may not be normal (Bollerslev and Wooldridge, 1992).

    Arguments:
        response: `"response ~ terms"`, whose terms predict the mean, or the name of the response alone.
        order: (squares, variances): how many of each there are; with no variances it is ARCH.
        errors: "normal", or "student_t" with `df` degrees of freedom, scaled to variance h_t.
        time: a column of numbers or dates, checked to go on in equal steps.
        series: a column that tells independent series of the same process apart; their rows are together.
        mean, omega, alpha, beta, df: a formula (of the mean), a domain, or a number that the parameter is held at.

    Returns:
        The model. The square of a missing response (NaN) is taken to be its expectation; so are those of forecasts.

    Raises:
        ModelError: for names, orders and formulas that make no sense.
    """
    if not isinstance(order, tuple | list) or len(order) != 2:
        raise ModelError(f"garch needs order=(squares, variances), two whole numbers; got {order!r}.")
    p, q = _order(order[0], 1, "garch", "order[0]"), _order(order[1], 0, "garch", "order[1]")
    if errors not in ERRORS:
        raise ModelError(f"garch has errors={' or '.join(map(repr, ERRORS))}; got {errors!r}.")
    names, terms = split_response(response)
    if len(names) != 1:
        raise ModelError(f"garch has one response; got {list(names)!r}.")
    if (beta is not None and not q) or (df is not None and errors == "normal"):
        raise ModelError("garch: beta goes with variances in order=, and df with errors='student_t'.")
    params: dict[str, Parameter] = {"mean": declared(Normal, terms, {"mean": mean})["mean"]}
    params["omega"] = _settled("omega", omega, Positive())
    params["alpha"] = _settled("alpha", alpha, Positive() if p == 1 else Positive(shape=p))
    if q:
        params["beta"] = _settled("beta", beta, UnitInterval() if q == 1 else UnitInterval(shape=q))
    if errors == "student_t":
        params["df"] = _settled("df", df, Interval(2.0, MOST_DF))
    process = Garch(
        series=column_or_none(series, "series", "garch"),
        time=column_or_none(time, "time", "garch"),
        name=names[0],
        p=p,
        q=q,
        student=errors == "student_t",
    )
    title = (f"GARCH({p}, {q})" if q else f"ARCH({p})") + (" with Student's t errors" if process.student else "")
    return Model(
        process, params, unit="all", name=title, about=response.strip() if isinstance(response, str) else names[0]
    )


def _settled(name: str, given: Any, domain: Domain) -> Domain:
    if given is None:
        return domain
    if isinstance(given, Domain):
        if np.shape(given.default()) != np.shape(domain.default()):
            raise ModelError(f"{name} of garch has shape {domain.shape}; got a domain of shape {given.shape}.")
        return given
    if isinstance(given, str):
        raise ModelError(f"{name} of garch is the same in all rows: a number or a domain; got {given!r}.")
    return type(domain)(**{**_settings(domain), "shape": domain.shape, "fixed": given})


def _settings(domain: Domain) -> dict[str, Any]:
    return {"low": domain.low, "high": domain.high} if isinstance(domain, Interval) else {}


@dataclass(frozen=True)
class Garch(OfNumbers):
    """A response whose variance is a sum of the `p` last squares and the `q` last variances."""

    p: int = 1
    q: int = 1
    student: bool = False

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        read = read_series(self, data, weights)
        y = read.y[read.seen]
        degenerate = None
        if (y == y[0]).all():
            degenerate = f"all {len(y):,} responses are {y[0]:g}: the likelihood grows without limit as omega goes to 0"
        variance = max(float(y.var()), 1e-300)
        alpha, beta = (0.1, 0.8) if self.q else (0.3, 0.0)
        begin: dict[str, Any] = {"mean": float(y.mean()), "omega": variance * (1 - alpha - beta)}
        begin["alpha"] = alpha if self.p == 1 else np.full(self.p, alpha / self.p)
        if self.q:
            begin["beta"] = beta if self.q == 1 else np.full(self.q, beta / self.q)
        if self.student:
            begin["df"] = 8.0
        return Bound(self, params, {AGE: read.age}, begin, degenerate)

    def ahead(self, p: Any, data: Mapping[str, Any]) -> Any:
        y, seen = seen_of(data, self.name)
        age = in_order(data)
        square = (y - p["mean"]) ** 2
        h = self.variances(p, square, seen, age, self.before(square, seen, age))
        return self.errors(p, jnp.broadcast_to(p["mean"], h.shape), h)

    def errors(self, p: Any, mean: Any, h: Any) -> Any:
        """The distribution of responses with these means and variances."""
        if not self.student:
            return Normal(mean=mean, sd=jnp.sqrt(h))
        df = jnp.broadcast_to(p["df"], h.shape)
        return StudentT(loc=mean, scale=jnp.sqrt(h * (df - 2.0) / df), df=df)

    def before(self, square: Any, seen: Any, age: Any) -> Any:
        """What the squares and the variances before the first row are, of each row's series: the mean of the squares."""
        known, one = jnp.where(seen, square, 0.0), seen.astype(square.dtype)
        if self.series is None:
            return jnp.broadcast_to(known.sum() / one.sum(), square.shape)
        which = jnp.cumsum(age == 0) - 1
        add = lambda x: jax.ops.segment_sum(x, which, x.shape[0], indices_are_sorted=True)
        return (add(known) / jnp.maximum(add(one), 1.0))[which]

    def coefficients(self, p: Any) -> tuple[list[Any], list[Any]]:
        """Those of the squares and of the variances, numbers each."""
        of = lambda name, k: [jnp.atleast_1d(p[name])[i] for i in range(k)] if k else []
        return of("alpha", self.p), of("beta", self.q)

    def variances(self, p: Any, square: Any, seen: Any, age: Any, start: Any) -> Any:
        """The variance of each row (n,), from the squares before it."""
        alpha, beta = self.coefficients(p)
        lags = max(self.p, self.q)
        known = p["omega"] + jnp.zeros_like(square)
        matrix = jnp.broadcast_to(jnp.eye(lags, k=1), (square.shape[0], lags, lags))  # the lags move on
        for j in range(lags):
            a, b = (c[j] if j < len(c) else 0.0 for c in (alpha, beta))
            had, was, began = moved(square, j + 1), moved(seen, j + 1), age > j
            known += jnp.where(began, jnp.where(was, a * had, 0.0), (a + b) * start)
            matrix = matrix.at[:, j, 0].set(jnp.where(began, b + jnp.where(was, 0.0, a), 0.0))
        return recurrence(matrix, jnp.pad(known[:, None], ((0, 0), (0, lags - 1))))[:, 0]

    def simulated(self, p: Any, data: Mapping[str, Any], keys: jax.Array) -> Any:
        age = in_order(data)
        unit = self.errors(p, jnp.zeros(age.shape), jnp.ones(age.shape))
        shock = jax.vmap(lambda d, k: d.sample(k))(unit, keys)
        alpha, beta = self.coefficients(p)
        start = p["omega"] / jnp.maximum(1.0 - sum(alpha) - sum(beta), 0.01)

        def step(carry: Any, row: Any) -> Any:
            z, is_first = row
            squares, variances = jax.tree.map(lambda x: jnp.where(is_first, start, x), carry)
            h = p["omega"] + sum(a * x for a, x in zip(alpha, squares)) + sum(b * x for b, x in zip(beta, variances))
            push = lambda old, new: (new, *old)[: len(old)]
            return (push(squares, h * z * z), push(variances, h)), jnp.sqrt(h) * z

        zero = jnp.zeros(())
        return p["mean"] + jax.lax.scan(step, ((zero,) * self.p, (zero,) * self.q), (shock, age == 0))[1]
