"""Numbers as the report writes them."""

import math

PLUS_MINUS = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"
MINUS, UNKNOWN = "\N{MINUS SIGN}", "\N{EN DASH}"


def percent(share: float) -> str:
    """Return an accuracy, 0 to 1, e.g. `97.56%`; a dash if it is not known."""
    return UNKNOWN if _unknown(share) else f"{100 * share:.2f}%"


def density(share: float) -> str:
    """Return a share of weights with three digits, e.g. `16.8%`."""
    return UNKNOWN if _unknown(share) else f"{100 * share:.3g}%"


def with_interval(value: float, half: float) -> str:
    """Return an accuracy, and half its interval in points if that is known, e.g. `97.56% ± 0.62`."""
    return percent(value) if _unknown(half) else f"{percent(value)}{PLUS_MINUS}{100 * half:.2f}"


def steps(value: float, half: float = math.nan) -> str:
    """Return a number of steps, with half its interval if it is known, e.g. `184 ± 26`."""
    if _unknown(value):
        return UNKNOWN
    return f"{value:.0f}" if _unknown(half) else f"{value:.0f}{PLUS_MINUS}{half:.0f}"


def points(share: float, half: float = math.nan) -> str:
    """Return a difference of two accuracies in percentage points, e.g. `+0.33 ± 0.79`."""
    if _unknown(share):
        return UNKNOWN
    text = f"{100 * share:+.2f}".replace("-", MINUS)
    return text if _unknown(half) else f"{text}{PLUS_MINUS}{100 * half:.2f}"


def size(count: float) -> str:
    """Return bytes with three digits, in powers of 1000, e.g. `32.5 kB`."""
    for unit in ("bytes", "kB", "MB"):
        if count < 999.5:
            return f"{count:.3g}\N{NO-BREAK SPACE}{unit}"
        count /= 1000
    return f"{count:.3g}\N{NO-BREAK SPACE}GB"


def times(ratio: float) -> str:
    """Return a ratio with three digits, e.g. `6.24`."""
    return f"{ratio:.3g}"


def milliseconds(value: float) -> str:
    """Return a time with three digits, e.g. `0.0098 ms`."""
    return f"{value:.3g}\N{NO-BREAK SPACE}ms"


def listed(names: list[str]) -> str:
    """Return `a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def known(value: float) -> float | None:
    """Return a value as JSON can hold it: None in place of NaN."""
    return None if _unknown(value) else float(value)


def _unknown(value: float | None) -> bool:
    return value is None or not math.isfinite(value)
