"""Hidden Markov models: a response of any family, whose parameters depend on a state that is not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import DataError, ModelError
from ..combinators.around import Some, bound_on
from ..combinators.mixture import Component, split
from ..conditional import Bound, Conditional, Data, conditional_of
from ..distributions.mixed import Mixed, common_support
from ..distributions.supports import Support
from ..domains import Domain
from ..linear import Linear
from ..matrices import Simplex
from ..model import Model, Parameter
from .dependent import Dependent, by_row, check_weights, in_order
from .forward import best_path, forward, smoothed, stationary
from .order import AGE, ages, column_or_none, order

INITIAL = ("stationary", "free")

STAY = 0.8
"""The chance to stay in a state that starts are drawn towards."""

OWN = 0.8
"""The share of its own responses in the start of a state's parameters, the rest being that of all responses: what is 0 or 1
among its own is not a start."""


def hidden_markov(
    model: Model,
    states: int = 2,
    *,
    initial: str = "stationary",
    transition: Any = None,
    time: str | None = None,
    series: str | None = None,
) -> Model:
    """A response whose parameters depend on a hidden state, which follows a Markov chain.

    The parameters in state i have the suffix `.i`; `transition[i,j]` is the chance to go from state i to state j. State 0
    starts from the smallest responses, and so on upwards. The likelihood is that of the forward algorithm (Baum et al.,
    1970; Zucchini, MacDonald and Langrock, 2016, Hidden Markov Models for Time Series). It has several maxima: look at what
    was found, and try `jm.MultiStart`.

    Arguments:
        model: the model in every state, of one family, such as `jm.poisson("y")` or `jm.normal("y ~ x")`.
        states: how many states there are, at least 2.
        initial: the distribution of the first state: "stationary", that of the chain itself, or "free", the parameter
            `initial`, which takes many series to estimate.
        transition: `Simplex(states, shape=(states,), ...)` with a start or a prior, or the matrix that it is held at.
        time: a column of numbers or dates, checked to go on in equal steps.
        series: a column that tells independent series of the same process apart; their rows are together.

    Returns:
        The model. `fit.predict(what="states")` has the chances of the states given all responses, `what="path"` the
        likeliest sequence of states; a missing response (NaN) is skipped exactly.

    Raises:
        ModelError: for models and arguments that make no sense.
    """
    if not isinstance(model, Model):
        raise ModelError(f"hidden_markov takes a model, such as jm.poisson('y'); got {model!r}.")
    k = order(states, 2, "hidden_markov", "states")
    if initial not in INITIAL:
        raise ModelError(f"hidden_markov has initial={' or '.join(map(repr, INITIAL))}; got {initial!r}.")
    inner = conditional_of(model, "hidden_markov")
    if model.unit != "row" or inner.outermost:
        raise ModelError(
            f"hidden_markov takes a model whose observation is a row and seen as it is; {model.title!r} is not."
        )
    params: dict[str, Parameter] = {f"{name}.{i}": p for i in range(k) for name, p in model.params.items()}
    params["transition"] = _transition(transition, k)
    if initial == "free":
        params["initial"] = Simplex(k)
    for name in ("transition", "initial"):
        if name in model.params:
            raise ModelError(f"hidden_markov adds a parameter {name!r}, which {model.title!r} has already.")
    chain = Hidden(
        series=column_or_none(series, "series", "hidden_markov"),
        time=column_or_none(time, "time", "hidden_markov"),
        states=(inner,) * k,
        predicted=tuple(name for name, p in params.items() if isinstance(p, Linear)),
        free=initial == "free",
    )
    return Model(chain, params, unit="all", name=f"Hidden Markov, {k} states: {model.title}", about=model.about)


def _transition(given: Any, k: int) -> Domain:
    if given is None:
        return Simplex(k, shape=(k,))
    if isinstance(given, Simplex) and given.k == k and given.batch == (k,):
        return given
    if isinstance(given, Domain | str):
        raise ModelError(
            f"transition of hidden_markov takes Simplex({k}, shape=({k},), ...) or a matrix; got {given!r}."
        )
    return Simplex(k, shape=(k,), fixed=given)


@dataclass(frozen=True)
class Hidden(Dependent):
    """A response from one of several conditional distributions, by a Markov chain.

    `predicted` are the parameters that differ from row to row; `free` says that the first state's distribution is a
    parameter.
    """

    states: tuple[Conditional, ...] = ()
    predicted: tuple[str, ...] = ()
    free: bool = False

    @property
    def response(self) -> tuple[str, ...]:
        return self.states[0].response

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.states[0].columns, *super().columns)))

    @property
    def optional(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.response, *self.states[0].optional)))

    @property
    def levels(self) -> tuple[Any, ...] | None:
        """The labels of the response, where it has such."""
        return getattr(self.states[0], "levels", None)

    @property
    def coding(self) -> str:
        return self.states[0].coding

    @property
    def support(self) -> Support | None:
        supports = [c.support for c in self.states]
        return None if any(s is None for s in supports) else common_support([s for s in supports if s is not None])

    def bind(self, params: Mapping[str, Parameter], data: Data, weights: np.ndarray) -> Bound:
        age = ages(data, self.series, self.time)
        check_weights(weights, age, data)
        seen = np.ones(data.n_rows, bool)
        for name in self.response:
            column = np.asarray(data.column(name, "the response"))
            if column.dtype.kind == "f":
                seen &= ~np.isnan(column).reshape(data.n_rows, -1).any(axis=1)
        if not seen.any():
            raise DataError(f"Response {self.response[0]!r} has no value that is not missing.")
        whole = [bound_on(c, Component(params, i), data, weights, seen) for i, c in enumerate(self.states)]
        encoded = dict(whole[0].encoded)
        read = lambda name: encoded[name] if name in encoded else data.numeric(name, "the response")
        y = np.stack([np.asarray(read(name), np.float64) for name in self.response], axis=1)
        k = len(self.states)
        part = np.full(data.n_rows, -1)
        part[seen] = split(y[seen], np.ones(int(seen.sum())), k)
        starts: dict[str, Any] = {}
        bound: dict[str, Parameter] = {}
        for i, of_all in enumerate(whole):
            begin = dict(of_all.starts)
            own = part == i
            if own.sum() > 1:
                some = Some(data, np.flatnonzero(own), {})
                alone = of_all.conditional.bind(Component(params, i), some, weights[own])
                begin |= {n: OWN * np.asarray(v) + (1 - OWN) * np.asarray(begin[n]) for n, v in alone.starts.items()}
            starts |= {f"{name}.{i}": value for name, value in begin.items()}
            bound |= {f"{name}.{i}": p for name, p in of_all.params.items()}
        starts["transition"] = _sticky(part, age, k)
        bound |= {name: params[name] for name in params if name not in bound}
        conditionals = tuple(b.conditional for b in whole)
        degenerate = whole[0].degenerate
        return Bound(replace(self, states=conditionals), bound, encoded | {AGE: age}, starts, degenerate)

    # --- what the chain and the responses are, from the parameters ----------------------------------------------------

    def chain(self, p: Any) -> tuple[Any, Any]:
        """The distribution (k,) of the first state, and the transition matrix (k, k)."""
        return (p["initial"] if self.free else stationary(p["transition"])), p["transition"]

    def seen(self, data: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
        """The columns with legal responses in place of those that are missing, and which rows (n,) have one."""
        columns = {name: data[name] for name in self.states[0].columns}
        seen = jnp.ones(data[AGE].shape[0], bool)
        for name in self.response:
            if jnp.issubdtype(columns[name].dtype, jnp.floating):
                seen &= ~jnp.isnan(columns[name])
        some = jnp.argmax(seen)
        return columns | {name: jnp.where(seen, columns[name], columns[name][some]) for name in self.response}, seen

    def log_densities(self, p: Any, data: Mapping[str, Any]) -> Any:
        """The log-density (n, k) of each response in each state, 0 where it is missing."""
        columns, seen = self.seen(data)
        each = lambda p, row: jnp.stack([c(Component(p, i), row) for i, c in enumerate(self.states)])
        return jnp.where(seen[:, None], by_row(each, p, self.predicted, columns, tuple(columns)), 0.0)

    def __call__(self, p: Any, data: Mapping[str, Any]) -> Any:  # type: ignore[override]
        return forward(self.log_densities(p, data), *self.chain(p), in_order(data) == 0)[0]

    def ahead(self, p: Any, data: Mapping[str, Any]) -> Mixed:
        _, chances = forward(self.log_densities(p, data), *self.chain(p), in_order(data) == 0)
        return Mixed(components=self.components(p, data), log_weights=jnp.log(chances))

    def components(self, p: Any, data: Mapping[str, Any]) -> tuple[Any, ...]:
        """The distribution of each row's response in each state: k distributions of arrays (n,)."""
        columns, _ = self.seen(data)
        each = lambda p, row: tuple(c.distribution(Component(p, i), row) for i, c in enumerate(self.states))
        return by_row(each, p, self.predicted, columns, tuple(columns))

    def state_chances(self, p: Any, data: Mapping[str, Any]) -> Any:
        """The chances (n, k) of the states given all responses."""
        return smoothed(self.log_densities(p, data), *self.chain(p), in_order(data) == 0)

    def path(self, p: Any, data: Mapping[str, Any]) -> Any:
        """The likeliest sequence of states (n,)."""
        return best_path(self.log_densities(p, data), *self.chain(p), in_order(data) == 0)

    def in_order(self, params: Mapping[str, Parameter], theta: Mapping[str, Any]) -> dict[str, Any] | None:
        """The same distribution with the states in the order of their first parameters; None if they are, or not alike.

        Arguments:
            params: their declarations; states whose declarations differ are not alike.
            theta: all parameters on the natural scale, a `Linear` by its coefficients.
        """
        own = [Component(params, i) for i in range(len(self.states))]
        if any(o != own[0] or any(o[n].prior is not own[0][n].prior for n in o) for o in own):
            return None
        first = next(iter(own[0]))
        order = sorted(range(len(own)), key=lambda i: tuple(np.ravel(theta[f"{first}.{i}"]).tolist()))
        if order == list(range(len(own))):
            return None
        moved = {f"{name}.{i}": theta[f"{name}.{j}"] for i, j in enumerate(order) for name in own[0]}
        moved["transition"] = np.asarray(theta["transition"])[np.ix_(order, order)]
        if self.free:
            moved["initial"] = np.asarray(theta["initial"])[order]
        return {**theta, **moved}

    def simulated(self, p: Any, data: Mapping[str, Any], keys: jax.Array) -> Any:
        start, transition = self.chain(p)
        both = jax.vmap(lambda k: jax.random.split(k))(keys)

        def step(state: Any, row: Any) -> Any:
            key, is_first = row
            chances = jnp.where(is_first, start, transition[state])
            state = jax.random.categorical(key, jnp.log(chances))
            return state, state

        _, path = jax.lax.scan(step, jnp.zeros((), int), (both[:, 0], in_order(data) == 0))
        drawn = jax.vmap(lambda ds, k: jnp.stack([jnp.asarray(d.sample(k), jnp.float64) for d in ds]))
        draws = drawn(self.components(p, data), both[:, 1])
        return jnp.take_along_axis(draws, path.reshape(-1, *[1] * (draws.ndim - 1)), axis=1)[:, 0]


def _sticky(part: np.ndarray, age: np.ndarray, k: int) -> np.ndarray:
    """A transition matrix (k, k) to start from: half what a split of the responses does, half a chain that stays."""
    stays = np.where(np.eye(k) > 0, STAY, (1 - STAY) / (k - 1))
    follow = (age[1:] > 0) & (part[1:] >= 0) & (part[:-1] >= 0)
    counts = np.zeros((k, k))
    np.add.at(counts, (part[:-1][follow], part[1:][follow]), 1.0)
    counts = counts + stays
    return 0.5 * stays + 0.5 * counts / counts.sum(axis=1, keepdims=True)
