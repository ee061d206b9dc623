"""A model: the log-density of one observation and the declaration of its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Number
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import ModelError
from .domains import Domain, Real
from .linear import Linear

Parameter = Domain | Linear


@dataclass(frozen=True, eq=False)
class Model:
    """The log-density of one observation, plus the declaration of its parameters.

    Arguments:
        log_density: for `unit="row"`, `f(p, row)` → a number; `p["name"]` is on the natural scale and `row["column"]`
            is one row's value. For `unit="<column>"`, `f(p, rows, mask)` → a number for one group: arrays of one padded
            length, `mask` true for real rows. For `unit="all"`, `f(p, data)` → one term per row of the whole data set.
            Any JAX code, and any object with a `log_prob`, may be used inside.
        params: name → a domain (`Positive()`), a `Linear`, or a number (a known constant).
        unit: what one observation is: `"row"`, `"all"`, or the name of the column that says which group a row is in.
        name: what a summary calls the model; default the function's name.
        about: what a summary says beside the name, such as the formula.

    Raises:
        ModelError: when the function or a declaration cannot be used.
    """

    log_density: Callable[..., Any]
    params: Mapping[str, Parameter]
    unit: str = "row"
    name: str | None = None
    about: str = ""

    def __post_init__(self) -> None:
        _check_function(self.log_density, self.unit)
        object.__setattr__(self, "params", MappingProxyType(_declared(self.params)))

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"params": dict(self.params)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in (state | {"params": MappingProxyType(state["params"])}).items():
            object.__setattr__(self, name, value)

    @property
    def title(self) -> str:
        """What a summary calls the model."""
        return self.name or getattr(self.log_density, "__name__", "model").replace("_", " ").strip("<>")

    @property
    def unit_kind(self) -> str:
        """`row`, `group` or `all`."""
        return self.unit if self.unit in ("row", "all") else "group"


def _check_function(log_density: Any, unit: Any) -> None:
    if not isinstance(unit, str) or not unit:
        raise ModelError(f"unit must be 'row', 'all' or the name of a column; got {unit!r}.")
    if not callable(log_density):
        raise ModelError(f"log_density must be a function of the parameters and one observation; got {log_density!r}.")
    arguments = ("p", "row") if unit == "row" else ("p", "data") if unit == "all" else ("p", "rows", "mask")
    try:
        inspect.signature(log_density).bind(*arguments)
    except TypeError:
        raise ModelError(
            f"With unit={unit!r} the log-density is called as log_density({', '.join(arguments)}), but "
            f"{getattr(log_density, '__name__', 'it')} takes {inspect.signature(log_density)}."
        ) from None
    except ValueError:  # builtins without a signature
        pass


def _declared(params: Any) -> dict[str, Parameter]:
    if not isinstance(params, Mapping) or not params:
        raise ModelError(f"params must map the names of parameters to their domains; got {params!r}.")
    declared: dict[str, Parameter] = {}
    for name, domain in params.items():
        if not isinstance(name, str) or not name or any(c in name for c in "[],~") or name != name.strip():
            raise ModelError(f"A parameter's name is a word without brackets, commas or '~'; got {name!r}.")
        if isinstance(domain, type) and issubclass(domain, Domain | Linear):
            raise ModelError(f"Parameter {name!r} is the class {domain.__name__}: write {domain.__name__}(...).")
        if isinstance(domain, (Number, np.ndarray)) and not isinstance(domain, bool):
            value = np.asarray(domain, dtype=np.float64)
            domain = Real(shape=value.shape, fixed=value)
        if not isinstance(domain, Domain | Linear):
            raise ModelError(
                f"Parameter {name!r} must be a domain such as Real() or Positive(), a Linear(...), or a number that it "
                f"is fixed at; got {domain!r}."
            )
        declared[name] = domain
    return declared
