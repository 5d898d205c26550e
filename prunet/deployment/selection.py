"""One network out of a study's cells, with all that its user needs to know of it."""

from pathlib import Path
from typing import Any

import numpy as np

from prunet.base.errors import InputError
from prunet.cells import results
from prunet.cells import storage as tickets
from prunet.config import params
from prunet.config.data import Finding
from prunet.pruning.masks import Masks, Weights, density
from prunet.training import batches

Ticket = tuple[Weights, Masks, dict[str, Any]]  # tensors (*shape), masks (*shape), what is said about them


def about_study(values: dict[str, Any], name: str, data: dict[str, Any]) -> dict[str, Any]:
    """Say how a study's images are prepared and what its networks answer: the same for all its tickets.

    Args:
        values: of params.yaml.
        name: of the study.
        data: its dataset, as `prunet.data.dataset.load` returns it.

    Returns:
        `study`, `model`, `class_names`, `preparation` (from `batches.preparation`) and `faces`: how faces
        were found and cut out, None for other images.
    """
    block = params.study(values, name)
    found = {key: values["crop"][key] for key in Finding.model_fields}
    return {
        "study": name,
        "model": block["model"],
        "class_names": data["class_names"],
        "preparation": batches.preparation(data, block["input_size"], block["training"]["augment"]),
        "faces": found | {"size": values["resize"]["size"]} if block["dataset"] == "faces" else None,
    }


def select(folder: Path, replicate: int, about: dict[str, Any]) -> Ticket:
    """Read one replicate's network from the folder of a cell.

    Of several draws of one replicate it is the first. To `about` come `replicate`, `density` and
    `test_accuracy` (at the last step, whose weights these are).

    Raises:
        InputError: the cell does not exist or is damaged, or has no such replicate.
    """
    weights, masks = tickets.load_network(folder)
    result = results.read(folder / "result.json")
    replicates = [network["replicate"] for network in result["networks"]]
    if replicate not in replicates:
        raise InputError(f"{folder} has replicates 0 to {max(replicates)}, not {replicate}: choose one.")
    index = replicates.index(replicate)
    own = {name: np.ascontiguousarray(mask[index]) for name, mask in masks.items()}
    return (
        {name: np.array(values[index]) for name, values in weights.items()},
        own,
        about
        | {
            "replicate": replicate,
            "density": density(own),
            "test_accuracy": result["networks"][index]["final"]["test_accuracy"],
        },
    )
