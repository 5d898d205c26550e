"""Trained networks on disk: one folder for a cell.

`weights.safetensors` holds, for each pruned layer, the values of its survivors alone, so the file shrinks
with the density; `masks.safetensors` holds the masks, one bit a weight; `result.json` what was measured.
Replicates of a cell share the folder: every tensor has a leading dimension R.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from prunet.base import tensors
from prunet.base.errors import InputError
from prunet.base.files import replacing, write_json
from prunet.pruning.masks import Masks, Weights


def cell_folder(path: Path) -> Path:
    """Normalise the folder that DVC names: round 0 comes from `SCHEME/../dense`, before there is a SCHEME."""
    return Path(os.path.normpath(path))


def save_masks(path: Path, masks: Masks) -> None:
    """Write masks {layer: (R, *shape) bool}, one bit a weight, in the order of the dict."""
    bits = {name: np.packbits(mask) for name, mask in masks.items()}
    tensors.write(path, bits, {"shapes": {name: mask.shape for name, mask in masks.items()}})


def load_masks(path: Path) -> Masks:
    """Read masks.

    Raises:
        InputError: the file is missing, cut short, or does not hold masks.
    """
    bits, about = tensors.read(path)
    masks: Masks = {}
    for name, shape in about.get("shapes", {}).items():
        size = int(np.prod(shape))
        if name not in bits or bits[name].size != -(-size // 8):
            raise InputError(f"{path}: the mask of {name} is damaged: run the stage that writes it again.")
        masks[name] = np.unpackbits(bits[name], count=size).reshape(shape).astype(bool)
    if not masks:
        raise InputError(f"{path} does not hold masks: run the stage that writes it again.")
    return masks


def save_cell(folder: Path, weights: Weights, masks: Masks, result: dict[str, Any]) -> None:
    """Write a cell's folder: the surviving `weights` (tensors without a mask go whole), `masks`, `result`."""
    survivors = {name: values[masks[name]] if name in masks else values for name, values in weights.items()}
    with replacing(folder) as partial:
        partial.mkdir()
        save_weights(partial / "weights.safetensors", survivors)
        save_masks(partial / "masks.safetensors", masks)
        write_json(partial / "result.json", result)


def load_network(folder: Path) -> tuple[Weights, Masks]:
    """Read the networks of a cell's folder: weights {tensor: (R, *shape)}, zero where pruned, and masks.

    Raises:
        InputError: a file is missing or cut short, or weights and masks do not belong together.
    """
    masks = load_masks(folder / "masks.safetensors")
    weights = load_weights(folder / "weights.safetensors")
    for name, mask in masks.items():
        survivors = weights.get(name)
        if survivors is None or survivors.shape != (np.count_nonzero(mask),):
            raise InputError(
                f"{folder}: weights and mask of {name} do not belong together: run its stage again."
            )
        weights[name] = np.zeros(mask.shape, np.float32)
        weights[name][mask] = survivors
    return weights, masks


def save_weights(path: Path, weights: Weights) -> None:
    """Write weights {tensor: array}, remembering their order, which is the network's."""
    tensors.write(path, weights, {"order": list(weights)})


def load_weights(path: Path) -> Weights:
    """Read what `save_weights` wrote, in its order.

    Raises:
        InputError: the file is missing, cut short, or does not hold weights.
    """
    arrays, about = tensors.read(path)
    if set(about.get("order", [])) != set(arrays):
        raise InputError(f"{path} does not hold weights: run the stage that writes it again.")
    return {name: arrays[name] for name in about["order"]}
