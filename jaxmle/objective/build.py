"""From a model and a table to an objective: designs, the columns that the density uses, what is fixed, the chunks."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..data.chunks import Chunks, Groups, design_arrays, group_chunks, row_chunks, whole
from ..data.design import Design, offset_of
from ..data.tables import Table, check_finite
from ..declare.linear import Linear
from ..declare.model import Model
from ..errors import DataError, FitWarning, ModelError, rows_in_words
from .designs import columns_of
from .fixing import Fixing
from .layout import Block, Layout
from .objective import Objective
from .placement import Placement
from .rows import Params, Program, Row, hashable, penalty_value, scalar, terms_of_all, through_jax
from .scaling import column_scale

CLOSURE_LIMIT = 10_000


@dataclass(frozen=True)
class Source:
    """The data of a fit, read and validated: what each unit is made of. `rows` are the table's rows that were kept."""

    columns: dict[str, np.ndarray]
    designs: tuple[Design, ...]
    offsets: dict[str, np.ndarray]
    groups: Groups | None
    rows: np.ndarray
    n_dropped: int

    @property
    def n_units(self) -> int:
        return len(self.rows) if self.groups is None else len(self.groups.members)

    def unit_labels(self, labels: Any, table: Table) -> np.ndarray:
        """Codes from zero, one per unit, of a column (by name) or of one label per row of the user's data.

        Raises:
            DataError: for another length, missing labels, or where the rows of one unit have different labels.
        """
        column = np.asarray(table.column(labels, "the argument cluster") if isinstance(labels, str) else labels)
        if column.shape != (table.n_rows,):
            raise DataError(f"cluster= needs one label per row, shape ({table.n_rows},); got shape {column.shape}.")
        labelled = check_finite({"cluster": column[self.rows]}, "drop", "the argument cluster")
        if labelled is not None:
            lost = rows_in_words(self.rows[~labelled])
            raise DataError(f"cluster= has missing labels in {lost}: every row of the fit needs one.")
        number: dict[Any, int] = {}  # not by sorting: labels of several types have no order
        codes = np.array([number.setdefault(label, len(number)) for label in column[self.rows].tolist()])
        if self.groups is None:
            return codes
        if any(np.ptp(codes[m]) for m in self.groups.members):
            raise DataError("cluster= must be the same in all rows of one unit of observation.")
        return codes[[m[0] for m in self.groups.members]]


class _Probe(Row):
    """A row of placeholders that finds out which columns the density uses and reads each when it is asked for.

    A density that walks over the row, or passes it whole to a function of `jax`, uses every column that is numeric.
    """

    def __init__(self, table: Table, shape_of: Callable[[np.ndarray], tuple[int, ...]]) -> None:
        super().__init__(dict.fromkeys(table.names))
        self.read: dict[str, np.ndarray] = {}
        self._table, self._shape_of = table, shape_of

    def _read(self, name: str) -> Any:
        if name not in self.read:
            self.read[name] = self._table.numeric(name, "the log-density")
        column = self.read[name]
        kind = bool if column.dtype == bool else jnp.int64 if column.dtype.kind in "iu" else jnp.float64
        return jnp.zeros(self._shape_of(column), kind)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._table.names if self._is_numeric(name))

    def _is_numeric(self, name: str) -> bool:
        try:
            self._table.numeric(name, "the log-density")
        except DataError:
            return False
        return True


through_jax(_Probe, becomes=Row)


def used_columns(model: Model, table: Table) -> dict[str, np.ndarray]:
    """The columns that the log-density asks for; the function is traced once, on placeholders, and nothing compiled.

    Raises:
        ModelError: when the function fails on one observation, or does not return one real number.
        DataError: when it asks for a column that the table lacks, or that is not numeric.
    """
    unit, density = model.unit_kind, hashable(model.log_density)
    lead = {"row": (), "group": (2,), "all": (table.n_rows,)}[unit]
    probe = _Probe(table, lambda column: (*lead, *column.shape[1:]))
    shapes = {}
    for name, parameter in model.params.items():
        if isinstance(parameter, Linear):
            shapes[name] = jax.ShapeDtypeStruct((*lead, *parameter.shape), np.float64)
        else:
            shapes[name] = jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), np.float64), parameter.default())
    mask = (jax.ShapeDtypeStruct((2,), bool),) if unit == "group" else ()

    def one(p: dict, *mask: Any) -> Any:
        value = density(Params(p), probe, *mask)
        return terms_of_all(value, table.n_rows) if unit == "all" else scalar(value)

    with runtime.x64(), explained(f"The log-density {model.title!r}"):
        traced = jax.make_jaxpr(one)(shapes, *mask)
    big = [c for c in traced.consts if getattr(c, "size", 0) > CLOSURE_LIMIT]
    if big:
        warnings.warn(
            f"The log-density uses {len(big)} array(s) from outside, the largest with {max(c.size for c in big):,} "
            "numbers: they are compiled into the program, which costs time and memory at every fit. Pass them as "
            "columns of the data or as a fixed parameter, e.g. {'table': Real(shape=..., fixed=array)}.",
            FitWarning,
            stacklevel=2,
        )
    return probe.read


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Say in words what keeps JAX from tracing a function of the user's, `what`; raises `ModelError`."""
    try:
        yield
    except (ModelError, DataError):
        raise
    except jax.errors.TracerBoolConversionError as error:
        why = (
            "it uses `if`, `and`, `or`, `min` or `max` on a value that is only known later; "
            "write jnp.where(condition, a, b)"
        )
        raise _unusable(what, why) from error
    except jax.errors.TracerArrayConversionError as error:
        why = (
            "it passes a parameter or a column to NumPy or SciPy; use jax.numpy (jnp.log for np.log), jax.scipy or "
            "jaxmle.numerics"
        )
        raise _unusable(what, why) from error
    except jax.errors.ConcretizationTypeError as error:
        why = "it needs a value as a Python number (float(...), int(...), range(...)); keep it a jax.numpy expression"
        raise _unusable(what, why) from error
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        first = str(error).strip().split("\n")[0].rstrip(".")
        first = re.sub(r"\w*Tracer|ShapedArray", "Array", first)  # what the user calls it
        raise _unusable(what, f"{type(error).__name__}: {first}") from error


def _unusable(what: str, why: str) -> ModelError:
    return ModelError(f"{what} cannot be evaluated: {why}.")


def read_source(model: Model, table: Table, weights: np.ndarray, missing: str) -> tuple[Source, dict[str, int]]:
    """Read and validate all that the model needs of the table; also the number of each `Linear`'s design."""
    designs: dict[Any, tuple[int, Design]] = {}
    number: dict[str, int] = {}
    offsets: dict[str, np.ndarray] = {}
    for name, parameter in model.params.items():
        if isinstance(parameter, Linear):
            if parameter.terms not in designs:
                designs[parameter.terms] = (len(designs), Design.of(parameter, table, name))
            number[name] = designs[parameter.terms][0]
            offset = offset_of(parameter, table, name)
            if offset is not None:
                offsets[name] = offset
    columns = used_columns(model, table)
    # rows of weight zero are left out and may hold anything, unless the density sees all rows, each with its neighbours
    keep = np.ones(len(weights), bool) if model.unit_kind == "all" else weights > 0
    linear = {f"offset of {k}": v for k, v in offsets.items()}
    for terms in designs:
        names = (terms,) if isinstance(terms, str) else terms
        linear |= {name: table.numeric(name) for name in names if isinstance(name, str)}
    if model.unit_kind == "group":
        linear[model.unit] = _group_labels(table, model.unit)
    everything = columns | linear
    if not keep.all():  # look at another row in their place
        instead = np.where(keep, np.arange(len(keep)), np.argmax(keep))
        everything = {k: v[instead] for k, v in everything.items()}
    finite = check_finite(everything, missing, "the data")
    if missing == "allow":  # what a density may know how to handle, a linear predictor does not
        check_finite({k: everything[k] for k in linear}, "raise", "the linear predictors and the units of observation")
    rows = np.flatnonzero(keep)
    n_dropped = 0
    if finite is not None:
        n_dropped = int((~finite & keep).sum())
        rows = np.flatnonzero(keep & finite)
    if not len(rows):
        raise DataError("No rows are left after rows with missing values and rows of weight zero are taken away.")
    take = (lambda a: a) if len(rows) == table.n_rows else (lambda a: a[rows])
    groups = None
    if model.unit_kind == "group":
        groups = Groups.of(take(linear[model.unit]))
    source = Source(
        columns={k: take(v) for k, v in columns.items()},
        designs=tuple(Design(d.names, take(d.matrix)) for _, d in designs.values()),
        offsets={k: take(v) for k, v in offsets.items()},
        groups=groups,
        rows=rows,
        n_dropped=n_dropped,
    )
    return source, number


def _group_labels(table: Table, name: str) -> np.ndarray:
    labels = np.asarray(table.column(name, "the unit of observation"))
    if labels.ndim != 1:
        raise DataError(
            f"Column {name!r}, the unit of observation, has shape {labels.shape}; expected one label a row."
        )
    return labels


def unit_weights(source: Source, weights: np.ndarray, unit: str) -> np.ndarray:
    """One weight per unit; raises `DataError` where the rows of a group disagree."""
    kept = weights[source.rows]
    if source.groups is None:
        return kept
    bad = [k for k, m in zip(source.groups.keys, source.groups.members) if np.ptp(kept[m]) > 0]
    if bad:
        raise DataError(
            f"Weights must be the same in all rows of one {unit!r}, the unit of observation; they differ for "
            f"{', '.join(str(b) for b in bad[:5])}."
        )
    return kept[[m[0] for m in source.groups.members]]


def chunks_of(source: Source, weights: np.ndarray, unit: str, rows: int | None, n_devices: int = 1) -> list[Chunks]:
    """The data of `source` cut for the passes."""
    designs = tuple(design_arrays(d) for d in source.designs)
    if unit == "all":
        return [whole(source.columns, designs, source.offsets, weights)]
    if source.groups is not None:
        return group_chunks(source.groups, source.columns, designs, source.offsets, weights, rows, n_devices)
    return [row_chunks(source.columns, designs, source.offsets, weights, rows, n_devices)]


def layout_of(model: Model, source: Source, design_number: Mapping[str, int], fixing: Fixing) -> Layout:
    """The layout of the flat vector: every parameter in the order of declaration, but for wholly fixed constants."""
    blocks, constants, at = [], [], 0
    columns = columns_of(source.designs)
    for name, parameter in model.params.items():
        if isinstance(parameter, Linear):
            number = design_number[name]
            terms = source.designs[number].names
            size = len(terms) * parameter.n_outputs
            blocks.append(Block(name, parameter, at, at + size, terms, number, columns[number]))
        elif name in fixing.constants:
            constants.append((name, parameter))
            continue
        else:
            size = parameter.size
            blocks.append(Block(name, parameter, at, at + size))
        at += size
    return Layout(tuple(blocks), tuple(constants))


def priors_of(model: Model) -> tuple[Callable[[Mapping[str, Any]], Any], ...]:
    """The declared priors as penalties: minus the log-density of the parameter on its natural scale."""
    return tuple(
        _Prior(name, hashable(getattr(p.prior, "log_prob", p.prior)))
        for name, p in model.params.items()
        if p.prior is not None
    )


@dataclass(frozen=True)
class _Prior:
    """Minus the log-density of one parameter's prior; no Jacobian, so that the mode is the natural scale's."""

    name: str
    log_prob: Callable[[Any], Any]

    def __call__(self, theta: Mapping[str, Any]) -> jax.Array:
        return -jnp.sum(self.log_prob(theta[self.name]))


@dataclass(frozen=True)
class Built:
    """An objective with what it was made of."""

    objective: Objective
    source: Source
    weights: np.ndarray


def build(
    model: Model,
    table: Table,
    *,
    weights: np.ndarray,
    fixed: Mapping[str, Any] | None = None,
    penalty: Callable[[Mapping[str, Any]], Any] | None = None,
    missing: str = "raise",
    chunk_rows: int | None = None,
    precision: str = "float64",
    placement: Placement | None = None,
    structured: bool | None = None,
) -> Built:
    """The objective of `model` on `table`; raises `ModelError` or `DataError` before anything is compiled.

    `structured=False` differentiates the coefficients of `Linear`s like any other parameter: slower, the same numbers.
    """
    if precision not in ("float64", "float32"):
        raise ModelError(f"precision must be 'float64' or 'float32'; got {precision!r}.")
    if chunk_rows is not None and (
        isinstance(chunk_rows, bool) or not isinstance(chunk_rows, int | np.integer) or chunk_rows < 1
    ):
        raise ModelError(f"chunk_rows must be a whole number of at least 1, or None; got {chunk_rows!r}.")
    if penalty is not None and not callable(penalty):
        raise ModelError(f"penalty must be a function of the parameters that returns a number; got {penalty!r}.")
    source, design_number = read_source(model, table, weights, missing)
    unit = model.unit_kind
    if unit != "row":
        longest = [len(m) for m in source.groups.members] if source.groups is not None else [len(source.rows)]
        runtime.check_compiler(max(longest), precision)
    placement = placement or Placement.default()
    if unit == "all" and placement.n_devices > 1:
        placement = Placement(placement.devices[:1])
    terms = {n: source.designs[i].names for n, i in design_number.items()}
    fixing = Fixing.of(model, terms, fixed or {})
    layout = layout_of(model, source, design_number, fixing)
    program = Program(
        log_density=hashable(model.log_density),
        unit=unit,
        layout=layout,
        structured=bool(layout.linears) and unit == "row" if structured is None else structured and unit == "row",
        penalties=priors_of(model) + (() if penalty is None else (hashable(penalty),)),
        precision=precision,
    )
    base, free = fixing.apply(layout)
    if program.penalties:
        with runtime.x64(), explained("The penalty or a prior"):
            jax.eval_shape(partial(penalty_value, program), base, fixing.constants)
    per_unit = unit_weights(source, weights, model.unit)
    with runtime.x64():
        parts = tuple(placement.place(c) for c in chunks_of(source, per_unit, unit, chunk_rows, placement.n_devices))
    objective = Objective(
        program=program,
        placement=placement,
        parts=parts,
        constants=fixing.constants,
        base=base,
        free=free,
        scale=column_scale(layout, source.designs)[free],
        n_units=source.n_units,
    )
    return Built(objective, source, per_unit)
