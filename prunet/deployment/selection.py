"""Selection of one trained network from a cell, with the metadata that its users need."""

from pathlib import Path
from typing import Any

import numpy as np

from prunet.base.errors import InputError
from prunet.cells import results
from prunet.cells import storage as cells
from prunet.cells.masks import Masks, Weights, density
from prunet.training import batches

Ticket = tuple[Weights, Masks, dict[str, Any]]  # tensors (*shape), masks (*shape), metadata

# Keys of the block `crop` of params.yaml that a ticket of faces keeps, so that faces are found in use as they
# were for training.
FINDING = ("min_confidence", "min_size", "keep", "margin", "max_side")


def about_study(
    study: dict[str, Any], finding: dict[str, dict[str, Any]] | None, data: dict[str, Any]
) -> dict[str, Any]:
    """Return the metadata that all tickets of a study share.

    Args:
        study: its block of params.yaml, with its `name`.
        finding: the blocks `crop` and `resize` of params.yaml; None if the images are not faces.
        data: the study's data set, from `prunet.data.images.dataset.load`.

    Returns:
        `study`, `model`, `head`, `class_names`, `preparation` (from `batches.preparation`) and `faces`: how
        faces were found and cropped, None for other images.
    """
    faces = None
    if finding is not None:
        faces = {key: finding["crop"][key] for key in FINDING} | {"size": finding["resize"]["size"]}
    return {
        "study": study["name"],
        "model": study["model"],
        "head": study["head"],
        "class_names": data["class_names"],
        "preparation": batches.preparation(
            data,
            study["input_size"],
            study["training"]["augment"],
            study["normalise"],
            study["interpolation"],
        ),
        "faces": faces,
    }


def select(folder: Path, replicate: int, metadata: dict[str, Any]) -> Ticket:
    """Read one replicate's network, the first of its draws, from a cell's folder.

    The returned metadata adds `replicate`, `density` and `test_accuracy` (at the last step, the step of these
    weights) to `metadata`.

    Raises:
        InputError: the cell does not exist, is damaged, or does not have this replicate.
    """
    weights, masks = cells.load_network(folder)
    networks = results.read(folder / "result.json")["networks"]
    replicates = [network["replicate"] for network in networks]
    if replicate not in replicates:
        raise InputError(
            f"{folder} has replicates 0 to {max(replicates)}, not {replicate}; choose one of them."
        )
    index = replicates.index(replicate)
    chosen = {name: np.ascontiguousarray(mask[index]) for name, mask in masks.items()}
    own = {"replicate": replicate, "density": density(chosen)}
    own["test_accuracy"] = networks[index]["final"]["test_accuracy"]
    return {name: np.array(values[index]) for name, values in weights.items()}, chosen, metadata | own
