"""A function as the steps that JAX traces it to: calls written out, equal steps joined, run in part, and some of them quicker."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.interpreters import ad, batching, mlir

from .. import runtime
from ..numerics import factors, logarithms

Equation: TypeAlias = Any
"""One of JAX's own; the names of its types are in modules whose import adds to JAX's settings."""

QUICK = {**logarithms.QUICK, **factors.QUICK}
"""Steps of JAX's own, and quicker ones for numbers of 64 bits."""

LAPACK: Mapping[str, int] = MappingProxyType(
    dict.fromkeys(
        ("cholesky", "eig", "eigh", "geqp3", "geqrf", "hessenberg", "householder_product", "lu", "qr", "schur", "svd"),
        2,
    )
    | {"triangular_solve": 2, "tridiagonal": 2, "tridiagonal_solve": 1}
)
"""Steps that LAPACK does on a CPU, one matrix after another, and the dimensions of the first array that one takes."""

CALLS = ("jit", "pjit", "closed_call")
"""Primitives that only call a function of traced steps; what else holds steps (loops, branches, own derivatives) is one."""

LOOPS = ("scan", "while", "cond", "custom_linear_solve")
"""Primitives made of traced functions, for which others of the same inputs and outputs may stand."""


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
        equation, primitive = self.equation, self.equation.primitive
        if _has_quicker(equation):
            out = QUICK[primitive](*values, **equation.params)
        elif _is_for_one(equation):
            out = _one_by_one(equation, values)
        else:
            out = _bound(equation, values)
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
            if equation.primitive.name in CALLS or _is_determinant(equation):
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
            self.steps.append(Step(_with_quicker(equation), inputs, known))
            self._seen[key] = known
        return known

    def written(self, closed: Any) -> Steps:
        """All of a traced function."""
        inputs = [self.new(v.aval) for v in closed.jaxpr.invars]
        outputs = self.write(closed, inputs)
        return Steps(tuple(inputs), tuple(outputs), tuple(self.steps), self.known, self.avals)


# --- quicker ones ---------------------------------------------------------------------------------------------------------


def _bound(equation: Equation, values: Sequence[Any]) -> Any:
    """What a primitive makes of values."""
    bound = equation.primitive.get_bind_params(equation.params)
    functions, params = bound if isinstance(bound, tuple) else ((), bound)  # the first until jax 0.8
    with equation.ctx.manager:
        return equation.primitive.bind(*functions, *values, **params)


def _is_traced(x: Any) -> bool:
    return hasattr(x, "eqns") and hasattr(x, "consts")


def _inside(equation: Equation) -> list[Any]:
    """The traced functions that a step is made of: of a loop, a branch, a call."""
    return [x for x in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_traced) if _is_traced(x)]


def _all_inside(equation: Equation) -> Iterator[Equation]:
    """The steps of the loops, branches and calls that a step is made of."""
    for closed in _inside(equation):
        for inner in closed.eqns:
            yield inner
            yield from _all_inside(inner)


def _has_quicker(equation: Equation) -> bool:
    return equation.primitive in QUICK and equation.invars[0].aval.dtype == np.float64


def _is_determinant(equation: Equation) -> bool:
    """Whether a function with derivatives of its own takes LU factors: its steps' derivatives are as good."""
    own = equation.primitive.name == "custom_jvp_call"
    return own and any(e.primitive is lax.linalg.lu_p and _has_quicker(e) for e in _all_inside(equation))


def _asks_lapack(equation: Equation) -> bool:
    """Whether LAPACK is called, where calls for many matrices may wait for each other for ever (docs/hazards.md)."""
    asks = equation.primitive.name in LAPACK and not _has_quicker(equation)
    return asks and runtime.LAPACK_WAITS and jax.default_backend() == "cpu"


def _is_for_one(equation: Equation) -> bool:
    """Whether a step must be done for one unit after another: it asks LAPACK, also by what cannot be written anew."""
    name = equation.primitive.name
    return _asks_lapack(equation) or (name not in (*CALLS, *LOOPS) and any(map(_asks_lapack, _all_inside(equation))))


def _one_by_one(equation: Equation, values: Sequence[Any]) -> Any:
    """What a primitive makes of values, of one unit and one matrix after another."""
    values = tuple(map(jnp.asarray, values))
    if values[0].ndim > LAPACK.get(equation.primitive.name, np.inf):
        return lax.map(lambda one: _one_by_one(equation, one), values)
    of = jax.make_jaxpr(lambda *values: _bound(equation, values))(*like(values))
    out = ALONE.bind(*values, of=of)
    return out if equation.primitive.multiple_results else out[0]


def _run(*values: Any, of: Any) -> Sequence[Any]:
    (equation,) = of.eqns
    out = _bound(equation, values)
    return out if equation.primitive.multiple_results else (out,)


def _mapped(values: tuple, axes: tuple, *, of: Any) -> tuple[list[Any], list[int]]:
    """One unit after another."""
    several = tuple(jnp.moveaxis(x, axis, 0) for x, axis in zip(values, axes) if axis is not None)

    def of_one(several: tuple) -> list[Any]:
        those = iter(several)
        return ALONE.bind(*(x if axis is None else next(those) for x, axis in zip(values, axes)), of=of)

    out = lax.map(of_one, several)
    return out, [0] * len(out)


ALONE = type(lax.log_p)("one_by_one")
"""One traced step `of` arrays, which `vmap` turns into a loop over units."""
ALONE.multiple_results = True
ALONE.def_impl(_run)
ALONE.def_abstract_eval(lambda *_, of: of.out_avals)
mlir.register_lowering(ALONE, mlir.lower_fun(_run, multiple_results=True))
ad.primitive_jvps[ALONE] = lambda values, slopes, of: jax.jvp(
    partial(_run, of=of), values, tuple(map(ad.instantiate_zeros, slopes))
)
batching.primitive_batchers[ALONE] = _mapped


def _with_quicker(equation: Equation) -> Equation:
    """A loop, a branch or a solution of a linear system, made of steps that are quicker or for one unit."""
    if equation.primitive.name not in LOOPS or not any(
        _has_quicker(e) or _is_for_one(e) for e in _all_inside(equation)
    ):
        return equation

    def quicker(inner: Any) -> Any:
        if not _is_traced(inner):
            return inner
        steps = _Writer().written(inner)
        return jax.make_jaxpr(lambda *values: steps.run(steps.outputs, dict(zip(steps.inputs, values))))(
            *inner.in_avals
        )

    params = jax.tree.map(quicker, equation.params, is_leaf=_is_traced)
    return equation.replace(params=params)


def like(tree: Any) -> Any:
    """The shapes and types of arrays."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), x.dtype), tree)


def written(f: Callable[..., Any], *arguments: Any) -> tuple[Steps, Any]:
    """The steps of a function of arrays, or of their shapes and types, and how what it returns is put together."""
    closed, out = jax.make_jaxpr(f, return_shape=True)(*arguments)
    return _Writer().written(closed), jax.tree.structure(out)


def quickly(f: Callable[..., Any]) -> Callable[..., Any]:
    """The same function of arrays with quicker steps where there are any."""

    def run(*arguments: Any) -> Any:
        leaves = jax.tree.leaves(arguments)
        steps, tree = written(f, *like(arguments))
        return jax.tree.unflatten(tree, steps.run(steps.outputs, dict(zip(steps.inputs, leaves))))

    return run
