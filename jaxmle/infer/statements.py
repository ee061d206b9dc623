"""What may be asked of one row of a fitted family: functions `(p, row)` like a log-density, run by the same passes."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import jax
import jax.numpy as jnp

from ..declare.conditional import Conditional, held
from ..declare.distributions.base import OnScale
from ..declare.distributions.labelled import Labelled
from ..declare.distributions.mixed import Mixed
from ..objective.rows import Row

VALUE, INDEX, KEY = " value", " index", " key"
"""Columns that statements read beside the user's: a value or quantile asked for, a class, a random key (two words)."""


@dataclass(frozen=True)
class Mean:
    """The expectation of the response, or of its component `row[INDEX]`."""

    conditional: Conditional
    vector: bool = False

    def __call__(self, p: Any, row: Any) -> Any:
        mean = self.conditional.distribution(p, row).expectation()
        return jnp.asarray(mean)[row[INDEX]] if self.vector else mean


@dataclass(frozen=True)
class Variance:
    """The variance of the response."""

    conditional: Conditional

    def __call__(self, p: Any, row: Any) -> Any:
        return self.conditional.distribution(p, row).variance()


@dataclass(frozen=True)
class ClassProbability:
    """The probability of the class of number `row[INDEX]`."""

    conditional: Conditional

    def __call__(self, p: Any, row: Any) -> Any:
        return cast(Labelled, self.conditional.distribution(p, row)).probabilities()[row[INDEX]]


@dataclass(frozen=True)
class Posterior:
    """The probability that the row's response is from the component of number `row[INDEX]`."""

    conditional: Conditional

    def __call__(self, p: Any, row: Any) -> Any:
        mixed = cast(Mixed, self.conditional.distribution(p, row))
        return jnp.exp(mixed.posterior(self.conditional.observed(row))[row[INDEX]])


@dataclass(frozen=True)
class Probability:
    """The probability, or density, of the value `row[VALUE]`, zero outside of the support."""

    conditional: Conditional

    def __call__(self, p: Any, row: Any) -> Any:
        d, y, support = self.conditional.distribution(p, row), row[VALUE], self.conditional.support
        if support is None:
            return jnp.exp(d.log_prob(y))
        holds = support.holds(y)
        return jnp.where(holds, jnp.exp(d.log_prob(jnp.where(holds, y, support.member))), 0.0)


@dataclass(frozen=True)
class UpTo:
    """The probability of at most the value `row[VALUE]`, or of more (`upper`)."""

    conditional: Conditional
    upper: bool = False

    def __call__(self, p: Any, row: Any) -> Any:
        d = self.conditional.distribution(p, row)
        return jnp.exp(d.log_survival(row[VALUE]) if self.upper else d.log_cdf(row[VALUE]))


@dataclass(frozen=True)
class CumulativeHazard:
    """−log P(T > t) at the time `row[VALUE]`."""

    conditional: Conditional

    def __call__(self, p: Any, row: Any) -> Any:
        return -self.conditional.distribution(p, row).log_survival(row[VALUE])


@dataclass(frozen=True)
class Exp:
    """The density whose logarithm is given."""

    log_density: Callable[..., Any]

    def __call__(self, p: Any, row: Any) -> Any:
        return jnp.exp(self.log_density(p, row))


@dataclass(frozen=True)
class Quantile:
    """The quantile of the response at the probability `row[VALUE]`."""

    conditional: Conditional

    def __call__(self, p: Any, row: Any) -> Any:
        return self.conditional.distribution(p, row).quantile(row[VALUE])


@dataclass(frozen=True)
class Natural:
    """A parameter on its natural scale, or its entry of number `row[INDEX]`."""

    name: str
    vector: bool = False

    def __call__(self, p: Any, row: Any) -> Any:
        return jnp.ravel(p[self.name])[row[INDEX]] if self.vector else p[self.name]


@dataclass(frozen=True)
class Predictor:
    """A parameter on the scale of its predictor."""

    name: str

    def __call__(self, p: Any, row: Any) -> Any:
        return p.scales[self.name].eta if self.name in p.scales else p[self.name]


@dataclass(frozen=True)
class Draw:
    """One draw of the response, or of its component `row[INDEX]`, from the key in `row[KEY]`."""

    conditional: Conditional
    vector: bool = False

    def __call__(self, p: Any, row: Any) -> Any:
        key = jax.random.wrap_key_data(row[KEY].astype(jnp.uint32))
        draw = jax.lax.stop_gradient(self.conditional.distribution(p, row).sample(key))
        return jnp.asarray(draw)[row[INDEX]] if self.vector else draw


@dataclass(frozen=True)
class Residual:
    """A residual of the observed response; `kind` is response, pearson, deviance, working."""

    conditional: Conditional
    kind: str

    def __call__(self, p: Any, row: Any) -> Any:
        d, y = self.conditional.distribution(p, row), self.conditional.observed(row)
        if self.kind == "deviance":
            return jnp.sign(y - d.expectation()) * jnp.sqrt(jnp.maximum(unit_deviance(d, y), 0.0))
        away = y - d.expectation()
        if self.kind == "pearson":
            return away * jnp.sqrt(d.phi() / d.variance())
        return away


@dataclass(frozen=True)
class Deviance:
    """The unit deviance: φ times twice the log-likelihood that a perfect prediction would gain."""

    conditional: Conditional

    def __call__(self, p: Any, row: Any) -> Any:
        return unit_deviance(self.conditional.distribution(p, row), self.conditional.observed(row))


def unit_deviance(d: Any, y: Any) -> Any:
    """φ · 2 (saturated − fitted log-density), the deviance of a generalised linear model where it is one."""
    return d.phi() * 2.0 * (d.saturated_log_prob(y) - d.log_prob(y))


@dataclass(frozen=True)
class Tail:
    """log P(Y ≤ y), or log P(Y > y) (`upper`), at the observed response, or just below it (`before`)."""

    conditional: Conditional
    upper: bool
    before: bool

    def __call__(self, p: Any, row: Any) -> Any:
        low, high = self.conditional.seen(row)
        d = self.conditional.among_seen(p, row)
        y = low - 1.0 if self.before and d.support.whole else low if self.before else high
        return d.log_survival(y) if self.upper else d.log_cdf(y)


@dataclass(frozen=True)
class Working:
    """The working residual: score over information, both by the first parameter's predictor (that of Fisher scoring).

    For a generalised linear model it is (y − μ) dη/dμ.
    """

    conditional: Conditional
    name: str

    def __call__(self, p: Any, row: Any) -> Any:
        y = self.conditional.observed(row)
        scale = p.scales[self.name]

        def at(eta: Any) -> Any:
            moved = type(p)(
                {**p, self.name: scale.link.inverse(eta)}, {**p.scales, self.name: OnScale(scale.link, eta)}
            )
            return self.conditional.distribution(moved, row)

        truth = held(at(scale.eta))
        score = jax.grad(lambda eta: at(eta).log_prob(y))(scale.eta)
        if type(truth).has("expected_log_prob"):
            information = -jax.grad(jax.grad(lambda eta: at(eta).expected_log_prob(truth)))(scale.eta)
        else:
            information = -jax.grad(jax.grad(lambda eta: at(eta).log_prob(y)))(scale.eta)
        return score / information


@dataclass(frozen=True)
class Slope:
    """The derivative of another statement by a column: directly, and through the predictors that move with it.

    `predictors` are pairs: a parameter, and the one that holds the derivative of its predictor. `kind` "dydx" is the
    derivative, "eyex" d log y / d log x, "dyex" d y / d log x, "eydx" d log y / d x.
    """

    of: Any
    column: str
    predictors: tuple[tuple[str, str], ...]
    direct: bool
    kind: str

    def __call__(self, p: Any, row: Any) -> Any:
        x = row[self.column].astype(jnp.float64) if self.direct or self.kind in ("eyex", "dyex") else None

        def at(t: Any) -> Any:
            values, scales = dict(p), dict(p.scales)
            for name, tangent in self.predictors:
                on = OnScale(p.scales[name].link, p.scales[name].eta + t * p[tangent])
                values[name], scales[name] = on.link.inverse(on.eta), on
            moved = Row(ChainMap({self.column: x + t}, row)) if self.direct else row
            return self.of(type(p)(values, scales), moved)

        y, slope = jax.jvp(at, (jnp.zeros(()),), (jnp.ones(()),))
        slope = slope * x if self.kind in ("eyex", "dyex") else slope
        return slope / y if self.kind in ("eyex", "eydx") else slope


@dataclass(frozen=True)
class Logarithm:
    """The logarithm of another statement."""

    of: Any

    def __call__(self, p: Any, row: Any) -> Any:
        return jnp.log(self.of(p, row))
