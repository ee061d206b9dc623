"""Which solver, when the user names none; and why."""

from __future__ import annotations

from ..errors import ModelError
from .em import EM
from .finish import ThenNewton
from .lbfgs import LBFGS
from .newton import BHHH, FisherScoring, Newton
from .newton_cg import NewtonCG
from .solver import Solver

NEWTON_SIZE = 400
"""Up to so many parameters, a Hessian costs less than the gradient steps that it saves."""

MAX_HESSIAN = 3000
"""More parameters than this, and no Hessian is formed: 3,000² numbers are 72 MB."""

BY_NAME = {
    "newton": Newton,
    "lbfgs": LBFGS,
    "newton_cg": NewtonCG,
    "bhhh": BHHH,
    "fisher_scoring": FisherScoring,
    "em": EM,
}


def choose(size: int) -> tuple[Solver | ThenNewton, str]:
    """The solver for an objective of `size` parameters, and the reason in words."""
    if size <= NEWTON_SIZE:
        return Newton(), f"{size} parameter{'s' * (size != 1)}: exact Hessians are cheap"
    if size <= MAX_HESSIAN:
        return ThenNewton(), f"{size:,} parameters: gradients first, for a Hessian has {size:,}² entries"
    return LBFGS(), f"{size:,} parameters: a Hessian has {size:,}² entries"


def resolve(solver: Solver | str | None, size: int) -> tuple[Solver | ThenNewton, str]:
    """The solver that an argument `solver=` names; raises `ModelError` for anything else."""
    if solver is None:
        return choose(size)
    if isinstance(solver, type) and issubclass(solver, Solver):
        raise ModelError(f"solver is the class {solver.__name__}: write {solver.__name__}().")
    if isinstance(solver, str):
        if solver not in BY_NAME:
            raise ModelError(f"There is no solver {solver!r}; choose one of {', '.join(map(repr, BY_NAME))}.")
        return BY_NAME[solver](), "as asked"
    if not callable(getattr(solver, "minimise", None)):
        raise ModelError(
            f"solver must be None, one of {', '.join(map(repr, BY_NAME))}, or an object with a method "
            f"minimise(objective, z, watch); got {solver!r}."
        )
    return solver, "as asked"
