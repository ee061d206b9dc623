"""Numbers in print: as many digits as the standard error supports, and no more."""

from __future__ import annotations

from math import floor, inf, isfinite, log10

MINUS = "−"
NONE = "—"
"""What stands where there is no number."""

SIGNIFICANT = 3
"""Significant digits of a standard error; the estimate is rounded to the same decimal place."""

WITHOUT_ERROR = 6
"""Significant digits of an estimate that has no standard error."""


def decimals_of(value: float, std_error: float) -> int:
    """The decimal place to which an estimate and its standard error are rounded; negative to the left of the point."""
    if isfinite(std_error) and std_error > 0:
        place = SIGNIFICANT - 1 - _exponent(std_error)
        return min(place, 14 - _exponent(value)) if isfinite(value) and value else place
    return WITHOUT_ERROR - 1 - _exponent(value) if isfinite(value) and value else 0


def shared(places: list[int]) -> list[int]:
    """The decimal places of neighbouring rows made one where they are nearly one: two digits of each error remain."""
    return [min(places)] * len(places) if places and max(places) - min(places) <= 1 else places


def in_powers(values: tuple[float, ...], decimals: int) -> bool:
    """Whether a row of numbers is shorter and clearer in powers of ten."""
    largest = max((abs(v) for v in values if isfinite(v)), default=0.0)
    return decimals > 7 or largest >= 1e9


def number(value: float, decimals: int, powers: bool = False) -> str:
    """`value` rounded to a decimal place, with thousands separated; `powers` writes it as 1.23e-7."""
    if value != value:
        return NONE
    if not isfinite(value):
        return "∞" if value > 0 else MINUS + "∞"
    if not powers:
        return _signed(f"{value:,.{max(decimals, 0)}f}")
    if value == 0:
        return "0"
    mantissa, power = f"{value:.{min(max(decimals + _exponent(value), 0), 16)}e}".split("e")
    return _signed(f"{mantissa}e{int(power)}")


def end_of_interval(value: float, decimals: int, powers: bool) -> str:
    """An end of an interval like `number`, but never as zero when it is not."""
    text = number(value, decimals, powers)
    if value and isfinite(value) and not any(c in "123456789" for c in text):
        return number(value, 1 - _exponent(value), _exponent(value) < -5)
    return text


def z_value(z: float) -> str:
    """A test statistic; empty where there is no test."""
    if z != z:
        return ""
    if abs(z) >= 1e7:
        return number(z, 1 - _exponent(z), powers=True)
    return number(z, 2 if abs(z) < 1000 else 0)


def p_value(p: float) -> str:
    """A p-value to three decimals, small ones to one digit; empty where there is no test."""
    if p != p:
        return ""
    if p < 1e-16:
        return "<1e-16"
    if p >= 0.001:
        return f"{p:.3f}"
    mantissa, power = f"{p:.0e}".split("e")
    return f"{mantissa}e{int(power)}"


def count(n: float, noun: str) -> str:
    """`1 row`, `20,190 rows`, `12.5 observations`."""
    shown = f"{n:,.0f}" if float(n).is_integer() else f"{n:,.2f}"
    return f"{shown} {noun}{'' if n == 1 else 's'}"


def seconds(t: float) -> str:
    """A duration: 3 ms, 0.11 s, 12 s, 4 min 05 s."""
    if t != t:
        return NONE
    if t < 0.01:
        return f"{1000 * t:.1g} ms" if t >= 1e-4 else "<0.1 ms"
    if t < 60:
        return f"{t:.2f} s" if t < 1 else f"{t:.1f} s" if t < 10 else f"{t:.0f} s"
    minutes, rest = divmod(round(t), 60)
    return f"{minutes} min {rest:02d} s"


def _exponent(x: float) -> int:
    """The power of ten of the leading digit, after rounding to three digits (0.0009996 is 1.00e-3)."""
    x = abs(x)
    if not 0 < x < inf:
        return 0
    power = floor(log10(x))
    return power + (round(x / 10.0**power, SIGNIFICANT - 1) >= 10) if power > -300 else power


def _signed(text: str) -> str:
    """With a minus sign in place of a hyphen, and none before a number that rounds to zero; powers keep the hyphen."""
    if not text.startswith("-"):
        return text
    return (MINUS if any(c in "123456789" for c in text.split("e")[0]) else "") + text[1:]
