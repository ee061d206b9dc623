"""Distributions: a domain for each parameter and a `log_prob`; everything else has a default or is one more method."""

from __future__ import annotations

import abc
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ...errors import ModelError
from ..cones import Cone
from ..domains import Domain
from ..linear import Linear
from ..links import LINKS, Link
from . import numeric
from .supports import REAL, Support

TINY = 1e-300
"""A sum of weights below which there are none."""


@partial(jax.tree_util.register_dataclass, data_fields=["eta"], meta_fields=["link"])
@dataclass(frozen=True)
class OnScale:
    """A parameter that is known by its predictor: link(value) = eta. Logarithms of it keep digits that it has lost."""

    link: Link
    eta: Any

    @property
    def value(self) -> Any:
        return self.link.inverse(self.eta)

    @property
    def log(self) -> Any:
        """The logarithm of the value."""
        return self.link.log_inverse(self.eta)

    @property
    def log_complement(self) -> Any:
        """The logarithm of one minus the value."""
        return self.link.log_complement(self.eta)

    def log_of_outcome(self, success: Any) -> Any:
        """The logarithm of the value where `success`, else of one minus it."""
        return self.link.log_of_outcome(self.eta, success)


if TYPE_CHECKING:
    _Base = Any  # annotates a field, whose value the class computes with, as a `Domain` does
else:
    _Base = object


class Known(_Base):
    """Annotates a field of a `Distribution` that is no parameter but known in each row, such as the trials."""


class Distribution(abc.ABC):
    """A distribution of one response; subclass it, annotate each parameter with its domain, and write `log_prob`.

    ```python
    class Maxwell(jm.Distribution):
        scale: jm.Positive

        def log_prob(self, y):
            return 0.5 * jnp.log(2 / jnp.pi) + 2 * jnp.log(y) - 3 * jnp.log(self.scale) - y**2 / (2 * self.scale**2)
    ```

    The domain gives each parameter its default link. Methods are written for one value, in `jax.numpy`; parameters are
    attributes, on their natural scale. What is not written is found numerically from `log_prob`, where that is possible.
    `support` says which responses are legal, `starts` where a search may begin.
    """

    parameters: ClassVar[Mapping[str, Domain]] = MappingProxyType({})
    """Name → domain, in the order of annotation; the first is the one that a family's formula predicts."""

    known: ClassVar[tuple[str, ...]] = ()
    """Fields that each row of the data gives."""

    support: ClassVar[Support] = REAL
    links: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Default links of parameters for which it is not their domain's."""

    concave: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    """Parameter → links with which `log_prob` is concave in its predictor, the other parameters held."""

    one_optimum: ClassVar[bool] = False
    """Whether with such a predictor the likelihood has one optimum at most also where the others are unknown constants:
    it is concave after a change of variables (Burridge, 1981, Journal of the Royal Statistical Society B 43, 41-45)."""

    one_optimum_censored: ClassVar[bool] = False
    """Whether it has so where only an interval is known that a response lies in."""

    title: ClassVar[str] = ""
    """What a summary calls a model of this family."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        caller = sys._getframe(1)
        parameters, known = dict(cls.parameters), list(cls.known)
        for name, kind in inspect.get_annotations(cls).items():
            if isinstance(kind, str):  # from __future__ import annotations
                if kind.startswith("ClassVar"):
                    continue
                try:
                    kind = eval(kind, vars(sys.modules[cls.__module__]), dict(caller.f_locals))
                except (NameError, AttributeError, SyntaxError, TypeError, ModelError) as error:
                    raise ModelError(f"{cls.__name__}.{name}: the annotation {kind!r} cannot be read.") from error
            if isinstance(kind, type) and issubclass(kind, Domain):
                try:
                    kind = kind()
                except TypeError:
                    raise ModelError(
                        f"{cls.__name__}.{name}: {kind.__name__} needs its settings, as in {kind.__name__}(...)."
                    ) from None
            if isinstance(kind, Domain):
                parameters[name] = kind
            elif kind is Known:
                known.append(name)
        cls.parameters, cls.known = MappingProxyType(parameters), tuple(known)
        jax.tree_util.register_pytree_node(
            cls, lambda d: (tuple(vars(d).values()), tuple(vars(d))), lambda names, v: _rebuilt(cls, names, v)
        )

    def __init__(self, *args: Any, **fields: Any) -> None:
        names = (*self.known, *self.parameters)
        given = dict(zip(names, args)) | fields
        if len(args) > len(names) or set(given) != set(names):
            raise ModelError(f"{type(self).__name__} takes {', '.join(names)}; got {', '.join(given) or 'nothing'}.")
        for name, value in given.items():
            scaled = isinstance(value, OnScale)
            setattr(self, name, value.value if scaled else value)
            if scaled:
                setattr(self, f"_{name}", value)

    # --- the parameters on other scales -------------------------------------------------------------------------------

    def log_of(self, name: str) -> Any:
        """The logarithm of a parameter, from its predictor where it has one."""
        scaled = getattr(self, f"_{name}", None)
        return jnp.log(getattr(self, name)) if scaled is None else scaled.log

    def log_complement_of(self, name: str) -> Any:
        """The logarithm of one minus a parameter, from its predictor where it has one."""
        scaled = getattr(self, f"_{name}", None)
        return jnp.log1p(-getattr(self, name)) if scaled is None else scaled.log_complement

    def log_of_outcome(self, name: str, success: Any) -> Any:
        """The logarithm of a parameter where `success`, else of one minus it."""
        scaled = getattr(self, f"_{name}", None)
        if scaled is None:
            return jnp.where(success, self.log_of(name), self.log_complement_of(name))
        return scaled.log_of_outcome(success)

    def replaced(self, **fields: Any) -> Distribution:
        """The distribution with other values of some parameters."""
        kept = {n: getattr(self, f"_{n}", None) or getattr(self, n) for n in (*self.known, *self.parameters)}
        return type(self)(**(kept | fields))

    # --- what a distribution knows ------------------------------------------------------------------------------------

    @abc.abstractmethod
    def log_prob(self, y: Any) -> Any:
        """The logarithm of the density or probability of `y`."""

    def expectation(self) -> Any:
        """The expectation (`mean` is the name of a parameter in many families)."""
        return numeric.expectation(self)

    def variance(self) -> Any:
        """The variance."""
        return numeric.variance(self)

    def cdf(self, y: Any) -> Any:
        """P(Y ≤ y)."""
        return jnp.exp(self.log_cdf(y))

    def log_cdf(self, y: Any) -> Any:
        """log P(Y ≤ y)."""
        return numeric.log_cdf(self, y)

    def log_survival(self, y: Any) -> Any:
        """log P(Y > y)."""
        return numeric.log_survival(self, y)

    def quantile(self, q: Any) -> Any:
        """The smallest value with P(Y ≤ value) ≥ q."""
        return numeric.quantile(self, q)

    def sample(self, key: jax.Array) -> Any:
        """One draw; by inversion where a class does not know better."""
        return self.quantile(jax.random.uniform(key, dtype=jnp.float64, minval=1e-15, maxval=1.0))

    def phi(self) -> Any:
        """The dispersion by which deviance and Pearson statistic are multiplied, as generalised linear models do."""
        return 1.0

    def saturated_log_prob(self, y: Any) -> Any:
        """The largest `log_prob(y)` over the first parameter, the others as they are: what a deviance compares with."""
        raise ModelError(f"{type(self).__name__} has no deviance: write its saturated_log_prob.")

    def expected_log_prob(self, truth: Any) -> Any:
        """E log_prob(Y) for Y from `truth`, a distribution of the same class: what expected information is made of."""
        raise ModelError(
            f"{type(self).__name__} has no expected information in closed form, which FisherScoring needs: take Newton."
        )

    # --- from weighted responses to estimates: an M-step in closed form ------------------------------------------------

    def sufficient(self, y: Any, r: Any) -> Any:
        """Sums over responses (..., rows) with weights `r` (rows,), from which `maximum` has the estimates.

        They may be taken about the distribution's own parameters, which costs no digits where these are near the end.
        """
        raise ModelError(f"{type(self).__name__} has no estimates in closed form.")

    def maximum(self, sums: Any) -> dict[str, Any]:
        """The parameters that maximise Σ r log_prob(y), by name, from what `sufficient` summed at this distribution."""
        raise ModelError(f"{type(self).__name__} has no estimates in closed form.")

    # --- before a fit: NumPy ------------------------------------------------------------------------------------------

    @classmethod
    def has(cls, method: str) -> bool:
        """Whether a method is written, and not the general one."""
        return getattr(cls, method) is not getattr(Distribution, method)

    @classmethod
    def encode(cls, data: Any, name: str, levels: tuple[Any, ...] | None) -> tuple[np.ndarray, tuple[Any, ...] | None]:
        """The response (n,) as numbers, and the levels that were counted from 0, where it has such (`levels` if known)."""
        return data.numeric(name, "the response"), None

    @classmethod
    def outside(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> np.ndarray:
        """For each response whether it is outside the support, whatever the parameters."""
        return ~cls.support.holds(y)

    @classmethod
    def degenerate(cls, y: np.ndarray, known: Mapping[str, np.ndarray]) -> str | None:
        """Why these responses have no maximum of the likelihood, whatever the predictors; None if they may have."""
        return None

    @classmethod
    def recession(
        cls, y: np.ndarray, known: Mapping[str, np.ndarray], levels: tuple[Any, ...] | None
    ) -> tuple[Cone, ...] | None:
        """The directions that these responses do not resist, see `cones`: what separation is found from.

        One entry or more for every row; a row without an entry resists nothing. None if it is not known.
        """
        return None

    @classmethod
    def starts(cls, y: np.ndarray, weights: np.ndarray, known: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Name → a value of the parameter from which a search will do; those left out start at their defaults."""
        return {}

    @classmethod
    def regression_starts(cls, y: np.ndarray, weights: np.ndarray, x: np.ndarray, offset: np.ndarray) -> dict[str, Any]:
        """Better starts where the first parameter is offset + x·β and the others are constants: its coefficients β (p,)
        and values of the others. Asked only of a class that writes it."""
        return {}

    @classmethod
    def heading(cls, params: Mapping[str, Any]) -> str:
        """What a summary calls a model with these parameters: a regression if one of them has a predictor."""
        name = cls.title.removesuffix(" regression")
        return f"{name} regression" if any(isinstance(p, Linear) for p in params.values()) else name

    @classmethod
    def default_link(cls, name: str) -> Link:
        """The link of a parameter that is given a formula."""
        return LINKS[cls.links[name]] if name in cls.links else cls.parameters[name].links()[0]


def _rebuilt(cls: type, names: tuple[str, ...], values: Any) -> Any:
    out = object.__new__(cls)
    vars(out).update(zip(names, values))
    return out


def weighted_mean(y: ArrayLike, weights: ArrayLike) -> float:
    """The mean of responses, for starts."""
    return float(np.average(y, weights=weights))


def weighted_variance(y: ArrayLike, weights: ArrayLike) -> float:
    """The variance of responses (divided by the sum of the weights), for starts; never zero."""
    mean = np.average(y, weights=weights)
    return float(max(np.average((np.asarray(y) - mean) ** 2, weights=weights), 1e-12 * max(1.0, mean**2)))
