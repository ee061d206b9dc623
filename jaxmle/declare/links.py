"""Links: the smooth one-to-one maps between a parameter's natural scale and the scale of a linear predictor."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import ndtr, ndtri
from jax.typing import ArrayLike

from ..errors import ModelError, did_you_mean
from ..numerics import log1mexp, log_ndtr, log_sigmoid


@dataclass(frozen=True)
class Link(abc.ABC):
    """A smooth one-to-one map between the natural scale (`theta`) and the predictor's scale (`eta`).

    To add one, subclass, give `name` a default and write `forward` and `inverse` in `jax.numpy`, elementwise, so that
    their first two derivatives are finite. Links are hashable and equal when their class and fields are.
    """

    name: str

    symmetric: ClassVar[bool] = False
    """Whether the natural value of minus eta is one minus that of eta."""

    @abc.abstractmethod
    def forward(self, theta: ArrayLike) -> Array:
        """The predictor `eta` of a natural value `theta`, elementwise."""

    @abc.abstractmethod
    def inverse(self, eta: ArrayLike) -> Array:
        """The natural value `theta` of a predictor `eta`, elementwise."""

    def log_inverse(self, eta: ArrayLike) -> Array:
        """The logarithm of the natural value, with its digits in the tails."""
        return jnp.log(self.inverse(eta))

    def log_complement(self, eta: ArrayLike) -> Array:
        """The logarithm of one minus the natural value, with its digits in the tails."""
        return self.log_inverse(jnp.negative(eta)) if self.symmetric else jnp.log1p(-self.inverse(eta))

    def log_of_outcome(self, eta: ArrayLike, success: ArrayLike) -> Array:
        """The logarithm of the natural value where `success`, else of one minus it."""
        if self.symmetric:  # one logarithm, not two of which one is thrown away
            return self.log_inverse(jnp.where(success, eta, jnp.negative(eta)))
        return jnp.where(success, self.log_inverse(eta), self.log_complement(eta))


@jax.custom_jvp
def _logistic(x: ArrayLike) -> Array:
    """1 / (1 + exp(-x))."""
    return jax.nn.sigmoid(x)


@_logistic.defjvp
def _logistic_jvp(primals, tangents):
    # s(x) s(-x), not s(x) (1 - s(x)): the second is zero above x = 37
    (x,), (dx,) = primals, tangents
    return _logistic(x), _logistic(x) * _logistic(jnp.negative(x)) * dx


def _double_exp(x: ArrayLike) -> Array:
    """exp(x), held constant above x = 7, where exp(-exp(x)) and all its derivatives are below the smallest number."""
    return jnp.exp(jnp.minimum(x, 7.0))


@dataclass(frozen=True)
class Identity(Link):
    """eta = theta."""

    name: str = "identity"

    def forward(self, theta: ArrayLike) -> Array:
        return jnp.asarray(theta)

    def inverse(self, eta: ArrayLike) -> Array:
        return jnp.asarray(eta)


@dataclass(frozen=True)
class Log(Link):
    """eta = log(theta), theta > 0."""

    name: str = "log"

    def forward(self, theta: ArrayLike) -> Array:
        return jnp.log(theta)

    def inverse(self, eta: ArrayLike) -> Array:
        return jnp.exp(eta)

    def log_inverse(self, eta: ArrayLike) -> Array:
        return jnp.asarray(eta)

    def log_complement(self, eta: ArrayLike) -> Array:
        return log1mexp(jnp.negative(eta))


@dataclass(frozen=True)
class Logit(Link):
    """eta = log(theta / (1 - theta)), 0 < theta < 1."""

    name: str = "logit"
    symmetric = True

    def forward(self, theta: ArrayLike) -> Array:
        return jnp.log(theta) - jnp.log1p(jnp.negative(theta))

    def inverse(self, eta: ArrayLike) -> Array:
        return _logistic(eta)

    def log_inverse(self, eta: ArrayLike) -> Array:
        return log_sigmoid(eta)


@dataclass(frozen=True)
class ScaledLogit(Link):
    """eta = log((theta - low) / (high - theta)), low < theta < high."""

    name: str
    low: float
    high: float

    def forward(self, theta: ArrayLike) -> Array:
        return jnp.log(jnp.subtract(theta, self.low)) - jnp.log(jnp.subtract(self.high, theta))

    def inverse(self, eta: ArrayLike) -> Array:
        # from the nearer bound: full relative precision of the distance to it
        width = self.high - self.low
        below, above = self.low + width * _logistic(eta), self.high - width * _logistic(jnp.negative(eta))
        return jnp.where(jnp.less(eta, 0), below, above)


@dataclass(frozen=True)
class Probit(Link):
    """eta = the standard normal quantile of theta, 0 < theta < 1."""

    name: str = "probit"
    symmetric = True

    def forward(self, theta: ArrayLike) -> Array:
        return ndtri(theta)

    def inverse(self, eta: ArrayLike) -> Array:
        return ndtr(eta)

    def log_inverse(self, eta: ArrayLike) -> Array:
        return log_ndtr(eta)


@dataclass(frozen=True)
class CLogLog(Link):
    """eta = log(-log(1 - theta)), 0 < theta < 1: the complementary log-log link of grouped proportional hazards."""

    name: str = "cloglog"

    def forward(self, theta: ArrayLike) -> Array:
        return jnp.log(-jnp.log1p(jnp.negative(theta)))

    def inverse(self, eta: ArrayLike) -> Array:
        return -jnp.expm1(-_double_exp(eta))

    def log_inverse(self, eta: ArrayLike) -> Array:
        return log1mexp(_double_exp(eta))

    def log_complement(self, eta: ArrayLike) -> Array:
        return -jnp.exp(jnp.asarray(eta))


@dataclass(frozen=True)
class LogLog(Link):
    """eta = -log(-log(theta)), 0 < theta < 1."""

    name: str = "loglog"

    def forward(self, theta: ArrayLike) -> Array:
        return -jnp.log(-jnp.log(theta))

    def inverse(self, eta: ArrayLike) -> Array:
        return jnp.exp(-_double_exp(jnp.negative(eta)))

    def log_inverse(self, eta: ArrayLike) -> Array:
        return -jnp.exp(jnp.negative(eta))

    def log_complement(self, eta: ArrayLike) -> Array:
        return log1mexp(_double_exp(jnp.negative(eta)))


@dataclass(frozen=True)
class Cauchit(Link):
    """eta = tan(pi (theta - 1/2)), the Cauchy quantile of theta, 0 < theta < 1."""

    name: str = "cauchit"
    symmetric = True

    def forward(self, theta: ArrayLike) -> Array:
        # in each tail from its own end: tan(pi (theta - 1/2)) is the same number for all theta < 1e-16
        low, high = jnp.less(theta, 0.25), jnp.greater(theta, 0.75)
        left = -1 / jnp.tan(jnp.pi * jnp.where(low, theta, 0.25))
        right = 1 / jnp.tan(jnp.pi * jnp.subtract(1.0, jnp.where(high, theta, 0.75)))
        middle = jnp.tan(jnp.pi * jnp.subtract(jnp.where(low | high, 0.5, theta), 0.5))
        return jnp.where(low, left, jnp.where(high, right, middle))

    def inverse(self, eta: ArrayLike) -> Array:
        return jnp.arctan2(jnp.ones_like(eta), jnp.negative(eta)) / jnp.pi

    def log_inverse(self, eta: ArrayLike) -> Array:
        return jnp.log(self.inverse(eta))


@dataclass(frozen=True)
class Inverse(Link):
    """eta = 1 / theta."""

    name: str = "inverse"

    def forward(self, theta: ArrayLike) -> Array:
        return jnp.reciprocal(theta)

    def inverse(self, eta: ArrayLike) -> Array:
        return jnp.reciprocal(eta)


@dataclass(frozen=True)
class InverseSquared(Link):
    """eta = 1 / theta², theta > 0: the canonical link of the inverse Gaussian."""

    name: str = "inverse_squared"

    def forward(self, theta: ArrayLike) -> Array:
        return jnp.reciprocal(jnp.square(theta))

    def inverse(self, eta: ArrayLike) -> Array:
        return jax.lax.rsqrt(jnp.asarray(eta))


@dataclass(frozen=True)
class Sqrt(Link):
    """eta = sqrt(theta), theta > 0."""

    name: str = "sqrt"

    def forward(self, theta: ArrayLike) -> Array:
        return jnp.sqrt(theta)

    def inverse(self, eta: ArrayLike) -> Array:
        return jnp.square(eta)


@dataclass(frozen=True)
class Square(Link):
    """eta = theta², theta > 0."""

    name: str = "square"

    def forward(self, theta: ArrayLike) -> Array:
        return jnp.square(theta)

    def inverse(self, eta: ArrayLike) -> Array:
        return jnp.sqrt(eta)


@dataclass(frozen=True)
class Atanh(Link):
    """eta = arctanh(theta), -1 < theta < 1: Fisher's z of a correlation."""

    name: str = "atanh"

    def forward(self, theta: ArrayLike) -> Array:
        return jnp.arctanh(theta)

    def inverse(self, eta: ArrayLike) -> Array:
        return jnp.tanh(eta)


@dataclass(frozen=True)
class Circular(Link):
    """eta = tan(theta / 2), -pi < theta < pi: Fisher and Lee's (1992) link of an angle in radians."""

    name: str = "circular"

    def forward(self, theta: ArrayLike) -> Array:
        return jnp.tan(0.5 * jnp.asarray(theta))

    def inverse(self, eta: ArrayLike) -> Array:
        return 2.0 * jnp.arctan(eta)


LINKS: dict[str, Link] = {
    link.name: link
    for link in (
        Identity(),
        Log(),
        Logit(),
        Probit(),
        CLogLog(),
        LogLog(),
        Cauchit(),
        Inverse(),
        InverseSquared(),
        Sqrt(),
        Square(),
        Atanh(),
        Circular(),
    )
}
"""The links that have a name; `interval(low, high)` makes the one that needs two numbers."""


UNSPECIFIED = Identity()
"""The link that was not chosen: the identity, for which a family puts its own."""


def interval(low: float, high: float) -> Link:
    """The scaled logit link of the open interval (low, high); the bounds are finite, low < high, or `ModelError`."""
    low, high = finite_interval(low, high, "interval")
    return ScaledLogit(f"interval({low!r}, {high!r})", low, high)


def finite_interval(low: float, high: float, owner: str) -> tuple[float, float]:
    """The two bounds as floats; `ModelError` in the name of `owner` unless they are finite and low < high."""
    try:
        lower, upper = float(low), float(high)
    except (TypeError, ValueError):
        raise ModelError(f"{owner} needs two numbers low < high, got low={low!r}, high={high!r}.") from None
    if not lower < upper:
        raise ModelError(f"{owner} needs low < high, got low={low}, high={high}.")
    if abs(upper - lower) == float("inf"):
        remedy = _without_bounds(lower, upper)
        raise ModelError(f"{owner} needs finite bounds, got low={low}, high={high}.{remedy}")
    return lower, upper


def _without_bounds(low: float, high: float) -> str:
    """What to write in place of an interval with an infinite bound."""
    inf = float("inf")
    if (low, high) == (-inf, inf):
        return " For any real number use Real()."
    if (low, high) == (0.0, inf):
        return " For any positive number use Positive()."
    if high == inf:
        return f" For numbers above {low:.12g} declare a Positive() and add {low:.12g} to it in the density."
    if low == -inf:
        return f" For numbers below {high:.12g} declare a Positive() and subtract it from {high:.12g} in the density."
    return " Their difference overflows."


def resolve_link(link: str | Link | None) -> Link:
    """The link of a name, a link as it is, the identity for None; `ModelError` with the choices for anything else."""
    if link is None:
        return UNSPECIFIED
    if isinstance(link, Link):
        return link
    if isinstance(link, str) and link in LINKS:
        return LINKS[link]
    given = repr(link) if isinstance(link, str) else f"{link!r}, which is neither a name nor a Link"
    raise ModelError(f"Unknown link {given}.{did_you_mean(str(link), LINKS)} For an interval use interval(low, high).")
