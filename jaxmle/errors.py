"""The three ways in which jaxmle speaks up: two errors for bad input, one warning for a fit not to be believed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ModelError(ValueError):
    """The model, or an argument about its parameters, is wrong: raised before anything is compiled."""


class DataError(ValueError):
    """The data cannot be used as they are: names the column, the rows and what was expected."""


class FitWarning(UserWarning):
    """A fit was returned whose optimum is not proved: names the cause and what to do."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error message about an unknown name: the closest known name, and all of them."""
    known = list(dict.fromkeys(map(str, known)))
    folded = {k.lower(): k for k in reversed(known)}
    close = difflib.get_close_matches(str(name).lower(), folded, n=1)
    hint = f" Did you mean {folded[close[0]]!r}?" if close else ""
    shown = ", ".join(repr(k) for k in known[:20]) + (", ..." if len(known) > 20 else "")
    return f"{hint} Known names: {shown or 'none'}."


def rows_in_words(rows: Iterable[int], limit: int = 5) -> str:
    """`rows 3, 7, 12 and 40 more`: the first few of many rows, counted from zero."""
    rows = [int(r) for r in rows]
    word = "row" if len(rows) == 1 else "rows"
    shown = ", ".join(str(r) for r in rows[:limit])
    more = f" and {len(rows) - limit} more" if len(rows) > limit else ""
    return f"{word} {shown}{more}"
