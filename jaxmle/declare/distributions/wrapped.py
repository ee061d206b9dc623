"""Distributions of other packages, such as numpyro and TensorFlow Probability, as ours."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp

from ...errors import ModelError, did_you_mean
from ..domains import Domain, Positive, Real, UnitInterval
from .base import Distribution
from .supports import BINARY, COUNT, NONNEGATIVE, POSITIVE, REAL, UNIT, Support

DOMAINS: dict[str, Callable[[], Domain]] = {
    "Real": Real, "Positive": Positive, "Nonnegative": Positive, "UnitInterval": UnitInterval,
    "GreaterThanEq(lower_bound=0.0)": Positive, "GreaterThan(lower_bound=0.0)": Positive, "OpenInterval": UnitInterval,
}  # fmt: skip
"""Constraints of numpyro, by the beginning of how they print, as domains."""

SUPPORTS = {
    "Real": REAL, "Positive": POSITIVE, "Nonnegative": NONNEGATIVE, "UnitInterval": UNIT, "Boolean": BINARY,
    "IntegerNonnegative": COUNT,
}  # fmt: skip


def wrap(
    distribution: Any, predicts: str | None = None, support: Support | None = None, **domains: Domain
) -> type[Distribution]:
    """A distribution class of another package as a `Distribution`, for `jm.family`.

    ```python
    gumbel = jm.family(jm.wrap(numpyro.distributions.Gumbel))
    levy = jm.family(jm.wrap(tfd.Moyal, loc=jm.Real(), scale=jm.Positive()))
    ```

    Arguments:
        distribution: a class, or a function of the parameters by name, whose instances have `log_prob`; what else they
            have of `mean`, `variance`, `cdf`, `icdf` or `quantile`, and `sample`, is used.
        predicts: the parameter that a formula predicts; default the first.
        support: which responses are legal; default numpyro's own, else any number.
        domains: the parameters and their domains; needless where numpyro's `arg_constraints` tell.

    Raises:
        ModelError: if a parameter's domain is unknown, or `predicts` is no parameter.
    """
    name = getattr(distribution, "__name__", type(distribution).__name__)
    if not callable(distribution):
        raise ModelError(f"wrap takes a class of distributions or a function that makes one; got {distribution!r}.")
    known = domains or _from_constraints(distribution, name)
    if predicts is not None:
        if predicts not in known:
            raise ModelError(f"wrap: {name} has no parameter {predicts!r}.{did_you_mean(predicts, known)}")
        known = {predicts: known[predicts]} | known
    kind = type(name, (_Wrapped,), {"__module__": __name__, "__doc__": inspect.getdoc(distribution)})
    kind.parameters = MappingProxyType(dict(known))
    kind.make = staticmethod(distribution)  # type: ignore[attr-defined]
    kind.support = support or _first(SUPPORTS, str(getattr(distribution, "support", ""))) or REAL
    kind.title = name
    return kind


def _from_constraints(distribution: Any, name: str) -> dict[str, Domain]:
    constraints = getattr(distribution, "arg_constraints", None)
    if not isinstance(constraints, dict):
        raise ModelError(f"wrap: give the domains of {name}'s parameters, such as loc=jm.Real(), scale=jm.Positive().")
    domains = {}
    for parameter, constraint in constraints.items():
        made = _first(DOMAINS, str(constraint))
        if made is None:
            raise ModelError(f"wrap: the domain of {name}'s {parameter!r}, {constraint}, is unknown: give all domains.")
        domains[parameter] = made()
    return domains


def _first(table: dict[str, Any], text: str) -> Any:
    return next((value for start, value in table.items() if text.startswith(start)), None)


class _Wrapped(Distribution):
    """An instance of the other package's distribution, made anew wherever one is asked something."""

    make: Any = None

    def _inner(self) -> Any:
        return type(self).make(**{name: getattr(self, name) for name in self.parameters})

    def _ask(self, names: tuple[str, ...], otherwise: Callable[[], Any], *args: Any) -> Any:
        """What the inner distribution says, by the first of these attributes that it has written."""
        inner = self._inner()
        for name in names:
            found = getattr(inner, name, None)
            try:
                if found is not None:
                    return jnp.asarray(found(*args) if callable(found) else found)
            except NotImplementedError:
                continue
        return otherwise()

    def log_prob(self, y: Any) -> Any:
        return self._inner().log_prob(y)

    def expectation(self) -> Any:
        return self._ask(("mean",), lambda: Distribution.expectation(self))

    def variance(self) -> Any:
        return self._ask(("variance",), lambda: Distribution.variance(self))

    def log_cdf(self, y: Any) -> Any:
        def from_cdf() -> Any:
            return jnp.log(self._ask(("cdf",), lambda: jnp.exp(Distribution.log_cdf(self, y)), y))

        return self._ask(("log_cdf",), from_cdf, y)

    def quantile(self, q: Any) -> Any:
        return self._ask(("icdf", "quantile"), lambda: Distribution.quantile(self, q), q)

    def sample(self, key: jax.Array) -> Any:
        inner = self._inner()
        takes = inspect.signature(inner.sample).parameters
        return inner.sample(seed=key) if "seed" in takes else inner.sample(key)
