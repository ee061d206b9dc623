"""What the generic tests ask of one family: everything compiled once, and sums over its support as ground truth."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmle import runtime
from jaxmle.declare.distributions.supports import Support

from .example import Example

FILES = ("examples_discrete", "examples_continuous", "examples_special")

ATOMS = {"Tweedie": (0.0,), "ZeroOneBeta": (0.0, 1.0)}
"""Families of numbers of which some have a probability."""

DRAWS = 20_000


def all_examples() -> list[Example]:
    """The examples of every file that is there."""
    out: list[Example] = []
    for name in FILES:
        if importlib.util.find_spec(f"{__package__}.{name}"):
            out += importlib.import_module(f"{__package__}.{name}").EXAMPLES
    return out


@dataclass(frozen=True)
class Nodes:
    """Points of the support in rising order with weights: a sum over them is a sum or integral over the support.

    `edges` are numbers between which whole panels of points lie: `first[i]` points are at or below edges[i]. `far` says
    at which log-probability a lower and an upper tail can be checked, `middle` are the quartiles where they were used.
    """

    y: np.ndarray
    weight: np.ndarray
    edges: np.ndarray
    first: np.ndarray
    far: tuple[float, float] = (-60.0, -60.0)
    middle: tuple[float, ...] = ()


class Probe:
    """One family at the parameters of its example."""

    def __init__(self, example: Example) -> None:
        self.example = example
        self.names = list(example.params)
        self.theta = np.array([float(v) for v in example.params.values()])
        self.known = {k: float(v) for k, v in example.known.items()}

    def make(self, theta: Any) -> Any:
        known = {k: jnp.asarray(v) for k, v in self.known.items()}
        return self.example.family(**known, **{n: theta[i] for i, n in enumerate(self.names)})

    # --- compiled -----------------------------------------------------------------------------------------------------

    @cached_property
    def _derivatives(self) -> Any:
        def of_one(theta: Any, y: Any) -> tuple:
            log_prob = lambda t: self.make(t).log_prob(y)
            gradient = jax.grad(log_prob)
            return log_prob(theta), gradient(theta), jax.jacfwd(gradient)(theta)

        return jax.jit(lambda theta, ys: jax.vmap(lambda y: of_one(theta, y))(ys))

    def derivatives(self, y: np.ndarray, theta: Any = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values (n,), gradients (n, m) and Hessians (n, m, m) of the log-density in the parameters."""
        y = np.asarray(y, np.float64)
        padded = np.concatenate([y, np.full(-len(y) % 256, y[0])]).reshape(-1, 256)
        theta = self.theta if theta is None else np.asarray(theta, np.float64)
        blocks = [runtime.call(self._derivatives, theta, block)[0] for block in padded]
        return tuple(np.concatenate(parts)[: len(y)] for parts in zip(*blocks))  # type: ignore[return-value]

    @cached_property
    def _statements(self) -> Any:
        def of_theta(theta: Any, ys: Any, qs: Any) -> dict:
            d = self.make(theta)
            tails = jax.vmap(lambda y: (d.log_cdf(y), d.log_survival(y)))(ys)
            return {
                "expectation": d.expectation(),
                "variance": d.variance(),
                "log_cdf": tails[0],
                "log_survival": tails[1],
                "quantile": jax.vmap(d.quantile)(qs),
            }

        return jax.jit(of_theta)

    def statements(self, y: Any, q: Any) -> dict[str, np.ndarray]:
        """Expectation, variance, and for up to four y and q the tails and quantiles."""
        y, q = np.asarray(y, np.float64), np.asarray(q, np.float64)
        ys, qs = (np.concatenate([v, np.full(4 - len(v), v[0])]) for v in (y, q))
        out = runtime.call(self._statements, self.theta, ys, qs)[0]
        out = {k: np.asarray(v) for k, v in out.items()}
        for name, n in (("log_cdf", len(y)), ("log_survival", len(y)), ("quantile", len(q))):
            out[name] = out[name][:n]
        return out

    @cached_property
    def _sample(self) -> Any:
        return jax.jit(lambda theta, keys: jax.vmap(self.make(theta).sample)(keys))

    def sample(self, seed: int, theta: Any = None) -> np.ndarray:
        """20,000 draws."""
        with runtime.x64():
            keys = jax.random.split(jax.random.key(seed), DRAWS)
        return np.asarray(runtime.call(self._sample, self.theta if theta is None else np.asarray(theta), keys)[0])

    # --- ground truth -------------------------------------------------------------------------------------------------

    @cached_property
    def nodes(self) -> Nodes:
        support, atoms = self.make(self.theta).support, ATOMS.get(self.example.id, ())
        if self.example.id == "VonMises":
            support = Support(self.theta[0] - np.pi, self.theta[0] + np.pi)  # the probabilities of angles start there
        if support.whole:
            low = int(max(support.low, 0))
            last = int(min(support.high, *self.known.values(), 2_000)) if self.known else int(min(support.high, 2_000))
            y = np.arange(low, last + 1.0)
            return Nodes(y, np.ones(len(y)), y, np.arange(1, len(y) + 1))
        if atoms:  # the middle half is that of what is not an atom
            quarter, middle, three = np.quantile(np.setdiff1d(self.sample(7), atoms), (0.25, 0.5, 0.75))
        else:
            quarter, middle, three = self.statements([float(self.example.grid[0])], (0.25, 0.5, 0.75))["quantile"]
        y, weight, edges = panels(support, quarter, middle, three)
        first = (np.arange(len(edges)) * (len(y) // (len(edges) - 1))).astype(int)
        below = [a for a in atoms if a < y[0]]
        above = [a for a in atoms if a > y[-1]]
        y = np.concatenate([below, y, above])
        weight = np.concatenate([np.ones(len(below)), weight, np.ones(len(above))])
        # towards an end other than zero numbers are too few
        far = tuple(-60.0 if end == 0 or np.isinf(end) else -12.0 for end in (support.low, support.high))
        return Nodes(y, weight, edges, first + len(below), far, (quarter, middle, three))

    @cached_property
    def truth(self) -> dict[str, np.ndarray]:
        """Log-probability, score and Hessian at the nodes, their probabilities, and moments."""
        log_p, score, hessian = self.derivatives(self.nodes.y)
        log_mass = log_p + np.log(self.nodes.weight)
        mass = np.where(log_mass > -700, np.exp(np.minimum(log_mass, 700.0)), 0.0)
        mean = mass @ self.nodes.y
        variance = mass @ (self.nodes.y - mean) ** 2
        some = mass > 0
        return {
            "log_mass": log_mass,
            "mass": mass,
            "score": np.where(some[:, None], score, 0.0),
            "hessian": np.where(some[:, None, None], hessian, 0.0),
            "expectation": mean,
            "variance": variance,
        }


def panels(support: Any, quarter: float, middle: float, three: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gauss-Legendre panels over an interval, stretched around its middle half; points, weights and edges."""
    low, high = support.low, support.high
    ts = np.sort(np.concatenate([np.linspace(-1, 1, 41), np.linspace(-9, 9, 49), np.linspace(-120, 120, 121)]))
    ts = ts[np.concatenate([[True], np.diff(ts) > 1e-9])]
    if np.isinf(low) and np.isinf(high):
        chart = lambda t: middle + (three - quarter) * np.sinh(t)
        slope = lambda t: (three - quarter) * np.cosh(t)
    elif np.isinf(high):
        chart = lambda t: low + (middle - low) * np.exp(t)
        slope = lambda t: (middle - low) * np.exp(t)
    elif np.isinf(low):
        raise NotImplementedError
    else:
        ts = ts[(ts < 34) & (ts > (-121 if low == 0 else -34))]  # no numbers are closer to 1
        odds = (middle - low) / (high - middle)
        chart = lambda t: low + (high - low) * odds / (odds + np.exp(-t))
        slope = lambda t: (high - low) * odds * np.exp(-t) / (odds + np.exp(-t)) ** 2
    nodes, weights = np.polynomial.legendre.leggauss(14)
    half = 0.5 * np.diff(ts)[:, None]
    t = (0.5 * (ts[1:] + ts[:-1])[:, None] + half * nodes).ravel()
    y, weight = chart(t), (half * weights).ravel() * slope(t)
    inside = (y > low) & (y < high)
    return np.where(inside, y, middle), np.where(inside, weight, 1e-300), chart(ts)
