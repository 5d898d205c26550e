"""Growth of a cost: exponents fitted to measurements, and their table."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

COSTS = {"seconds": ("time", "s"), "megabytes": ("memory", "MB")}


def growth(unit: str, against: str, found: Mapping[int, Sequence[float]], expected: float) -> dict[str, Any]:
    """Fit cost = a x size^exponent by least squares over the logarithms; return a row for the table.

    Args:
        unit: of the values, `seconds` or `megabytes`.
        against: what the sizes count.
        found: {size: values of the repeats}, all greater than 0, of at least three measurements.
        expected: the exponent that the design should have.

    Returns:
        The arguments, with the `exponent` and the ends `low` and `high` of its 95% interval (Student's t). A
        fixed cost bends the line: it lowers the exponent and widens the interval.
    """
    points = np.log([(size, value) for size, values in found.items() for value in values])
    sizes, costs = (points - points.mean(0)).T
    exponent = float(sizes @ costs / (sizes @ sizes))
    freedom = len(points) - 2
    rest = np.square(costs - exponent * sizes).sum() / freedom
    half = float(stats.t.ppf(0.975, freedom) * np.sqrt(rest / (sizes @ sizes)))
    return {
        "unit": unit,
        "against": against,
        "sizes": list(found),
        "values": [list(values) for values in found.values()],
        "exponent": exponent,
        "low": exponent - half,
        "high": exponent + half,
        "expected": expected,
    }


def table(results: Mapping[str, Any]) -> str:
    """Return the tables of exponents and of single costs in Markdown; a sentence if there are no results."""
    if not results:
        return "Not measured yet."
    machine = results["machine"]
    lines = [
        f"Measured on {machine['cores']} cores of {machine['cpu']}, PyTorch {machine['torch']}.",
        "",
        "| cost | against | sizes | smallest to largest | exponent (95% interval) | expected |",
        "|---|---|---|---|--:|--:|",
    ]
    for row in results["growth"]:
        ends = [statistics.median(values) for values in (row["values"][0], row["values"][-1])]
        first, last = (f"{end:,.0f}" if end >= 100 else f"{end:.2g}" for end in ends)
        cost, unit = COSTS[row["unit"]]
        sizes = ", ".join(f"{size:,}" for size in row["sizes"])
        exponent = f"{row['exponent']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
        between, expected = f"{first} to {last} {unit}", f"{row['expected']:g}"
        lines.append(f"| {cost} | {row['against']} | {sizes} | {between} | {exponent} | {expected} |")
    lines += ["", "| single costs | measured |", "|---|--:|"]
    lines += [f"| {name} | {value:.2g} |" for name, value in results["single"].items()]
    return "\n".join(lines)
