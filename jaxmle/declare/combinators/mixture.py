"""Finite mixtures of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...errors import ModelError
from ...numerics import log_softmax
from ..conditional import Bound, Conditional, Data, conditional_of
from ..distributions.base import TINY, Distribution, OnScale
from ..distributions.mixed import Mixed, common_support
from ..distributions.supports import Support
from ..linear import Linear
from ..matrices import Simplex
from ..model import Model, Parameter
from .around import bound_on
from .splits import random_groups, random_split, split

FEW_ROWS = 6
"""Rows that a component starts from where they are drawn at random."""


def mixture(model: Model | Sequence[Model], components: int | None = None, weights: Any = None) -> Model:
    """A response from one of several models, which one is not known.

    The parameters of component i have the suffix `.i`; `weight.i` is its share. Components that are alike are in the order
    of their first parameters. The likelihood has several maxima, and where a component may close in on one response it has
    no largest: `fit` takes the best of ten starts of EM, and drops those that close in (`jm.EM(starts=50)` takes more).

    Arguments:
        model: the model of every component, which is then repeated, or a list with one model for each.
        components: how many components there are, at least 2; not given with a list.
        weights: a formula `"~ terms"` or a `Linear` for the shares, by multinomial logit: coefficients of component i
            against the first are `weight.i[term]`.

    Returns:
        The model.

    Raises:
        ModelError: for models of different responses, or fewer than two components.
    """
    models = _components(model, components)
    inner = tuple(conditional_of(m, "mixture") for m in models)
    first = inner[0]
    for m, conditional in zip(models, inner):
        if m.unit != "row" or conditional.outermost:
            raise ModelError(
                f"mixture goes inside: {m.title!r} says how responses are seen, so it is the last step, as in "
                "censored(mixture(...), event=...)."
            )
        if conditional.response != first.response:
            raise ModelError(
                f"mixture needs models of one response; got {first.response[0]!r} and {conditional.response[0]!r}."
            )
    params: dict[str, Parameter] = {}
    for i, m in enumerate(models):
        params |= {f"{name}.{i}": p for name, p in m.params.items()}
    k = len(models)
    shares: dict[str, Parameter]
    if weights is None:
        shares = {"weight": Shares(k)}
    else:
        if isinstance(weights, str) and weights.lstrip().startswith("~"):
            weights = Linear(weights)
        if not isinstance(weights, Linear) or weights.link.name != "identity":
            raise ModelError(
                f"mixture: weights takes a formula '~ terms' or a Linear with the identity link, for the logits of the "
                f"shares; got {weights!r}."
            )
        shares = {f"weight.{i}": replace(weights, shape=()) for i in range(1, k)}
    if both := [name for name in shares if name in params]:
        raise ModelError(f"mixture adds a parameter {both[0]!r}, which the models have already.")
    titles = list(dict.fromkeys(m.title for m in models))
    name = f"Mixture of {k}: {', '.join(titles)}"
    return Model(Mixing(inner, weights is not None), params | shares, name=name, about=models[0].about)


def _components(model: Any, components: Any) -> tuple[Model, ...]:
    if isinstance(model, Model):
        whole = isinstance(components, int | np.integer) and not isinstance(components, bool)
        if not whole or components < 2:
            raise ModelError(f"mixture needs components= to be a whole number of at least 2; got {components!r}.")
        return (model,) * int(components)
    if not isinstance(model, Sequence) or isinstance(model, str) or not all(isinstance(m, Model) for m in model):
        raise ModelError(f"mixture takes a model or a list of models; got {model!r}.")
    if len(model) < 2 or components not in (None, len(model)):
        raise ModelError(f"mixture got {len(model)} model(s) and components={components!r}; a list has one for each.")
    return tuple(model)


@dataclass(frozen=True)
class Shares(Simplex):
    """The shares of the components, named `weight.0`, `weight.1`, ... like their other parameters."""

    def labels(self) -> tuple[str, ...]:
        return tuple(f".{i}" for i in range(self.k))


class Component(dict):
    """The parameters of one component by the names that its model gives them."""

    def __init__(self, p: Mapping[str, Any], number: int) -> None:
        suffix = f".{number}"
        own = lambda values: {k.removesuffix(suffix): v for k, v in values.items() if k.endswith(suffix)}
        super().__init__(own(p))
        self.scales: dict[str, OnScale] = own(getattr(p, "scales", None) or {})


@dataclass(frozen=True)
class Mixing(Conditional):
    """A response that is from one of several conditional distributions; `predicted` shares have logits of their own."""

    components: tuple[Conditional, ...]
    predicted: bool = False

    @property
    def response(self) -> tuple[str, ...]:
        return self.components[0].response

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for c in self.components for name in c.columns))

    @property
    def optional(self) -> tuple[str, ...]:
        wanted = {name for c in self.components for name in c.columns if name not in c.optional}
        return tuple(dict.fromkeys(n for c in self.components for n in c.optional if n not in wanted))

    @property
    def levels(self) -> tuple[Any, ...] | None:
        """The labels of the response, where it has such."""
        return getattr(self.components[0], "levels", None)

    @property
    def support(self) -> Support | None:
        supports = [c.support for c in self.components]
        return None if any(s is None for s in supports) else common_support([s for s in supports if s is not None])

    @property
    def first_parameters(self) -> tuple[str, ...]:
        """The first parameter of each component of one family."""
        kinds = enumerate(c.kind for c in self.components)
        return tuple(f"{next(iter(kind.parameters))}.{i}" for i, kind in kinds if kind is not None)

    def _shares(self) -> tuple[str, ...]:
        """The names of the parameters of the shares."""
        return tuple(f"weight.{i}" for i in range(1, len(self.components))) if self.predicted else ("weight",)

    def distribution(self, p: Any, row: Mapping[str, Any]) -> Distribution:
        components = tuple(c.distribution(Component(p, i), row) for i, c in enumerate(self.components))
        if self.predicted:
            logits = [jnp.zeros(())] + [p[name] for name in self._shares()]
            return Mixed(components=components, log_weights=log_softmax(jnp.stack(logits)))
        return Mixed(components=components, log_weights=jnp.log(p["weight"]))

    # --- the complete data: from which component a response is ---------------------------------------------------------

    def parts(self, p: Any, row: Mapping[str, Any]) -> tuple[Any, Any]:
        """The logarithms of the share and of the density of the row's response, of each component, shape (k,) each."""
        mixed = self.distribution(p, row)
        assert isinstance(mixed, Mixed)
        return mixed.parts(self.observed(row))

    @property
    def continuous(self) -> bool:
        """Whether a component can close in on one response, its density there without limit."""
        return self.support is None or not self.support.whole

    def closed(self, free: frozenset[str]) -> tuple[str, ...]:
        """The parameters, among those that are one number or array `free` in all rows, with an M-step in closed form."""
        names = []
        for i, c in enumerate(self.components):
            own = [] if c.kind is None else [f"{name}.{i}" for name in c.kind.parameters]
            if c.kind is not None and c.kind.has("sufficient") and free.issuperset(own):
                names += own
        return (*names, *(name for name in ("weight",) if name in free and not self.predicted))

    def sums(self, p: Mapping[str, Any], columns: Mapping[str, Any], r: Any, names: tuple[str, ...]) -> Any:
        """What `maxima` of the parameters `names` is made of, summed over the rows of a chunk.

        Arguments:
            p: the parameters on their natural scale.
            columns: of the chunk, rows last.
            r: the weighted probability of each component for each row, shape (k, rows).
        """
        y = self.observed(columns)
        each = {}
        for i, c in enumerate(self.components):
            if c.kind is not None and f"{next(iter(c.kind.parameters))}.{i}" in names:
                each[str(i)] = c.distribution(Component(p, i), columns).sufficient(y, r[i])
        return each

    def maxima(self, p: Mapping[str, Any], total: Any, sums: Any) -> dict[str, Any]:
        """The parameters at the maximum of the expected log-likelihood of the complete data, those with a closed form.

        Arguments:
            p: the parameters at which the expectation was taken.
            total: the sum of the probabilities of each component, shape (k,).
            sums: what `sums` gives, of all rows.
        """
        out: dict[str, Any] = {"weight": jnp.maximum(total / total.sum(), TINY)}
        for i, c in enumerate(self.components):
            if str(i) in sums:
                own = c.distribution(Component(p, i), dict.fromkeys(c.columns, 0.0)).maximum(sums[str(i)])
                out |= {f"{name}.{i}": jnp.where(total[i] > TINY, x, p[f"{name}.{i}"]) for name, x in own.items()}
        return out

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        everything = [c.bind(Component(params, i), data, weights) for i, c in enumerate(self.components)]
        first = everything[0]
        read = lambda name: first.encoded[name] if name in first.encoded else data.numeric(name, "the response")
        y = np.stack([np.asarray(read(name), np.float64) for name in self.response], axis=1)
        k = len(self.components)

        def starts(part: np.ndarray) -> dict[str, Any]:
            """Starts of all parameters, each component's from the rows of its part."""
            out: dict[str, Any] = {}
            for i, bound in enumerate(everything):
                begin, own = dict(bound.starts), part == i
                if weights[own].sum() > 0 and not own.all():
                    alone = bound_on(bound.conditional, Component(params, i), data, weights, own)
                    begin = dict(alone.starts) if alone.degenerate is None else begin
                out |= {f"{name}.{i}": value for name, value in begin.items()}
            return out | self._starts_of_shares(np.array([weights[part == i].sum() for i in range(k)]))

        def scattered(n: int, key: int) -> list[Mapping[str, Any]]:
            out, rng = [], np.random.default_rng(key)
            for i in range(n):
                if i % 2:
                    part = random_groups(weights, k, FEW_ROWS, rng)
                else:  # any component may be the lowest: they are of several families perhaps
                    names = rng.permutation(k) if i else np.arange(k)[::-1]
                    part = names[random_split(y, weights, k, rng)]
                out.append(starts(part))
            return out

        bound_params: dict[str, Parameter] = {}
        encoded = {}
        for i, bound in enumerate(everything):
            bound_params |= {f"{name}.{i}": p for name, p in bound.params.items()}
            encoded |= bound.encoded
        n, k = np.count_nonzero(weights), len(self.components)
        too_few = f"{n} responses cannot be of {k} components" if n < k else None
        return Bound(
            replace(self, components=tuple(b.conditional for b in everything)),
            bound_params | {name: params[name] for name in self._shares()},
            encoded,
            starts(split(y, weights, k)),
            next((b.degenerate for b in everything if b.degenerate is not None), too_few),
            scattered,
        )

    def _starts_of_shares(self, totals: np.ndarray) -> dict[str, Any]:
        """The parameters of the shares where the components have these weights, but none less than 2 %."""
        shares = np.maximum(totals / totals.sum(), 0.02)
        if self.predicted:
            return dict(zip(self._shares(), np.log(shares[1:] / shares[0]).tolist()))
        return {"weight": shares / shares.sum()}

    # --- the order of the components ------------------------------------------------------------------------------------

    def in_order(self, params: Mapping[str, Parameter], theta: Mapping[str, Any]) -> dict[str, Any] | None:
        """The same distribution with alike components in the order of their first parameters; None if they are.

        Arguments:
            params: their declarations; components whose declarations differ are not alike.
            theta: all parameters on the natural scale, a `Linear` by its coefficients.
        """
        inner = {name: p for name, p in params.items() if name not in self._shares()}
        own = [Component(inner, i) for i in range(len(self.components))]
        alike = lambda i, j: (
            self.components[i] == self.components[j]
            and own[i] == own[j]
            and all(own[i][name].prior is own[j][name].prior for name in own[i])
        )
        first = lambda i: tuple(np.ravel(theta[f"{next(iter(own[i]))}.{i}"]).tolist())
        order = np.arange(len(own))
        for i in range(len(own)):
            group = [j for j in range(len(own)) if alike(i, j)]
            order[group] = sorted(group, key=first)
        if (order == np.arange(len(own))).all():
            return None
        out = dict(theta)
        for i, j in enumerate(order):
            out |= {f"{name}.{i}": theta[f"{name}.{j}"] for name in own[i]}
        if not self.predicted:
            return out | {"weight": np.asarray(theta["weight"])[order]}
        logits = [np.zeros_like(theta[self._shares()[0]]), *(theta[name] for name in self._shares())]
        return out | {name: logits[order[i + 1]] - logits[order[0]] for i, name in enumerate(self._shares())}
