"""Hypotheses as people write them: `"age = income, C(site)[B] = 0"`, `"age / income = 2"`, `"exp(age) = 1.5"`.

A text is read into a small tree of its own, never run as code. Trees are tuples: `("+", a, b)`, `("exp", a)`,
`("coefficient", number)`, `("number", value)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..errors import ModelError, did_you_mean

NUMBER = re.compile(r"\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?")

QUOTES = "`'\""

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": jnp.exp,
    "log": jnp.log,
    "expm1": jnp.expm1,
    "log1p": jnp.log1p,
    "sqrt": jnp.sqrt,
    "expit": jax.nn.sigmoid,
    "logit": lambda p: jnp.log(p) - jnp.log1p(-p),
    "sin": jnp.sin,
    "cos": jnp.cos,
    "tanh": jnp.tanh,
}

OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "^": lambda a, b: a**b,
}

Tree = tuple


@dataclass(frozen=True)
class Expressions:
    """Functions of the coefficients, one for each tree; `words` is how each was written.

    Called with the vector of coefficients inside a traced function it returns their values, shape (m,).
    """

    words: tuple[str, ...]
    trees: tuple[Tree, ...]

    def __call__(self, theta: Any) -> Any:
        return jnp.stack([jnp.asarray(_value(tree, theta), jnp.float64) for tree in self.trees])

    def __str__(self) -> str:
        return ", ".join(self.words)

    @property
    def coefficients(self) -> tuple[int, ...]:
        """The numbers of the coefficients that occur."""
        return tuple(sorted({number for tree in self.trees for number in _coefficients(tree)}))

    @cached_property
    def linear(self) -> bool:
        return all(_affine(tree) is not None for tree in self.trees)

    def rows(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Of linear ones, weights (m, size) of the coefficients and constants (m,)."""
        matrix, constants = np.zeros((len(self.trees), size)), np.zeros(len(self.trees))
        for i, (weights, constant) in enumerate(_affine(tree) or ({}, np.nan) for tree in self.trees):
            constants[i] = constant
            for number, weight in weights.items():
                matrix[i, number] = weight
        return matrix, constants

    def at(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values (m,) and exact derivatives (m, k) at the coefficients.

        Raises:
            ModelError: where one has no finite value or derivative there.
        """
        if self.linear:
            slopes, constants = self.rows(len(theta))
            used = list(self.coefficients)  # others may be NaN
            values = slopes[:, used] @ theta[used] + constants
        else:
            values, slopes = (np.asarray(x) for x in jax.device_get(runtime.call(_with_slopes, self, theta)[0]))
        for words, fine in zip(self.words, np.isfinite(values) & np.isfinite(slopes).all(axis=1)):
            if not fine:
                raise ModelError(f"{words!r} has no finite value or derivative at the estimates.")
        return values, slopes


@partial(runtime.jit, static_argnums=0)
def _with_slopes(expressions: Expressions, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
    return expressions(theta), jax.jacfwd(expressions)(theta)


def _value(tree: Tree, theta: Any) -> Any:
    kind, *parts = tree
    if kind == "number":
        return parts[0]
    if kind == "coefficient":
        return theta[parts[0]]
    if kind in FUNCTIONS:
        return FUNCTIONS[kind](jnp.asarray(_value(parts[0], theta), jnp.float64))
    return OPERATIONS[kind](*(_value(part, theta) for part in parts))


def _coefficients(tree: Tree) -> Iterator[int]:
    if tree[0] == "coefficient":
        yield tree[1]
    elif tree[0] != "number":
        for part in tree[1:]:
            yield from _coefficients(part)


def _affine(tree: Tree) -> tuple[dict[int, float], float] | None:
    """Weights of the coefficients and a constant, None where the tree is no sum of coefficients."""
    kind, *parts = tree
    if kind == "number":
        return {}, parts[0]
    if kind == "coefficient":
        return {parts[0]: 1.0}, 0.0
    if kind in FUNCTIONS:
        return None
    left, right = (_affine(part) for part in parts)
    if left is None or right is None:
        return None
    (a, c), (b, d) = left, right
    if kind in "+-":
        sign = 1.0 if kind == "+" else -1.0
        both = {n: a.get(n, 0.0) + sign * b.get(n, 0.0) for n in a | b}
        return {n: w for n, w in both.items() if w}, c + sign * d
    if kind == "*" and not (a and b):
        scaled, by, constant = (a, d, c) if not b else (b, c, d)
        return {n: w * by for n, w in scaled.items() if w * by}, constant * by
    if kind == "/" and not b and d:
        return {n: w / d for n, w in a.items()}, c / d
    if kind == "^" and not a and not b:
        with np.errstate(all="ignore"):
            return {}, float(np.power(c, d))
    return None


def equations(texts: str | Sequence[str], names: Sequence[str]) -> Expressions:
    """Equations in coefficients, each as the expression that is zero where it holds; without `=` it is the whole of it.

    A coefficient goes by its whole name, `"rate[age]"`, or by what is within the brackets where that is enough, `"age"`;
    in backticks or quotes where a name could be read as something else. Numbers, `+ - * / ^ **`, brackets and the
    functions exp, log, expm1, log1p, sqrt, expit, logit, sin, cos, tanh may be used.

    Raises:
        ModelError: for what cannot be read, names that are not known, and linear equations that contradict or repeat
            others.
    """
    written = _parts(texts, "A hypothesis is an equation in coefficients, such as 'age = 0'")
    known, trees = _known(names), []
    for equation in written:
        sides = [_Reader(side, equation, known).tree() for side in _sides(equation)]
        tree = sides[0] if len(sides) == 1 else ("-", *sides)
        affine = _affine(tree)
        if not (affine[0] if affine else set(_coefficients(tree))):
            raise ModelError(f"The hypothesis {equation!r} says nothing of any coefficient.")
        trees.append(tree)
    found = Expressions(tuple(written), tuple(trees))
    if found.linear and np.linalg.matrix_rank(found.rows(len(names))[0]) < len(trees):
        raise ModelError(f"The hypotheses repeat or contradict each other: {'; '.join(written)}.")
    return found


def expressions(texts: str | Sequence[str], names: Sequence[str]) -> Expressions:
    """Functions of coefficients, `"age / income"`, written like one side of an equation.

    Raises:
        ModelError: for what cannot be read, equations, and names that are not known.
    """
    written = _parts(texts, "A function of the coefficients is written such as 'age / income'")
    known = _known(names)
    for text in written:
        if len(_split(text, "=")) > 1:
            raise ModelError(f"{text!r} is an equation: a function of the coefficients has no '='.")
    return Expressions(tuple(written), tuple(_Reader(text, text, known).tree() for text in written))


def _parts(texts: str | Sequence[str], what: str) -> list[str]:
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise ModelError(f"{what}; got {texts!r}.")
    parts = [part.strip() for text in texts for part in _split(text, ",") if part.strip()]
    if not parts:
        raise ModelError(f"{what}; got nothing.")
    return parts


def _known(names: Sequence[str]) -> dict[str, int]:
    """Whole names, and what is within their brackets where one coefficient alone is called so; longest first."""
    short: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        if name.endswith("]") and "[" in name:
            short.setdefault(name[name.index("[") + 1 : -1], []).append(i)
    words = {name: i for i, name in enumerate(names)}
    lone = {word: of[0] for word, of in short.items() if len(of) == 1 and not re.fullmatch(r"[\d,.\s]*", word)}
    words = {word: i for word, i in lone.items() if word not in words} | words
    return dict(sorted(words.items(), key=lambda item: -len(item[0])))


def _split(text: str, mark: str) -> list[str]:
    """The parts between marks that are not within brackets, nor within quotes outside of them."""
    parts, depth, quote = [""], 0, ""
    for c in text:
        if quote or (c in QUOTES and depth == 0):
            quote = "" if c == quote else quote or c
        else:
            depth += (c in "([{") - (c in ")]}")
        if c == mark and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += c
    return parts


def _sides(equation: str) -> list[str]:
    sides = _split(equation, "=")
    if len(sides) > 2 or not all(side.strip() for side in sides):
        raise ModelError(f"The hypothesis {equation!r} is no equation: write one such as 'age = 2*income'.")
    return sides


class _Reader:
    """One side of an equation, read from left to right: sums of products of powers of signed atoms."""

    def __init__(self, text: str, equation: str, known: dict[str, int]) -> None:
        self._text, self._equation, self._known, self._at = text, equation, known, 0

    def tree(self) -> Tree:
        tree = self._sum()
        if self._rest():
            raise self._unreadable()
        return tree

    def _rest(self) -> str:
        self._at += len(self._text[self._at :]) - len(self._text[self._at :].lstrip())
        return self._text[self._at :]

    def _takes(self, *marks: str) -> str:
        rest = self._rest()
        mark = next((mark for mark in marks if rest.startswith(mark)), "")
        self._at += len(mark)
        return mark

    def _unreadable(self) -> ModelError:
        rest = self._rest().strip()
        where = f"at {rest!r}" if rest else f"at the end of {self._text.strip()!r}"
        return ModelError(
            f"{self._equation!r} cannot be read {where}. It is made of coefficients, numbers, "
            f"+ - * / ^, brackets and functions such as exp: '2*age - income = 1'.{did_you_mean(rest, self._known)}"
        )

    def _sum(self) -> Tree:
        tree = self._product()
        while mark := self._takes("+", "-"):
            tree = (mark, tree, self._product())
        return tree

    def _product(self) -> Tree:
        tree = self._signed()
        while mark := self._takes("*", "/"):
            before = self._at
            tree = (mark, tree, self._signed())
            if mark == "/" and tree[2] == ("number", 0.0):
                self._at = before
                raise self._unreadable()
        return tree

    def _signed(self) -> Tree:
        mark = self._takes("+", "-")
        if mark:
            tree = self._signed()
            return ("*", ("number", -1.0), tree) if mark == "-" else tree
        base = self._atom()
        return ("^", base, self._signed()) if self._takes("**", "^") else base

    def _atom(self) -> Tree:
        rest = self._rest()
        if rest[:1] in tuple(QUOTES):
            return self._quoted(rest)
        word = next((w for w in self._known if rest.startswith(w) and not re.match(r"\w", rest[len(w) :])), None)
        if word is not None:
            self._at += len(word)
            return "coefficient", self._known[word]
        function = re.match(r"(\w+)\s*\(", rest)
        if function and function[1] in FUNCTIONS:
            self._at += function.end()
            return function[1], self._closed()
        if rest.startswith("("):
            self._at += 1
            return self._closed()
        number = NUMBER.match(rest)
        if number is None:
            raise self._unreadable()
        self._at += number.end()
        return "number", float(number[0])

    def _quoted(self, rest: str) -> Tree:
        name, closed, _ = rest[1:].partition(rest[0])
        if not closed or name not in self._known:
            raise self._unreadable()
        self._at += len(name) + 2
        return "coefficient", self._known[name]

    def _closed(self) -> Tree:
        tree = self._sum()
        if not self._takes(")"):
            raise self._unreadable()
        return tree
