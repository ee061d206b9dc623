"""Ordinal regression: a label among several that have an order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import DataError, ModelError
from ..conditional import Bound, Data, OneColumn
from ..cones import Cone, between_cutpoints
from ..distributions.base import Distribution
from ..distributions.labelled import ORDERED
from ..distributions.levels import encode_levels
from ..families import split_response
from ..matrices import Ordered
from ..model import Model, Parameter
from .slopes import slopes


def ordinal(response: str, *, link: str = "logit", location: Any = None, cutpoints: Any = None) -> Model:
    """Ordinal regression: P(Y <= k) = F(cutpoints[k] - x·β), F of the logistic, normal or complementary log-log form.

    Labels are in the order of the categories of the column, or sorted. The location has no constant term: the cutpoints
    take its place. With the logit link this is the proportional-odds model (McCullagh, 1980, Journal of the Royal
    Statistical Society B 42, 109-142).

    Arguments:
        response: `"response ~ terms"`, or the name of the response alone.
        link: "logit", "probit" or "cloglog".
        location: a formula `"~ terms"` or a `Linear`, in place of the terms above.
        cutpoints: an `Ordered` with a start or a prior, or increasing numbers that they are held at.

    Raises:
        ModelError: for names, formulas or links that make no sense.
    """
    names, terms = split_response(response)
    if len(names) != 1:
        raise ModelError(f"ordinal has one response, a column of labels; got {list(names)!r}.")
    if not isinstance(link, str) or link not in ORDERED:
        raise ModelError(f"ordinal has the links {', '.join(map(repr, ORDERED))}; got link={link!r}.")
    if terms is not None and location is not None:
        raise ModelError("'location' is predicted by the formula and given as an argument too: give one of them.")
    predictor = slopes(terms if location is None else location, "location", "ordinal")
    params: dict[str, Parameter] = {} if predictor is None else {"location": predictor}
    params["cutpoints"] = _cutpoints(cutpoints)
    conditional = OrderedLabels(names[0], link, predictor is not None)
    return Model(conditional, params, name=ORDERED[link].title, about=response.strip())


def _cutpoints(given: Any) -> Ordered:
    if given is None:
        return Ordered(1)  # as many as there are labels, less one: known when the data are
    if isinstance(given, Ordered) and not given.shape:
        return given
    if isinstance(given, Sequence | np.ndarray) and not isinstance(given, str) and len(given):
        return Ordered(len(given), fixed=given)
    raise ModelError(f"cutpoints of ordinal takes a jm.Ordered(k) or increasing numbers; got {given!r}.")


@dataclass(frozen=True)
class OrderedLabels(OneColumn):
    """A response that is a label with an order; `located` says whether there are predictors."""

    link: str
    located: bool
    levels: tuple[Any, ...] | None = None

    @property
    def coding(self) -> str:
        return "" if self.levels is None else " < ".join(map(str, self.levels[:10]))

    @property
    def kind(self) -> type[Distribution]:
        return ORDERED[self.link]

    def distribution(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        return ORDERED[self.link](cutpoints=p["cutpoints"], location=p["location"] if self.located else 0.0)

    def recession(
        self, columns: Mapping[str, np.ndarray], groups: Sequence[np.ndarray] | None
    ) -> tuple[Cone, ...] | None:
        assert self.levels is not None
        return between_cutpoints("location", "cutpoints", np.asarray(columns[self.name]), len(self.levels))

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        codes, levels = encode_levels(data, self.name, self.levels)
        if self.levels is not None:
            return Bound(self, params, {self.name: codes}, {})
        if not levels[1:]:
            raise DataError(
                f"Response {self.name!r} has one label, {levels[0]!r}, in all {len(codes):,} rows: there is nothing to "
                "tell apart."
            )
        given, k = params["cutpoints"], len(levels) - 1
        assert isinstance(given, Ordered)
        if given.k != k:
            if given != Ordered(1) or given.start is not None or given.fixed is not None:
                shown = ", ".join(map(repr, levels[:10]))
                raise ModelError(
                    f"cutpoints of {self.name!r} are {given.k}, but its {len(levels)} labels ({shown}) have {k} "
                    "cutpoints between them."
                )
            given = replace(given, k=k)
        counts = np.bincount(codes, weights, minlength=len(levels)) + 0.5
        share = np.cumsum(counts)[:-1] / counts.sum()
        starts = {"cutpoints": _QUANTILES[self.link](share)}
        bound_params = {**params, "cutpoints": given}
        return Bound(replace(self, levels=levels), bound_params, {self.name: codes}, starts)


def _normal_quantile(q: np.ndarray) -> np.ndarray:
    from scipy.special import ndtri

    return np.asarray(ndtri(q))


_QUANTILES = {
    "logit": lambda q: np.log(q / (1 - q)),
    "probit": _normal_quantile,
    "cloglog": lambda q: np.log(-np.log1p(-q)),
}
