"""A function as the steps that JAX traces it to: calls written out, equal steps joined, run in part, and some of them quicker."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import numpy as np

from .. import runtime
from ..errors import FitWarning
from ..numerics import factors, logarithms

Equation: TypeAlias = Any
"""One of JAX's own; the names of its types are in modules whose import adds to JAX's settings."""

QUICK = {**logarithms.QUICK, **factors.QUICK}
"""Steps of JAX's own, and quicker ones for numbers of 64 bits."""

LAPACK = frozenset({
    "cholesky", "eig", "eigh", "geqp3", "geqrf", "hessenberg", "householder_product", "lu", "qr", "schur", "svd",
    "triangular_solve", "tridiagonal", "tridiagonal_solve",
})  # fmt: skip
"""Steps that LAPACK does on a CPU, one matrix after another."""

CALLS = ("jit", "pjit", "closed_call")
"""Primitives that only call a function of traced steps; what else holds steps (loops, branches, own derivatives) is one."""


@dataclass(frozen=True, eq=False)
class Step:
    """One primitive applied to numbered values."""

    equation: Equation
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.equation.primitive.name

    @property
    def params(self) -> Mapping[str, Any]:
        return self.equation.params

    def apply(self, values: Sequence[Any]) -> Sequence[Any]:
        primitive = self.equation.primitive
        if primitive in QUICK and values[0].dtype == np.float64:
            return (QUICK[primitive](*values, **self.equation.params),)
        bound = primitive.get_bind_params(self.equation.params)
        functions, params = bound if isinstance(bound, tuple) else ((), bound)  # the first until jax 0.8
        with self.equation.ctx.manager:
            out = primitive.bind(*functions, *values, **params)
        return out if primitive.multiple_results else (out,)


@dataclass(frozen=True, eq=False)
class Steps:
    """A function as steps in order; values are numbered, `avals` are their shapes and types, `known` the constants."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    steps: tuple[Step, ...]
    known: Mapping[int, Any]
    avals: Sequence[Any]

    def needed(self, wanted: Collection[int], given: Collection[int]) -> list[Step]:
        """The steps that lead from given values to those wanted, and those that do more than compute."""
        missing, chosen = set(wanted) - set(given), []
        for step in reversed(self.steps):
            if step.equation.effects or not missing.isdisjoint(step.outputs):
                chosen.append(step)
                missing |= set(step.inputs) - set(given)
        return chosen[::-1]

    def run(self, wanted: Sequence[int], given: Mapping[int, Any]) -> list[Any]:
        """The values wanted, from given ones."""
        values = {**self.known, **given}
        for step in self.needed(wanted, given):
            values |= {
                i: v for i, v in zip(step.outputs, step.apply([values[i] for i in step.inputs])) if i not in given
            }
        return [values[i] for i in wanted]


class _Writer:
    """Writes steps down: calls in place, and one number for all values that equal steps make of equal values."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.known: dict[int, Any] = {}
        self.avals: list[Any] = []
        self._seen: dict[Any, tuple[int, ...]] = {}

    def new(self, aval: Any) -> int:
        self.avals.append(aval)
        return len(self.avals) - 1

    def constant(self, value: Any, aval: Any, key: Any) -> int:
        if key not in self._seen:
            self._seen[key] = (self.new(aval),)
            self.known[self._seen[key][0]] = value
        return self._seen[key][0]

    def write(self, closed: Any, inputs: Sequence[int]) -> list[int]:
        jaxpr = closed.jaxpr
        number = dict(zip(jaxpr.invars, inputs))
        for var, value in zip(jaxpr.constvars, closed.consts):
            number[var] = self.constant(value, var.aval, id(value))

        def of(atom: Any) -> int:
            if not hasattr(atom, "val"):  # a variable
                return number[atom]
            return self.constant(atom.val, atom.aval, (np.asarray(atom.val).tobytes(), str(atom.aval)))

        for equation in jaxpr.eqns:
            values = tuple(map(of, equation.invars))
            if equation.primitive.name in CALLS:
                inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
                outputs = self.write(inner, values)
            else:
                outputs = self._step(equation, values)
            number |= dict(zip(equation.outvars, outputs))
        return list(map(of, jaxpr.outvars))

    def _step(self, equation: Equation, inputs: tuple[int, ...]) -> tuple[int, ...]:
        key = (equation.primitive, inputs, tuple(sorted(equation.params.items(), key=lambda item: item[0])))
        try:
            known = None if equation.effects else self._seen.get(key)
        except TypeError:  # a setting that cannot be hashed
            key, known = object(), None
        if known is None:
            known = tuple(self.new(v.aval) for v in equation.outvars)
            self.steps.append(Step(equation, inputs, known))
            self._seen[key] = known
        return known


def like(tree: Any) -> Any:
    """The shapes and types of arrays."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), x.dtype), tree)


def written(f: Callable[..., Any], *arguments: Any) -> tuple[Steps, Any]:
    """The steps of a function of arrays, or of their shapes and types, and how what it returns is put together."""
    closed, out = jax.make_jaxpr(f, return_shape=True)(*arguments)
    writer = _Writer()
    inputs = [writer.new(v.aval) for v in closed.jaxpr.invars]
    outputs = writer.write(closed, inputs)
    steps = Steps(tuple(inputs), tuple(outputs), tuple(writer.steps), writer.known, writer.avals)
    return steps, jax.tree.structure(out)


def quickly(f: Callable[..., Any]) -> Callable[..., Any]:
    """The same function of arrays with quicker steps where there are any."""

    def run(*arguments: Any) -> Any:
        leaves = jax.tree.leaves(arguments)
        steps, tree = written(f, *like(arguments))
        if runtime.LAPACK_WAITS and jax.default_backend() == "cpu":
            _warn_of_waiting(steps)
        return jax.tree.unflatten(tree, steps.run(steps.outputs, dict(zip(steps.inputs, leaves))))

    return run


def _warn_of_waiting(steps: Steps) -> None:
    """Say that a density asks LAPACK for a matrix of its own for each unit, which may never end (docs/hazards.md)."""
    of_unit, asked = set(steps.inputs), set()
    for step in steps.steps:
        if not of_unit.isdisjoint(step.inputs):
            of_unit |= set(step.outputs)
            asked |= _lapack(step.equation) if step.equation.primitive not in QUICK else set()
    if asked:
        warnings.warn(
            f"The log-density asks LAPACK for a matrix of each unit ({', '.join(sorted(asked))}): with jaxlib "
            f"{runtime.JAXLIB} on a CPU such calls may wait for each other for ever. Cholesky's factors and triangular "
            "systems outside of loops do not (jnp.linalg.cholesky, jax.scipy.linalg.solve_triangular and cho_solve), nor "
            "does anything with jaxlib 0.9.2 or 0.11.2.",
            FitWarning,
            stacklevel=2,
        )


def _lapack(equation: Equation) -> set[str]:
    """What a step asks LAPACK for, by itself or in the loops, branches and calls that it is made of."""
    if equation.primitive.name == "custom_linear_solve":  # by factors that a step before it has made
        return set()
    inner = jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns"))
    found = {equation.primitive.name} & LAPACK
    return found.union(*(_lapack(e) for jaxpr in inner if hasattr(jaxpr, "eqns") for e in jaxpr.eqns))
