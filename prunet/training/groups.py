"""Groups of networks that train together, each with a checkpoint."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import torch

from prunet.training.cells import Cell, Job
from prunet.training.checkpoints import Checkpoint
from prunet.training.plan import TrainingPlan
from prunet.training.vectors import Stack


class Member(NamedTuple):
    """One network of a cell."""

    cell: Cell
    number: int


class Given(NamedTuple):
    """Inputs from which a group of N networks is trained; they may be sent to another machine.

    Attributes:
        start: start values (N, *shape) of every tensor.
        masks: {layer: (N, *shape) bool}, also of biases and norms of pruned units.
        runs: replicate and seeds of each network.
        plan: of the training.
        cell: name of the first network's cell, for messages.
        teachers: weights (N, *shape) of the networks that teach these, or None.
    """

    start: Stack
    masks: Stack
    runs: list[dict[str, Any]]
    plan: TrainingPlan
    cell: str
    teachers: Stack | None


class Group(NamedTuple):
    """Networks that train as one stack.

    Attributes:
        members: networks whose training has the same plan.
        checkpoint: file of their state, and of their outcome.
    """

    members: tuple[Member, ...]
    checkpoint: Checkpoint

    @property
    def names(self) -> list[tuple[str, int]]:
        """Name of the cell and number of each network."""
        return [(member.cell.name, member.number) for member in self.members]

    def stack(self, arrays: Sequence[dict[str, Any]]) -> Stack:
        """Return the networks' own rows of the arrays of their cells, one dictionary for each member."""
        rows = [slice(member.number, member.number + 1) for member in self.members]
        return {
            name: torch.cat(
                [torch.from_numpy(part[name][row]) for part, row in zip(arrays, rows, strict=True)]
            )
            for name in arrays[0]
        }


@lru_cache(maxsize=1)  # the networks of a cell follow one another
def job(cell: Cell) -> Job:
    """Return what a cell is trained from."""
    return cell.job()


def divide(cells: Sequence[Cell], together: bool, folder: Path, seconds: float) -> list[Group]:
    """Return the networks of some cells in groups.

    Args:
        cells: of one study.
        together: whether networks of the same plan are one group; otherwise each is one.
        folder: of the checkpoints.
        seconds: between two checkpoints.
    """
    members = [Member(cell, number) for cell in cells for number in range(cell.networks)]
    if together:  # of one scheme all rounds have the same plan, or all but round 0
        parts = [tuple(part) for _, part in groupby(members, lambda member: job(member.cell).plan)]
    else:
        parts = [(member,) for member in members]
    return [Group(part, _checkpoint(part, folder, seconds)) for part in parts]


def delete_checkpoints(cells: Sequence[Cell], folder: Path) -> None:
    """Delete the checkpoints of finished cells, also those that a run left when it was killed here."""
    names = {_flat(cell) for cell in cells}
    for path in folder.glob("*.safetensors"):
        first = path.stem.partition("-to-")[0]
        if first.rpartition("-")[0] in names:
            path.unlink()


def _checkpoint(members: Sequence[Member], folder: Path, seconds: float) -> Checkpoint:
    key = " ".join(f"{member.cell.key}/{member.number}" for member in members)
    names = [f"{_flat(member.cell)}-{member.number}" for member in (members[0], members[-1])]
    return Checkpoint(folder / f"{'-to-'.join(dict.fromkeys(names))}.safetensors", key, seconds)


def _flat(cell: Cell) -> str:
    return cell.name.replace("/", "-")
