"""Trained networks on disk: one folder for a cell.

`weights.safetensors` holds, for each pruned layer, the values of its survivors alone, so that the file
shrinks with the density; `masks.safetensors` holds the masks, one bit a weight; `result.json` what was
measured; `kept.safetensors`, if there is one, weights of an earlier step. The replicates of a cell share the
folder: every tensor has a leading dimension R.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from prunet.base import tensors
from prunet.base.errors import InputError
from prunet.base.files import replacing, write_json
from prunet.cells.masks import Masks, Weights

# int64: the number of batches that a norm has seen; bool: fixed masks.
DTYPES = (np.float32, np.int64, np.bool_)


def save_masks(path: Path, masks: Masks, whole_units: bool = False) -> None:
    """Write masks {layer: (R, *shape) bool}, one bit a weight, in the order of the dict.

    `whole_units` records that units were pruned: the biases and norms of empty units go with them.
    """
    bits = {name: np.packbits(mask) for name, mask in masks.items()}
    metadata: dict[str, Any] = {"shapes": {name: mask.shape for name, mask in masks.items()}}
    tensors.write(path, bits, metadata | ({"whole_units": True} if whole_units else {}))


def whole_units(path: Path) -> bool:
    """Return whether the masks in this file removed whole units.

    Raises:
        InputError: the file is missing, cut short, or its mark is damaged.
    """
    marked = tensors.read(path)[1].get("whole_units", False)
    if not isinstance(marked, bool):
        raise _damaged(path, f"the mark of whole units ({marked!r})")
    return marked


def load_masks(path: Path) -> Masks:
    """Read masks.

    Raises:
        InputError: the file is missing, cut short, or does not hold masks; or no weight of a layer survives.
    """
    bits, metadata = tensors.read(path)
    shapes = metadata.get("shapes")
    if not isinstance(shapes, dict) or not shapes or set(shapes) != set(bits):
        raise InputError(f"{path} does not hold masks: run the stage that writes it again.")
    masks: Masks = {}
    for name, shape in shapes.items():
        if not _is_shape(shape) or bits[name].dtype != np.uint8:
            raise _damaged(path, f"the mask of {name}")
        size = math.prod(shape)
        if bits[name].shape != (-(-size // 8),):
            raise _damaged(path, f"the mask of {name}")
        masks[name] = np.unpackbits(bits[name], count=size).reshape(shape).astype(bool)
        if not masks[name].reshape(shape[0], -1).any(axis=1).all():
            raise InputError(
                f"{path}: no weight of {name} survives; run the stages again, starting with `train`."
            )
    if len({len(mask) for mask in masks.values()}) > 1:
        raise _damaged(path, "the number of replicates")
    return masks


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, list) and len(shape) > 1 and all(type(n) is int and n > 0 for n in shape)


def _damaged(path: Path, part: str) -> InputError:
    return InputError(f"{path}: {part} is damaged; run the stage that writes it again.")


def save_cell(
    folder: Path,
    weights: Weights,
    masks: Masks,
    result: dict[str, Any],
    whole_units: bool = False,
    kept: Weights | None = None,
) -> None:
    """Write a cell's folder: the surviving `weights` (tensors without a mask in full), `masks` and `result`.

    `whole_units` as in `save_masks`; `kept` are weights of an earlier step.
    """
    survivors = {name: values[masks[name]] if name in masks else values for name, values in weights.items()}
    with replacing(folder) as partial:
        partial.mkdir()
        save_weights(partial / "weights.safetensors", survivors)
        save_masks(partial / "masks.safetensors", masks, whole_units)
        write_json(partial / "result.json", result)
        if kept:
            save_weights(partial / "kept.safetensors", kept)


def load_network(folder: Path) -> tuple[Weights, Masks]:
    """Read the networks of a cell's folder: weights {tensor: (R, *shape)}, zero where pruned, and masks.

    Raises:
        InputError: a file is missing or cut short, or weights and masks do not match.
    """
    masks = load_masks(folder / "masks.safetensors")
    weights = load_weights(folder / "weights.safetensors")
    replicates = len(next(iter(masks.values())))
    for name in [*masks, *(name for name in weights if name not in masks)]:
        survivors, mask = weights.get(name), masks.get(name)
        expected = replicates if mask is None else np.count_nonzero(mask)
        if survivors is None or len(survivors) != expected or (mask is not None and survivors.ndim > 1):
            raise InputError(f"{folder}: weights and mask of {name} do not match; run its stage again.")
        if mask is not None:
            weights[name] = np.zeros(mask.shape, np.float32)
            weights[name][mask] = survivors
    return weights, masks


def save_weights(path: Path, weights: Weights) -> None:
    """Write weights {tensor: array} with their order, which is the network's."""
    tensors.write(path, weights, {"order": list(weights)})


def load_weights(path: Path) -> Weights:
    """Read the weights that `save_weights` wrote, in their order.

    Raises:
        InputError: the file is missing, cut short, or does not hold weights, all of them finite.
    """
    arrays, metadata = tensors.read(path)
    order = metadata.get("order")
    if not isinstance(order, list) or not order or sorted(map(str, order)) != sorted(arrays):
        raise InputError(f"{path} does not hold weights: run the stage that writes it again.")
    for name, values in arrays.items():
        if values.dtype not in DTYPES or values.ndim == 0:
            raise _damaged(path, f"{name} ({values.dtype} of shape {values.shape})")
        if not np.isfinite(values).all():
            raise _damaged(path, f"{name}, which has values that are not finite,")
    return {name: arrays[name] for name in order}
