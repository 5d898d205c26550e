"""Finished networks, gathered into the folders of their cells."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from prunet.cells import storage
from prunet.cells.masks import density
from prunet.training import groups, loop
from prunet.training.cells import Cell
from prunet.training.groups import Group
from prunet.training.loop import Finished

Part = tuple[Finished, int]  # a group's outcome, and the number of the network in it


def save(cells: Sequence[Cell], divided: Sequence[Group], folder: Path, made: Mapping[str, Any]) -> None:
    """Write the folders of cells whose networks are all finished, with one cell at a time in memory.

    Args:
        cells: of one study.
        divided: their networks.
        folder: gets a folder for each cell, with its weights, masks and result.json.
        made: what result.json has of the study's training.

    Raises:
        InputError: the outcome of a group was removed or damaged.
    """
    trained = {
        (member.cell.name, member.number): (group.checkpoint, number)
        for group in divided
        for number, member in enumerate(group.members)
    }
    load = lru_cache(max((cell.networks for cell in cells), default=0))(loop.load_finished)
    for cell in cells:
        own = [trained[cell.name, number] for number in range(cell.networks)]
        parts = [(load(checkpoint), number) for checkpoint, number in own]
        job = groups.job(cell)
        masks = _gathered(parts, "masks", job.masks)
        networks = [part.results[number] for part, number in parts]
        result = {
            "key": cell.key,
            "density": density(masks),
            "layer_density": {name: density({name: mask}) for name, mask in masks.items()},
            "processor": ", ".join(sorted({network["processor"] for network in networks})),
            **made,
            "networks": networks,
        }
        weights = _gathered(parts, "weights", job.weights)
        kept = _gathered(parts, "kept", job.weights) if parts[0][0].kept else None
        storage.save_cell(folder / cell.name, weights, masks, result, job.whole_units, kept)


def _gathered(parts: Sequence[Part], kind: str, names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: np.stack([getattr(part, kind)[name][number] for part, number in parts]) for name in names}
