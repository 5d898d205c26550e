"""What a network takes on disk: dense, zipped, and at least."""

import gzip
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as safetensors_bytes

from prunet.pruning.masks import Masks, Weights


def sizes(weights: Weights, masks: Masks) -> dict[str, int]:
    """Return the bytes of one network's file; that of its ticket is `len(compact.dumps(...))`.

    Args:
        weights: every tensor, (*shape).
        masks: (*shape) of every pruned layer.

    Returns:
        `bytes_dense`: all tensors, as a safetensors file. `bytes_gzip`: that file with its pruned weights
        zero, after gzip -9. `bytes_bound`: what a file that keeps every survivor bit by bit takes at least if
        the places of the survivors are independent and no value is likelier than another.
    """
    pruned = {
        name: np.where(masks[name], values, 0) if name in masks else values
        for name, values in weights.items()
    }
    return {
        "bytes_dense": len(_file(weights)),
        "bytes_gzip": len(gzip.compress(_file(pruned), 9, mtime=0)),
        "bytes_bound": math.ceil(sum(_bits(values, masks.get(name)) for name, values in weights.items()) / 8),
    }


def _file(weights: Weights) -> bytes:
    data: bytes = safetensors_bytes(weights)
    return data


def _bits(values: NDArray[Any], mask: NDArray[np.bool_] | None) -> float:
    """Return the bits of a tensor: the entropy of its mask (Shannon 1948) and the survivors' own."""
    if mask is None:
        return 8 * values.nbytes
    survivors = int(np.count_nonzero(mask))
    shares = survivors / mask.size, 1 - survivors / mask.size
    entropy = -sum(share * math.log2(share) for share in shares if share)
    return mask.size * entropy + 8 * values.itemsize * survivors
