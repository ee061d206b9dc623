"""The data of a fit, read and validated: what a model's declarations and its log-density ask of the user's table."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .. import runtime
from ..data.chunks import Groups
from ..data.collinear import aliased, in_words
from ..data.collinear import without as left_out
from ..data.design import Design, offset_of
from ..data.expressions import names_in
from ..data.formula import bind, expand, split_offset, variables, without
from ..data.grouping import codes_of
from ..data.tables import Table, at_rows, check_finite, index_type
from ..declare.conditional import Conditional
from ..declare.distributions.base import OnScale
from ..declare.domains import Domain, Elementwise
from ..declare.formula import Formula
from ..declare.linear import Linear
from ..declare.model import Model
from ..errors import DataError, FitWarning, ModelError, rows_in_words
from .explained import explained
from .rows import Params, Row, hashable, scalar, terms_of_all, through_jax

CLOSURE_LIMIT = 10_000


@dataclass(frozen=True)
class Source:
    """The data of a fit, read and validated: what each unit is made of. `rows` are the table's rows that were kept.

    With `in_place` the passes read large matrices where they are.
    """

    columns: dict[str, np.ndarray]
    designs: tuple[Design, ...]
    offsets: dict[str, np.ndarray]
    groups: Groups | None
    rows: np.ndarray
    n_dropped: int
    in_place: bool = False

    @property
    def n_units(self) -> int:
        return len(self.rows) if self.groups is None else len(self.groups.members)

    def kept(self, values: np.ndarray) -> np.ndarray:
        """What there is one of for each of the table's rows, for the rows that were kept."""
        return at_rows(values, self.rows)

    def unit_labels(self, labels: Any, table: Table) -> np.ndarray:
        """Codes from zero, one per unit, of a column (by name) or of one label per row of the user's data.

        Raises:
            DataError: for another length, missing labels, or where the rows of one unit have different labels.
        """
        column = np.asarray(table.column(labels, "the argument cluster") if isinstance(labels, str) else labels)
        if column.shape != (table.n_rows,):
            raise DataError(f"cluster= needs one label per row, shape ({table.n_rows},); got shape {column.shape}.")
        column = self.kept(column)
        labelled = check_finite({"cluster": column}, "drop", "the argument cluster")
        if labelled is not None:
            lost = rows_in_words(self.rows[~labelled])
            raise DataError(f"cluster= has missing labels in {lost}: every row of the fit needs one.")
        codes = codes_of(column)[0]
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
    known = _Asked.of(model, table)
    if known in _asked:
        read = {name: table.numeric(name, "the log-density") for name, *_ in _asked[known]}
        if _kinds(read) == _asked[known]:
            return read
    unit, density = model.unit_kind, hashable(model.log_density)
    lead = {"row": (), "group": (2,), "all": (table.n_rows,)}[unit]
    probe = _Probe(table, lambda column: (*lead, *column.shape[1:]))
    shapes = {}
    links = {name: p.link for name, p in model.params.items() if isinstance(p, Linear | Elementwise)}
    for name, parameter in model.params.items():
        if isinstance(parameter, Domain):
            shapes[name] = jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), np.float64), parameter.default())
        else:
            shapes[name] = jax.ShapeDtypeStruct((*lead, *parameter.shape), np.float64)
    mask = (jax.ShapeDtypeStruct((2,), bool),) if unit == "group" else ()

    def one(p: dict, *mask: Any) -> Any:
        value = density(Params(p, {name: OnScale(link, p[name]) for name, link in links.items()}), probe, *mask)
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
    elif known is not None:
        if len(_asked) >= MOST_KNOWN:
            _asked.clear()
        _asked[known] = _kinds(probe.read)
    return probe.read


def _kinds(columns: Mapping[str, np.ndarray]) -> tuple:
    """What a trace sees of columns: names, kinds of number, shapes in a row."""
    return tuple((name, column.dtype.kind, column.shape[1:]) for name, column in columns.items())


MOST_KNOWN = 256
"""Models of which it is remembered what columns they ask for, so that only their first fit has to trace them."""

_asked: dict[Any, tuple] = {}


class _Asked(NamedTuple):
    """What decides which columns a log-density asks for, but for their kinds."""

    density: Any
    unit: str
    params: tuple
    columns: tuple[str, ...]
    rows: int

    @staticmethod
    def of(model: Model, table: Table) -> _Asked | None:
        """The key of a model on a table; None where something cannot be hashed, such as a start that is an array."""
        rows = table.n_rows if model.unit_kind == "all" else 0
        key = _Asked(hashable(model.log_density), model.unit_kind, tuple(model.params.items()), table.names, rows)
        try:
            hash(key)
        except TypeError:
            return None
        return key


@dataclass(frozen=True)
class Reading:
    """A model that has seen its data: formulas with levels and knots, responses encoded, and all that the passes need.

    `design_number` is the number of each `Linear`'s design; `table` the rows that are used, responses encoded; `starts`
    are the family's suggestions; `degenerate` says why these responses have no maximum of the likelihood, if they have
    none; `dropped` in words which columns were left out because they depend on others; `scattered` is as in `Bound`.
    """

    model: Model
    source: Source
    design_number: dict[str, int]
    table: Table
    starts: Mapping[str, Any]
    degenerate: str | None = None
    dropped: tuple[str, ...] = ()
    scattered: Callable[[int, int], list[Mapping[str, Any]]] | None = None


def read_source(model: Model, table: Table, weights: np.ndarray, missing: str, collinear: str = "keep") -> Reading:
    """Read and validate all that the model needs of the table.

    Rows of weight zero and, where asked, rows with missing values are left out first: levels, knots and means are
    learnt from the others alone. Columns of a formula that depend on each other are refused ("raise"), left out
    ("drop") or kept ("keep").
    """
    model = _written_out(model, table)
    family = model.log_density if isinstance(model.log_density, Conditional) else None
    declared = _named_columns(model, table)
    asked = {} if family is not None else used_columns(model, table)
    kept, n_dropped = _rows(model, asked, declared, weights, missing)
    small = table if len(kept) == table.n_rows else table.take(kept)
    starts: Mapping[str, Any] = {}
    degenerate = scattered = None
    if family is not None:
        bound = family.bind(model.params, small, at_rows(weights, kept))
        model = replace(model, log_density=bound.conditional, params=bound.params)
        small, starts = small.with_columns(bound.encoded), bound.starts
        degenerate, scattered = bound.degenerate, bound.scattered
    model = replace(model, params={name: with_formula(p, small, name) for name, p in model.params.items()})
    columns = used_columns(model, small) if family is not None else {k: small.numeric(k) for k in asked}
    designs: dict[Any, tuple[int, Design]] = {}
    number: dict[str, int] = {}
    offsets: dict[str, np.ndarray] = {}
    dropped: list[str] = []
    for name, parameter in model.params.items():
        if isinstance(parameter, Linear):
            if parameter.terms not in designs:
                design = Design.of(parameter, small, name)
                if collinear != "keep" and isinstance(parameter.terms, Formula):
                    settled, design, gone = _independent(parameter.terms, design, name, collinear)
                    model = _with_terms(model, parameter.terms, settled)
                    parameter, dropped = replace(parameter, terms=settled), dropped + gone
                designs[parameter.terms] = (len(designs), design)
            number[name] = designs[parameter.terms][0]
            offset = offset_of(parameter, small, name)
            if offset is not None:
                offsets[name] = offset
    groups = Groups.of(_group_labels(small, model.unit)) if model.unit_kind == "group" else None
    source = Source(columns, tuple(d for _, d in designs.values()), offsets, groups, kept, n_dropped)
    return Reading(model, source, number, small, starts, degenerate, tuple(dropped), scattered)


def _written_out(model: Model, table: Table) -> Model:
    """The model with `.` in its formulas written out: all columns but those of the response and of offsets."""
    own = set(model.log_density.columns) if isinstance(model.log_density, Conditional) else set()
    for parameter in model.params.values():
        for offset in parameter.offset if isinstance(parameter, Linear) else ():
            own |= {offset} if offset in table.names else set(names_in(offset))
    params = {
        name: replace(p, terms=expand(p.terms, table.names, own))
        if isinstance(p, Linear) and isinstance(p.terms, str) and p.is_formula
        else p
        for name, p in model.params.items()
    }
    return replace(model, params=params)


def _named_columns(model: Model, table: Table) -> dict[str, np.ndarray]:
    """The columns that the declarations name: of designs, offsets, the unit of observation, and a family's own."""
    out = {}
    response = set(model.log_density.response) if isinstance(model.log_density, Conditional) else set()
    for name, parameter in model.params.items():
        if not isinstance(parameter, Linear):
            continue
        role, offsets = f"the linear predictor of {name!r}", parameter.offset
        if parameter.is_formula:
            formula = parameter.terms.text if isinstance(parameter.terms, Formula) else str(parameter.terms)
            text, more = split_offset(formula)
            offsets += more
            if own := sorted(set(variables(text)) & response):
                raise ModelError(f"The formula of {name!r} has the response {own[0]!r} among its terms.")
            out |= {c: table.column(c, role) for c in variables(text)}
        else:
            terms = (parameter.terms,) if isinstance(parameter.terms, str) else parameter.terms
            out |= {t: table.numeric(t, role) for t in terms if isinstance(t, str)}  # type: ignore[union-attr]
        for offset in offsets:
            names = (offset,) if offset in table.names else names_in(offset)
            out |= {c: table.numeric(c, f"the offset of {name!r}") for c in names}
    if model.unit_kind == "group":
        out[model.unit] = _group_labels(table, model.unit)
    if isinstance(model.log_density, Conditional):
        required = (c for c in model.log_density.columns if c not in model.log_density.optional)
        out |= {c: table.column(c, f"the {model.title}") for c in required}
    return out


def _rows(
    model: Model,
    asked: Mapping[str, np.ndarray],
    declared: Mapping[str, np.ndarray],
    weights: np.ndarray,
    missing: str,
) -> tuple[np.ndarray, int]:
    """The rows that are used, and how many were dropped for missing values."""
    # rows of weight zero are left out and may hold anything, unless the density sees all rows, each with its neighbours
    keep = np.ones(len(weights), bool) if model.unit_kind == "all" else weights > 0
    if not keep.all():  # look at another row in their place
        instead = np.where(keep, np.arange(len(keep)), np.argmax(keep))
        asked = {k: v[instead] for k, v in asked.items()}
        declared = {k: v[instead] for k, v in declared.items()}
    finite = check_finite({**asked, **declared}, missing, "the data")
    if missing == "allow":  # what a density may know how to handle, a linear predictor does not
        check_finite(declared, "raise", "the linear predictors and the units of observation")
    used = keep if finite is None else keep & finite
    index = index_type(len(used))
    kept = np.arange(len(used), dtype=index) if used.all() else np.flatnonzero(used).astype(index)
    if not len(kept):
        raise DataError("No rows are left after rows with missing values and rows of weight zero are taken away.")
    return kept, int(keep.sum()) - len(kept)


def with_formula(parameter: Any, table: Table, name: str) -> Any:
    """A `Linear` whose formula has learnt its levels and knots from the table; anything else as it is."""
    if not (isinstance(parameter, Linear) and isinstance(parameter.terms, str) and parameter.is_formula):
        return parameter
    text, offsets = split_offset(parameter.terms)
    formula = bind(text, table, name, dict(parameter.functions))
    return replace(parameter, terms=formula, offset=parameter.offset + offsets)


def _independent(formula: Formula, design: Design, name: str, collinear: str) -> tuple[Formula, Design, list[str]]:
    """A formula and its design without the columns that depend on earlier ones, and these in words."""
    found = aliased(design)
    if not found:
        return formula, design, []
    words = in_words(found, design.names)
    if collinear == "raise":
        raise DataError(
            f"The columns of {name!r} depend on each other: {words}. Their coefficients cannot be told apart. Leave terms "
            "out of the formula, or let collinear='drop' leave out the later ones."
        )
    positions = [position for position, _ in found]
    return without(formula, positions, len(design.names)), left_out(design, positions), [words]


def _with_terms(model: Model, old: Formula, new: Formula) -> Model:
    """The model with one formula in place of another, wherever it stands."""
    swap = lambda p: replace(p, terms=new) if isinstance(p, Linear) and p.terms == old else p
    return replace(model, params={name: swap(p) for name, p in model.params.items()})


def _group_labels(table: Table, name: str) -> np.ndarray:
    labels = np.asarray(table.column(name, "the unit of observation"))
    if labels.ndim != 1:
        raise DataError(
            f"Column {name!r}, the unit of observation, has shape {labels.shape}; expected one label a row."
        )
    return labels


def unit_weights(source: Source, weights: np.ndarray, unit: str) -> np.ndarray:
    """One weight per unit; raises `DataError` where the rows of a group disagree."""
    kept = source.kept(weights)
    if source.groups is None:
        return kept
    bad = [k for k, m in zip(source.groups.keys, source.groups.members) if np.ptp(kept[m]) > 0]
    if bad:
        raise DataError(
            f"Weights must be the same in all rows of one {unit!r}, the unit of observation; they differ for "
            f"{', '.join(str(b) for b in bad[:5])}."
        )
    return kept[[m[0] for m in source.groups.members]]
