"""The finite grid of a search: combinations of steps, each with the settings of its steps."""

import json
from collections.abc import Mapping
from itertools import product
from typing import Any, NamedTuple

# Settings of each step, by their names in compress.search; the other steps have none.
OF_STEPS = {
    "prune": ("round",),
    "low-rank": ("amount",),
    "distill": ("share", "temperature"),
    "shared-values": ("bits",),
    "int8": ("percentile", "ends"),
    "int8-train": ("percentile", "ends"),
}
# Where `compress` has a setting, if not by the same name.
PLACES = {"amount": "rank.amount", "share": "distill.share", "temperature": "distill.temperature"}


class Point(NamedTuple):
    """A combination, its steps joined by `+`, and (name, value) of every setting that its steps have."""

    combination: str
    values: tuple[tuple[str, Any], ...]

    def __str__(self) -> str:
        return " ".join([self.combination, *self._values()])

    def _values(self) -> list[str]:
        return [f"{name}={str(value).lower()}" for name, value in self.values]

    def name(self, study: str) -> str:
        """Return the name of the point's experiment."""
        return "-".join([study, *self.combination.split("+"), *self._values()])

    def overrides(self, study: str) -> list[str]:
        """Return the parameters of the point's experiment, as `dvc exp run -S` takes them."""
        changes: dict[str, Any] = {"studies": [study], "combinations": [self.combination.split("+")]}
        changes |= {PLACES.get(name, name): value for name, value in self.values}
        return [f"compress.{place}={json.dumps(value)}" for place, value in changes.items()]


def settings(combination: str) -> list[str]:
    """Return the names of the settings that the steps of a combination have, each once."""
    return list(dict.fromkeys(name for step in combination.split("+") for name in OF_STEPS.get(step, ())))


def every(compress: Mapping[str, Any]) -> list[Point]:
    """Return all points of the block `compress` of params.yaml."""
    points = []
    for combination in dict.fromkeys("+".join(steps) for steps in compress["combinations"]):
        names = settings(combination)
        for values in product(*(dict.fromkeys(compress["search"][name]) for name in names)):
            points.append(Point(combination, tuple(zip(names, values, strict=True))))
    return points
