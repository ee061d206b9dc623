"""Zero-inflated, hurdle and zero-and-one-inflated models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import DataError, ModelError, rows_in_words
from ..conditional import Bound, Data, on_scale
from ..cones import Cone, ends
from ..distributions.base import Distribution, weighted_mean
from ..distributions.inflated import Hurdle, ZeroInflated, ZeroOneInflated
from ..distributions.supports import CLOSED_UNIT, COUNT, Support
from ..model import Model, Parameter
from .around import Around, bound_on, is_free, numbers_of, with_parameters, wrapped


def zero_inflated(model: Model, zero: Any = None) -> Model:
    """A count that is zero with probability `zero`, else from the model, which has zeros of its own.

    P(0) = zero + (1 - zero) f(0) (Lambert, 1992, Technometrics 34, 1-14).

    Arguments:
        model: a model of counts, such as `jm.poisson("y ~ x")`.
        zero: the probability of a structural zero: a formula `"~ terms"` (logit link), a `Linear`, a domain, or a number
            that it is held at; a constant that is estimated by default.

    Returns:
        The model with one more parameter, `zero`.

    Raises:
        ModelError: for a model whose responses are not counts from 0 up.
    """
    conditional, support = wrapped(model, "zero_inflated")
    if not (support.whole and support.holds(np.zeros(1))[0]):
        continuous = not support.whole and support.low >= 0
        hint = " For positive numbers with zeros use hurdle." if continuous else ""
        raise ModelError(
            f"zero_inflated needs a model of counts that may be 0; the response of {model.title!r} is {support.words}."
            f"{hint}"
        )
    params = with_parameters(model, "zero_inflated", ZeroInflated, {"zero": zero})
    return Model(Inflation(conditional), params, name=f"{model.title}, zero-inflated", about=model.about)


def hurdle(model: Model, zero: Any = None) -> Model:
    """A response that is zero with probability `zero`, else from the model given that it is positive.

    (Mullahy, 1986, Journal of Econometrics 33, 341-365.) For counts the model is truncated at zero; models of positive
    numbers, such as `jm.gamma("y ~ x")`, stay as they are.

    Arguments:
        model: a model of counts or of positive numbers.
        zero: the probability of a zero, as in `zero_inflated`. Other software may model that of a positive response:
            its coefficients have the other sign.

    Returns:
        The model with one more parameter, `zero`.

    Raises:
        ModelError: for a model whose responses may be negative.
    """
    conditional, support = wrapped(model, "hurdle")
    if support.low < 0 or (support.whole and support.low > 0) or (not support.whole and support.closed[0]):
        raise ModelError(
            f"hurdle needs a model of counts from 0 up, or of positive numbers; the response of {model.title!r} is "
            f"{support.words}."
        )
    params = with_parameters(model, "hurdle", Hurdle, {"zero": zero})
    return Model(HurdleAt(conditional), params, name=f"{model.title}, hurdle at zero", about=model.about)


def zero_one_inflated(model: Model, zero: Any = None, one: Any = None) -> Model:
    """A share that is 0 with probability `zero`, 1 with probability `one`, else from the model on (0, 1).

    Arguments:
        model: a model of shares strictly between 0 and 1, such as `jm.beta("y ~ x")`.
        zero, one: the two probabilities, as in `zero_inflated`; they add up to less than one.

    Returns:
        The model with two more parameters, `zero` and `one`.

    Raises:
        ModelError: for a model whose responses are not between 0 and 1.
    """
    conditional, support = wrapped(model, "zero_one_inflated")
    if (support.low, support.high, *support.closed, support.whole) != (0.0, 1.0, False, False, False):
        raise ModelError(
            f"zero_one_inflated needs a model of numbers strictly between 0 and 1, such as beta; the response of "
            f"{model.title!r} is {support.words}."
        )
    params = with_parameters(model, "zero_one_inflated", ZeroOneInflated, {"zero": zero, "one": one})
    return Model(InflationAtEnds(conditional), params, name=f"{model.title}, zero-one-inflated", about=model.about)


@dataclass(frozen=True)
class Inflation(Around):
    """A zero-inflated count."""

    @property
    def support(self) -> Support:
        return COUNT

    def distribution(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        return ZeroInflated(inner=self.inner.distribution(p, row), zero=on_scale(p, "zero"))

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        everything = self.inner.bind(params, data, weights)
        y = everything.encoded[self.response[0]]
        positive = y > 0
        reason = everything.degenerate
        if positive.all() and is_free(params["zero"]):
            reason = "no response is 0: the likelihood grows as the probability of a structural zero goes to 0"
        starts: dict[str, Any] = dict(everything.starts)
        if positive.any() and not positive.all():
            starts = dict(bound_on(self.inner, params, data, weights, positive).starts)
            observed = weighted_mean(y == 0, weights)
            expected = np.exp(-weighted_mean(y[positive], weights[positive]))  # a Poisson count's
            starts["zero"] = float(np.clip((observed - expected) / (1 - expected), 0.05, 0.95))
        return replace(
            everything, conditional=replace(self, inner=everything.conditional), starts=starts, degenerate=reason
        )


@dataclass(frozen=True)
class HurdleAt(Around):
    """A response that is zero, or positive."""

    @property
    def support(self) -> Support:
        inner = self.inner.support
        assert inner is not None
        return COUNT if inner.whole else Support(0.0, closed=(True, False), words="zero or a positive number")

    def distribution(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        return Hurdle(inner=self.inner.distribution(p, row), zero=on_scale(p, "zero"))

    def recession(
        self, columns: Mapping[str, np.ndarray], groups: Sequence[np.ndarray] | None
    ) -> tuple[Cone, ...] | None:
        """Zeros and positive responses have parameters of their own, and so a part each.

        As a count's expectation goes to 0, a one that must be positive becomes certain, as a zero does among all counts.
        """
        y = columns[self.response[0]]
        parts = ends("zero", y > 0, y == 0, (0.0, 1.0))
        positive = np.flatnonzero(y > 0)
        if self.inner.support != COUNT:
            return parts
        less = {name: values[positive] for name, values in columns.items()}
        less[self.response[0]] = less[self.response[0]] - 1
        inner = self.inner.recession(less, None)
        return parts if inner is None else (*parts, *(cone.among(positive) for cone in inner))

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        y = numbers_of(self, data)
        positive = y != 0
        if not positive.any():
            what = f"all {len(y):,} responses are 0: nothing is known about those that are not"
            encoded = {self.response[0]: y}
            return Bound(self, params, encoded, {}, what)
        bound = bound_on(self.inner, params, data, weights, positive)
        reason = bound.degenerate
        if positive.all() and is_free(params["zero"]):
            reason = "no response is 0: the likelihood grows as the probability of a zero goes to 0"
        elif self.support.whole and reason is None and (y[positive] == 1).all():
            reason = "all positive responses are 1: the likelihood grows as the counts' expectation goes to 0"
        n = float(weights.sum())
        share = (weighted_mean(~positive, weights) * n + 0.5) / (n + 1.0)
        return replace(
            bound,
            conditional=replace(self, inner=bound.conditional),
            starts={**bound.starts, "zero": share},
            degenerate=reason,
        )


@dataclass(frozen=True)
class InflationAtEnds(Around):
    """A share that may be 0 or 1."""

    @property
    def support(self) -> Support:
        return CLOSED_UNIT

    def distribution(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        inner = self.inner.distribution(p, row)
        return ZeroOneInflated(inner=inner, zero=on_scale(p, "zero"), one=on_scale(p, "one"))

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        y = numbers_of(self, data)
        outside = ~((y >= 0) & (y <= 1))
        if outside.any():
            rows = np.flatnonzero(outside)
            raise DataError(
                f"Response {self.response[0]!r} has values outside 0 to 1 in {rows_in_words(data.numbered(rows))} "
                f"({', '.join(f'{v:g}' for v in y[rows[:5]])}). Mend or leave out these rows."
            )
        between = (y > 0) & (y < 1)
        if not between.any():
            what = f"all {len(y):,} responses are 0 or 1: nothing is known about those between"
            return Bound(self, params, {self.response[0]: y}, {}, what)
        bound = bound_on(self.inner, params, data, weights, between)
        reason = bound.degenerate
        n = float(weights.sum())
        starts = dict(bound.starts)
        for name, value in (("zero", 0.0), ("one", 1.0)):
            if not (y == value).any() and is_free(params[name]):
                reason = (
                    f"no response is {value:g}: the likelihood grows as its probability goes to 0; hold it there by "
                    f"{name}=1e-12"
                )
            starts[name] = (weighted_mean(y == value, weights) * n + 0.5) / (n + 1.5)
        conditional = replace(self, inner=bound.conditional)
        return replace(bound, conditional=conditional, starts=starts, degenerate=reason)
