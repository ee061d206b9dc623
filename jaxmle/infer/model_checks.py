"""Is a log-density one? Each question that can be asked of a model before it is fitted, and its answer as a line."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import ModelError, did_you_mean
from ..objective.objective import Objective
from .blame import find_blame
from .derivatives import check_derivatives
from .directions import in_words, sparse_basis, who
from .expectations import NODES, Responses
from .reported import Reported, entry_names

GOOD, BAD, OPEN = "✓", "✗", "–"

TOTAL = 1e-5
"""How far from 1 a density may add up to: what quadrature of hard cases leaves."""

MEAN_SCORE = 1e-4
"""The expected score, in standard deviations of the score, that quadrature may leave."""

INFORMATION = 1e-3
"""Relative difference of the two forms of the information that quadrature may leave."""

RANK = 1e-8
"""Singular value of the scores, relative to the largest, that is zero."""

MISMATCH = (
    "The density does not add up to the same number at all parameters, its support moves with them, or it has corners: "
    "standard errors from the information are wrong, and perhaps estimates too."
)

BRANCH = (
    "Often this is a branch not taken: where(c, f(x), g(x)) differentiates both, so make f safe first, "
    "f(where(c, x, 1.0)); see jaxmle.numerics for safe logarithms, roots and quotients."
)

WIDTH = 110


@dataclass(frozen=True)
class CheckLine:
    """One question: its `name`, `status` ("✓", "✗", or "–" where it cannot be asked), what was found and what to do."""

    name: str
    status: str
    found: str
    remedy: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class ModelCheck:
    """What was asked of a model, and the answers; what `jm.check_model` returns. `check["…"]` is a line by its name."""

    title: str
    lines: tuple[CheckLine, ...]

    @property
    def ok(self) -> bool:
        """Whether no question has a bad answer."""
        return all(line.status != BAD for line in self.lines)

    def __getitem__(self, name: str) -> CheckLine:
        for line in self.lines:
            if line.name == name:
                return line
        raise ModelError(f"There is no check {name!r}.{did_you_mean(name, [line.name for line in self.lines])}")

    def __repr__(self) -> str:
        width = max(len(line.name) for line in self.lines)
        out = [f"Check of the model {self.title!r}"]
        indent = " " * (width + 4)
        for line in self.lines:
            head = f"{line.status} {line.name:{width}}  "
            out += textwrap.wrap(line.found, WIDTH, initial_indent=head, subsequent_indent=indent)
            if line.remedy and line.status != GOOD:
                arrow = f"{indent}→ "
                out += textwrap.wrap(line.remedy, WIDTH, initial_indent=arrow, subsequent_indent=indent + "  ")
        return "\n".join(out)


@dataclass(frozen=True, eq=False)
class Probe:
    """The distribution of the response in one row at one point: `objective` of `NODES` rows like it, `z`, `responses`."""

    row: int
    point: int
    objective: Objective
    z: np.ndarray
    response: str
    responses: Responses

    @property
    def values(self) -> np.ndarray:
        """The responses, the first repeated up to `NODES` of them."""
        y = self.responses.y
        return np.concatenate([y, np.full(NODES - len(y), y[0])])

    @cached_property
    def at_responses(self) -> Objective:
        """The objective of the row with each of the responses, weighted by its share of the total."""
        mass = self.responses.mass
        weights = np.concatenate([mass / mass.sum(), np.zeros(NODES - len(mass))])
        return self.objective.with_columns({self.response: self.values}).weighted(weights)


def integrates(probes: Sequence[Probe], counts: bool) -> CheckLine:
    """Whether the density adds up to one."""
    name = "sums to one" if counts else "integrates to one"
    totals = np.array([p.responses.total for p in probes])
    rows, at = len({p.row for p in probes}), len({p.point for p in probes})
    points = f"at {at} parameter points" + (f" in each of {rows} rows" if rows > 1 else "")
    worst = float(np.abs(totals - 1).max())
    if worst <= TOTAL:
        return CheckLine(name, GOOD, f"to {max(worst, 1e-16):.0e}, {points}")
    if not np.isfinite(totals).all():
        return CheckLine(
            name,
            BAD,
            "the density grows without limit",
            "Look at the sign (log_density is the logarithm of the density, not minus it), and for terms that are missing.",
        )
    if (totals < 1e-12).any():
        return CheckLine(name, BAD, "the density is zero over the whole support", "Look at support= and the response.")
    low, high = totals.min(), totals.max()
    if high - low <= TOTAL * high:
        return CheckLine(
            name,
            BAD,
            f"it adds up to {low:.4g} at all parameters",
            f"A constant is missing, {-np.log(low):+.4g} in the log-density: estimates are right, log-likelihood and AIC "
            "are not.",
        )
    return CheckLine(
        name,
        BAD,
        f"it adds up to {low:.4g} to {high:.4g}, depending on the parameters",
        "The normalising term is wrong or missing: estimates and standard errors are wrong too.",
    )


def score_and_information(probes: Sequence[Probe]) -> list[CheckLine]:
    """Bartlett's identities: E s = 0, and E s sᵀ = −E ∂²l."""
    names = ("mean score is zero", "both informations agree")
    mean, gap, where = [], [], []
    for probe in probes:
        if not (np.isfinite(probe.responses.total) and len(probe.responses.y)):
            why = "the density does not add up to a number"
            return [CheckLine(name, OPEN, why) for name in names]
        here = probe.at_responses
        e, opg = here.evaluate(probe.z, "hessian", penalised=False), here.evaluate(probe.z, "opg", penalised=False)
        if not all(np.isfinite(x).all() for x in (e.gradient, e.matrix, opg.matrix)):
            why = "a derivative is not finite: see the derivatives below"
            return [CheckLine(name, OPEN, why) for name in names]
        size = np.sqrt(np.maximum(np.diag(opg.matrix), 0.0))
        size = np.where(size > 0, size, 1.0)
        mean.append(np.abs(e.gradient) / size)
        gap.append(np.abs(e.matrix - opg.matrix) / np.outer(size, size))
        where.append(probe)
    worst = [float(m.max(initial=0.0)) for m in mean], [float(g.max(initial=0.0)) for g in gap]
    lines = []
    for values, each, limit, name in zip(worst, (mean, [g.max(axis=0) for g in gap]), (MEAN_SCORE, INFORMATION), names):
        most = int(np.argmax(values))
        if values[most] <= limit:
            unit = "standard deviations of the score" if limit == MEAN_SCORE else "of their size"
            lines.append(CheckLine(name, GOOD, f"to {max(values[most], 1e-16):.0e} {unit}"))
            continue
        guilty = entry_names(where[most].objective)[int(each[most].argmax())]
        lines.append(
            CheckLine(
                name,
                BAD,
                f"off by {values[most]:.2g}, most by {guilty!r}",
                MISMATCH if not any(line.status == BAD for line in lines) else "",
            )
        )
    return lines


def derivatives(
    probes: Sequence[Probe], whole: Objective | None, points: Sequence[np.ndarray], rows: np.ndarray
) -> CheckLine:
    """Whether derivatives are finite over the support and in the data, and those of the function."""
    name, checked = "derivatives are right", 0
    asked = [(whole, z, rows, "row") for z in points] if whole is not None else []
    asked += [(p.at_responses, p.z, p.values, f"{p.response} =") for p in probes if len(p.responses.y)]
    for objective, z, labels, unit in asked:
        blame = find_blame(objective, z, entry_names(objective), labels, unit)
        if blame is not None and unit == "row":
            return CheckLine(name, BAD, blame.words)
        if blame is not None:
            at = ", ".join(f"{y:.4g}" for y in np.unique(labels[blame.units])[:5])
            by = f" by {', '.join(map(repr, blame.parameters))}" if blame.parameters and blame.kind != "value" else ""
            return CheckLine(name, BAD, f"the {blame.kind}{by} is not finite at {unit} {at}", BRANCH)
        found = check_derivatives(objective, z)
        if not found.ok:
            of = who(Reported.at(objective, z), [np.eye(len(z))[i] for i in found.suspects])
            return CheckLine(
                name,
                BAD,
                f"those by {of or 'some parameter'} are not those of the log-density "
                f"(mismatch {max(found.score_error, found.hessian_error):.0e})",
                "Look for abs, max, round, integers, and derivatives of your own (custom_jvp).",
            )
        checked += found.compared
    if not checked:
        return CheckLine(name, OPEN, "there is neither a response to integrate over nor data", "Give data=.")
    return CheckLine(name, GOOD, "finite, and those that differences give")


def identified(objective: Objective, points: Sequence[np.ndarray]) -> CheckLine:
    """Whether the scores of the units span all parameters, at any of the points."""
    name, k = "parameters are identified", objective.size
    if objective.n_units < k:
        return CheckLine(
            name, OPEN, f"{objective.n_units} observations cannot tell of {k} parameters", "Give more rows."
        )
    basis, at = None, points[0]
    for z in points:
        scores = objective.scores(z)
        scores = scores[np.isfinite(scores).all(axis=1)]
        size = np.sqrt((scores**2).sum(axis=0))
        scale = np.where(size > 0, size, 1.0)
        _, s, axes = np.linalg.svd(scores / scale, full_matrices=True)
        s = np.concatenate([s, np.zeros(k - len(s))])
        null = axes[s <= RANK * s.max(initial=0.0)].T / scale[:, None]
        if not null.shape[1]:
            return CheckLine(name, GOOD, f"the information has rank {k}, that of all parameters")
        if basis is None or null.shape[1] < basis.shape[1]:
            basis, at = null, z
    assert basis is not None
    reported = Reported.at(objective, at)
    words = [in_words(reported, v) for v in sparse_basis(basis).T]
    return CheckLine(
        name,
        BAD,
        f"nothing in the data tells of {', '.join(words[:3])}",
        "Hold one of these parameters (fixed=), give it a prior, or write the density with fewer.",
    )


def recovered(
    names: Sequence[str], truth: np.ndarray, coef: np.ndarray, covered: np.ndarray, converged: np.ndarray, ends: float
) -> CheckLine:
    """Whether fits of simulated data find the parameters that made them, and intervals hold these.

    `coef` (G, k) are in standard errors from the truth, `covered` (G, k) whether the intervals hold it.
    """
    name, n, good = "simulated data are recovered", len(converged), int(converged.sum())
    if good < 0.8 * n:
        return CheckLine(
            name, BAD, f"{good} of {n} fits of simulated data have a proved optimum", "More rows may help."
        )
    away, share = coef[converged], covered[converged].mean(axis=0)
    shift = np.abs(away.mean(axis=0))
    found = f"{good} of {n} fits proved; 95 % intervals hold the truth in {100 * share.min():.0f}"
    found += f" to {100 * share.max():.0f} %" if share.max() > share.min() else " %"
    lost = (shift > 0.5 + 4 / np.sqrt(good)) | (share < ends)
    if lost.any():
        guilty = names[int(np.argmax(np.where(lost, shift + 1 - share, -1.0)))]
        return CheckLine(
            name,
            BAD,
            f"{found}; {guilty!r} is {shift.max():.1f} standard errors off on average",
            "The density is not that of the simulated responses, or there are too few rows for Wald intervals.",
        )
    return CheckLine(name, GOOD, found)
