"""The small language inside formulas: what a term or an offset may say, read and refused without running Python.

An expression consists of columns, numbers, arithmetic, comparisons and calls of known functions; anything else is
refused before it is looked at twice, since a formula may come from a command line or a file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from ..errors import ModelError, did_you_mean

Functions: TypeAlias = Mapping[str, Callable[..., Any]]

_KNOWN = (
    "log log1p log2 log10 exp expm1 exp2 exp10 sqrt square cbrt abs sign floor ceil round minimum maximum clip "
    "sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh"
)
NUMERIC = tuple(_KNOWN.split())
"""Functions of numbers, row by row, written with or without `np.`."""

LEARNING = ("poly", "bs", "cr", "cs", "cc", "center", "scale", "standardize")
"""Transforms of formulaic that learn knots, means or norms from the data."""

CONTRASTS = {
    **{f"contr.{k}": k for k in ("treatment", "SAS", "sum", "helmert", "diff", "poly")},
    **{"Treatment": "treatment", "Sum": "sum", "Helmert": "helmert", "Diff": "diff", "Poly": "poly"},
}
"""Contrasts as `C(...)` takes them, and their names in formulaic's `contr`."""

CONSTANTS = {"pi": np.pi, "e": np.e, "inf": np.inf}
LONGEST = 10_000
"""Characters of an expression."""

LARGEST = 1_000
"""Columns of a polynomial or spline."""

ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod, ast.FloorDiv, ast.Pow, ast.BitAnd, ast.BitOr)
SIGNS = (ast.UAdd, ast.USub, ast.Invert)
COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


@dataclass(frozen=True)
class Expression:
    """A checked expression: `text` is its normal form (by which terms are equal), `tree` its syntax."""

    text: str
    tree: ast.expr
    columns: tuple[str, ...]
    called: tuple[str, ...]  # the user's functions among the calls


def check(expr: str, functions: Functions | None = None) -> Expression:
    """Read an expression; raises `ModelError` for anything that the language does not know.

    functions: name → function that may be called beside the known ones.
    """
    names: dict[str, str] = {}
    stem = "q"
    while stem in expr:
        stem += "q"

    def alias(match: re.Match[str]) -> str:
        if not match.group().startswith("`"):
            return match.group()  # a string, in which a backtick is a letter
        return names.setdefault(match.group()[1:-1], f"{stem}{len(names)}{stem}")

    if len(expr) > LONGEST:
        raise ModelError(f"An expression of {len(expr):,} characters ({expr[:40]} ...) is too long to read.")
    plain = re.sub(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`""", alias, expr)
    try:
        tree = ast.parse(plain.strip(), mode="eval").body
        text = ast.unparse(tree)
        reader = _Reader(expr, {} if functions is None else functions, {v: k for k, v in names.items()})
        reader.read(tree, top=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{expr!r} cannot be read as an expression: {type(error).__name__}, {error}.") from None
    for name, stands_for in names.items():
        text = text.replace(stands_for, f"`{name}`")
    return Expression(text, tree, tuple(dict.fromkeys(reader.columns)), tuple(dict.fromkeys(reader.called)))


def names_in(expr: str, functions: Functions | None = None) -> tuple[str, ...]:
    """The columns that an expression uses, in order; functions are not looked up, since data are not needed."""
    return check(expr, functions if functions is not None else _Any()).columns


class _Any(dict):
    """Functions of any name."""

    def __contains__(self, name: object) -> bool:
        return True


@dataclass
class _Reader:
    """Walks over a syntax tree and refuses what it does not know; notes columns and the user's functions."""

    expr: str
    functions: Functions
    names: Mapping[str, str]  # alias → the name in backticks
    columns: list[str] = field(default_factory=list)
    called: list[str] = field(default_factory=list)

    def read(self, node: ast.expr, top: bool = False) -> None:
        match node:
            case ast.Constant(value=int() | float()):
                return
            case ast.Name() | ast.Attribute():
                self.read_name(node)
            case ast.UnaryOp(op=op, operand=inner) if isinstance(op, SIGNS):
                self.read(inner)
            case ast.BinOp(op=op, left=left, right=right) if isinstance(op, ARITHMETIC):
                self.read(left)
                self.read(right)
            case ast.Compare(left=left, ops=ops, comparators=others) if all(isinstance(o, COMPARISONS) for o in ops):
                texts = [text_of(n) is not None for n in (left, *others)]
                if any(texts) and (len(ops) > 1 or all(texts) or not isinstance(ops[0], ast.Eq | ast.NotEq)):
                    raise self.refuse(node, "text is compared with a column, by == or !=")
                for operand, is_text in zip((left, *others), texts):
                    if not is_text:
                        self.read(operand)
            case ast.Call():
                self.read_call(node, top)
            case ast.BoolOp():
                raise self.refuse(node, "'and' and 'or' do not work by row: write (a > 1) & (b > 2), or |")
            case _:
                raise self.refuse(node)

    def read_name(self, node: ast.expr) -> None:
        dotted = dotted_name(node)
        if dotted is None or "__" in dotted:
            raise self.refuse(node)
        root, _, rest = dotted.partition(".")
        if root in ("np", "numpy") and rest in CONSTANTS:
            name = None
        elif rest and root in ("np", "numpy", "contr"):
            raise self.refuse(node, f"{dotted} can only be called, or stands where no value goes")
        else:
            name = self.names.get(dotted, dotted)
        if name is not None:
            if isinstance(node, ast.Name):
                node.id = name  # what the evaluation looks up; a tree prints names as they are
            self.columns.append(name)

    def read_call(self, node: ast.Call, top: bool) -> None:
        name = called_name(node)
        if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
            raise self.refuse(node)
        if name == "C":
            if not top or not node.args or len(node.args) > 2:
                raise self.refuse(node, "C(x) or C(x, contrasts, levels=[...]) is a whole term, or a factor of one")
            self.read(node.args[0])
            options = node.args[1:] + [k.value for k in node.keywords]
            for option in options:
                contrast(option, self.refuse)
            if unknown := {str(k.arg) for k in node.keywords} - {"contrasts", "levels"}:
                raise self.refuse(node, f"C takes contrasts and levels, not {', '.join(sorted(unknown))}")
        elif self.is_own(name):
            self.called.append(str(name))
            for argument in node.args + [k.value for k in node.keywords]:
                if not is_constant(argument):
                    self.read(argument)
        elif name in LEARNING:
            if not node.args:
                raise self.refuse(node, f"the first argument of {name} is what it transforms")
            self.read(node.args[0])
            sizes = node.args[1:] + [k.value for k in node.keywords if k.arg in ("df", "degree")]
            for option in node.args[1:] + [k.value for k in node.keywords]:
                value = constant(option, self.refuse)
                if option in sizes and isinstance(value, int | float) and value > LARGEST:
                    raise self.refuse(node, f"{value} columns are too many")
        elif name == "I" or name in NUMERIC:
            takes = {"I": (1,), "clip": (3,), "minimum": (2,), "maximum": (2,), "round": (1, 2)}.get(str(name), (1,))
            if node.keywords or len(node.args) not in takes:
                raise self.refuse(node, f"{name} takes {' or '.join(map(str, takes))} argument(s)")
            for argument in node.args[:1] if name == "round" else node.args:
                self.read(argument)
            if name == "round" and node.args[1:]:
                constant(node.args[1], self.refuse)
        elif name == "offset":
            raise self.refuse(node, "offset(...) is a term of its own: '~ x + offset(z)'")
        elif name is None or "__" in name or not all(map(str.isidentifier, name.split("."))):
            raise self.refuse(node)
        else:
            known = ("C", "I", *LEARNING, *NUMERIC, *self.functions)
            shown = ast.unparse(node.func)
            raise ModelError(
                f"{self.expr!r} calls {shown!r}, which a formula does not know. Give it the function: "
                f"functions={{'{shown.split('.')[-1]}': function}}.{did_you_mean(shown, known)}"
            )

    def is_own(self, name: str | None) -> bool:
        """Whether a call is of a function of the user's: theirs come before ours of the same name."""
        if name is None or "__" in name or not name.isidentifier() or name not in self.functions:
            return False
        return not isinstance(self.functions, _Any) or name not in ("I", "offset", *LEARNING, *NUMERIC)

    def refuse(self, node: ast.AST, why: str | None = None) -> ModelError:
        shown = ast.unparse(node)
        part = "" if shown == self.expr.strip() else f" ({shown})"
        why = why or (
            "a formula knows columns, numbers, arithmetic, comparisons and calls of its functions, and runs no Python"
        )
        return ModelError(f"{self.expr!r}{part} cannot be used: {why}.")


def called_name(node: ast.Call) -> str | None:
    """The function's name without `np.`, None where it is anything but a name."""
    dotted = dotted_name(node.func)
    return None if dotted is None else dotted.removeprefix("numpy.").removeprefix("np.")


def constant(node: ast.expr, refuse: Callable[..., ModelError] | None = None) -> Any:
    """The value of a number, text, True, False, None, or of a list, tuple or dict of them."""
    if not is_constant(node):
        assert refuse is not None
        raise refuse(node, f"{ast.unparse(node)} must be a constant: a number, text, or a list of them")
    return ast.literal_eval(node)


def contrast(node: ast.expr, refuse: Callable[..., ModelError]) -> tuple[str, Any, dict[str, Any]]:
    """The contrasts of a `C(...)`: (formulaic's name or "custom", arguments or the matrix, options)."""
    call = node if isinstance(node, ast.Call) else None
    dotted = dotted_name(call.func if call is not None else node)
    if dotted in CONTRASTS:
        args = [constant(a, refuse) for a in call.args] if call is not None else []
        options = {str(k.arg): constant(k.value, refuse) for k in call.keywords} if call is not None else {}
        return CONTRASTS[dotted], args, options
    return "custom", constant(node, refuse), {}


def dotted_name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        root = dotted_name(node.value)
        return None if root is None else f"{root}.{node.attr}"
    return None


def text_of(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def is_constant(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=value):
            return value is None or isinstance(value, bool | int | float | str)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant(value=int() | float())):
            return True
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return all(map(is_constant, items))
        case ast.Dict(keys=keys, values=values):
            return all(k is not None and is_constant(k) for k in keys) and all(map(is_constant, values))
    return False
