"""What may be asked of each row of a series given the rows before it: functions `(p, data)`, run by the same passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..declare.linear import Linear
from ..declare.model import Model
from ..declare.series.dependent import Dependent
from ..declare.series.hidden import Hidden
from ..errors import ModelError, did_you_mean
from .statements import INDEX, KEY, VALUE

STATEMENTS = ("mean", "variance", "prob", "quantile", "interval")
OF_STATES = ("states", "path")
RESIDUALS = ("response", "pearson", "quantile")


@dataclass(frozen=True)
class Whole:
    """A function of the whole data that returns one number for each row."""

    conditional: Dependent

    whole = True


@dataclass(frozen=True)
class Ahead(Whole):
    """A statement about each row's distribution given the rows before: of its value `VALUE`, or of its response."""

    what: str = "mean"

    def __call__(self, p: Any, data: Any) -> Any:
        ahead = self.conditional.ahead(p, data)
        y = data[self.conditional.response[0]]
        value = data.get(VALUE, y)
        seen = ~jnp.isnan(value) if jnp.issubdtype(value.dtype, jnp.floating) else jnp.ones(value.shape, bool)
        if self.what in ("mean", "variance"):
            return jax.vmap(lambda d: getattr(d, "expectation" if self.what == "mean" else "variance")())(ahead)
        legal = jnp.where(seen, value, value[jnp.argmax(seen)])
        out = jax.vmap(lambda d, v: _STATEMENTS[self.what](d, v))(ahead, legal.astype(jnp.float64))
        return jnp.where(seen, out, jnp.nan)


_STATEMENTS = {
    "prob": lambda d, y: jnp.exp(d.log_prob(y)),
    "quantile": lambda d, q: d.quantile(q),
    "response": lambda d, y: y - d.expectation(),
    "pearson": lambda d, y: (y - d.expectation()) / jnp.sqrt(d.variance()),
    "below": lambda d, y: d.log_cdf(y),
    "above": lambda d, y: d.log_survival(y),
    "below before": lambda d, y: d.log_cdf(y - 1.0 if d.support.whole else y),
    "above before": lambda d, y: d.log_survival(y - 1.0 if d.support.whole else y),
}


@dataclass(frozen=True)
class InAllRows(Whole):
    """A parameter on its natural scale, its entry of number `INDEX` where it has several."""

    name: str = ""
    varies: bool = False

    def __call__(self, p: Any, data: Any) -> Any:
        value = p[self.name]
        if self.varies:
            return value
        flat = jnp.ravel(value)
        return flat[data[INDEX]]


@dataclass(frozen=True)
class StateChance(Whole):
    """The chance of the state of number `INDEX` given all responses."""

    def __call__(self, p: Any, data: Any) -> Any:
        assert isinstance(self.conditional, Hidden)
        chances = self.conditional.state_chances(p, data)
        return jnp.take_along_axis(chances, data[INDEX][:, None], axis=1)[:, 0]


@dataclass(frozen=True)
class BestPath(Whole):
    """The likeliest sequence of states."""

    def __call__(self, p: Any, data: Any) -> Any:
        assert isinstance(self.conditional, Hidden)
        return self.conditional.path(p, data).astype(jnp.float64)


@dataclass(frozen=True)
class DrawAll(Whole):
    """A draw of whole series, from a key for each row."""

    def __call__(self, p: Any, data: Any) -> Any:
        keys = jax.vmap(jax.random.wrap_key_data)(data[KEY].astype(jnp.uint32))
        return jax.lax.stop_gradient(self.conditional.simulated(p, data, keys))


def asked_of_series(
    model: Model, conditional: Dependent, n: int, what: Any, q: Any, value: Any
) -> tuple[list[tuple[Any, dict[str, np.ndarray], tuple[str, str]]], bool]:
    """As `predict.questions`: functions of the whole data, and whether their answers are stacked as columns."""
    hidden = isinstance(conditional, Hidden)
    known = STATEMENTS + (OF_STATES if hidden else ())
    if callable(what):
        raise ModelError(
            f"predict of a series takes {', '.join(known)} or the name of a parameter: a function of one row does not see "
            "the rows before it."
        )
    if what in model.params and what not in known:
        parameter = model.params[what]
        from_rows = isinstance(parameter, Linear)
        size = parameter.n_outputs if isinstance(parameter, Linear) else int(np.size(parameter.default()))
        labels = [""] if size == 1 else [f"{what}[{i}]" for i in range(size)]
        asked = InAllRows(conditional, what, from_rows)
        return [(asked, {INDEX: np.full(n, i)}, ("", label)) for i, label in enumerate(labels)], size > 1
    if what not in known:
        raise ModelError(
            f"predict: what={what!r} is neither a statement ({', '.join(known)}) nor a parameter "
            f"({', '.join(model.params)}).{did_you_mean(str(what), (*known, *model.params))}"
        )
    if len(conditional.response) > 1 and what not in OF_STATES:
        raise ModelError("predict of a series with several responses has what='states' and what='path'.")
    if what == "path":
        return [(BestPath(conditional), {}, ("", ""))], False
    if what == "states":
        assert isinstance(conditional, Hidden)
        asked = StateChance(conditional)
        return [(asked, {INDEX: np.full(n, i)}, ("state", str(i))) for i in range(len(conditional.states))], True
    if what in ("mean", "variance"):
        return [(Ahead(conditional, what), {}, ("", ""))], False
    given, name = (q, "q") if what == "quantile" else (value, "value")
    if given is None:
        raise ModelError(f"predict(what={what!r}) needs {name}=, a number or several.")
    many = np.asarray(given, np.float64)
    if what == "quantile" and not ((many > 0) & (many < 1)).all():
        raise ModelError(f"q must be between 0 and 1; got {q!r}.")
    each = [(Ahead(conditional, what), {VALUE: np.full(n, v)}, (name, f"{v:g}")) for v in many.ravel()]
    return each, many.ndim > 0
