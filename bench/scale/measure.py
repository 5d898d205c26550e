"""Measure the growth of a study's cost, and the cost of single parts of it."""

import statistics
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

from bench import machine
from bench.scale import runs
from bench.scale.fit import growth, table
from bench.scale.runs import Cost
from bench.scale.series import AT_A_TIME, HERE, ON_RAY, QUICK, STAGES, Sizes, overheads, training
from prunet.base import files

Found = Mapping[str, Mapping[int, list[Cost]]]  # {series: {size: cost of each repeat}}


def measure(output: Path, quick: bool) -> str:
    """Measure every series in turns; write the results as JSON and return their tables in Markdown."""
    sizes = QUICK if quick else Sizes()
    series = {made.against: made for made in (*training(sizes), *overheads(sizes))}
    found: dict[str, dict[int, list[Cost]]] = {name: {} for name in series}
    for name in tqdm([*series] * sizes.repeats, desc="scale", disable=None, leave=False):
        for size, cost in series[name].run().items():
            found[name].setdefault(size, []).append(cost)
    rows = [
        growth(
            part, name, {size: [getattr(cost, part) for cost in costs] for size, costs in own.items()}, power
        )
        for name, own in found.items()
        for part, power in series[name].expected.items()
    ]
    results = {"quick": quick, "machine": machine.about(1), "growth": rows, "single": single(found)}
    files.write_json(output, results)
    return table(results)


def single(found: Found) -> dict[str, float]:
    """Return what one more of each costs, in seconds or megabytes, and the gain of two networks at a time."""
    most = max(found[STAGES])
    costs = {
        "start of a stage: Python and its modules, s": runs.start_of_a_stage(),
        "DVC's part of an empty stage, s": one_more(found[STAGES], "seconds"),
        "DVC's part of a stage that is up to date, s": runs.more_stages(most, again=True).seconds / most,
        "a LeNet beside its steps (checkpoint, result), s": one_more(found[HERE], "seconds"),
        "a LeNet in memory, MB": one_more(found[HERE], "megabytes"),
    }
    if ON_RAY in found:
        costs["the same LeNet as a task on Ray, s"] = one_more(found[ON_RAY], "seconds")
    largest = max(found[AT_A_TIME[1]])
    one, two = (
        statistics.median(cost.seconds for cost in found[name][largest]) for name in AT_A_TIME.values()
    )
    return costs | {f"{largest} LeNets, two at a time instead of one: times as fast": one / two}


def one_more(found: Mapping[int, list[Cost]], part: str) -> float:
    """Return the slope of a cost between the smallest and the largest size."""
    first, last = min(found), max(found)
    low, high = (statistics.median(getattr(cost, part) for cost in found[size]) for size in (first, last))
    return float((high - low) / (last - first))
