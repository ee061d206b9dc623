"""A formula that has seen data: its text and what it learnt, so that new rows are coded the same way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Formula:
    """The terms of a linear predictor with stored levels, knots and contrasts.

    Arguments:
        text: the formula, starting with `~`.
        state: what was learnt from the data, as JSON.
        functions: (name, function) of what the formula may call beside the known functions.
    """

    text: str
    state: str
    functions: tuple[tuple[str, Callable[..., Any]], ...] = ()
