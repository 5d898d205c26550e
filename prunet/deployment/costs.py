"""Costs of one ticket that do not depend on a clock: bytes on disk, memory, and operations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from prunet.deployment import compact, inference
from prunet.deployment.memory import forward_peak_bytes, parameter_bytes
from prunet.deployment.metadata import Storage
from prunet.deployment.operations import operations
from prunet.deployment.selection import Ticket
from prunet.deployment.sizes import sizes
from prunet.training.streams import Images

LOSSLESS = 32  # bits of a float, the width of a ticket without a codebook

Row = dict[str, Any]


def on_disk(
    ticket: Ticket,
    bits: Sequence[int],
    images: Images,
    labels: NDArray[np.int64],
    accuracy_dense: float,
) -> tuple[Row, list[Row]]:
    """Measure a ticket's bytes on disk, and its size and accuracy without and with a codebook.

    Args:
        ticket: the network.
        bits: widths of codebook entries, 1 to 8.
        images: (N, C, S, S), the test split.
        labels: (N,).
        accuracy_dense: test accuracy of the unpruned network, 0 to 1.

    Returns:
        `bytes_dense`, `bytes_gzip`, `bytes_bound` (from `sizes`) and `bytes_ticket` (of the lossless file);
        and rows with `round`, `density`, `bits` (32: lossless), `bytes` of the ticket file, `times_smaller`
        (than dense 32-bit floats), `accuracy` on the test split and `accuracy_dense`.
    """
    weights, masks, metadata = ticket
    files = {width or LOSSLESS: compact.dumps(*ticket, Storage(width)) for width in (None, *bits)}
    row = sizes(weights, masks) | {"bytes_ticket": len(files[LOSSLESS])}
    quantised = []
    for width, content in files.items():
        read = weights if width == LOSSLESS else compact.loads(content, trusted=metadata["model"])[0]
        quantised.append(
            {
                "round": metadata["round"],
                "density": metadata["density"],
                "bits": width,
                "bytes": len(content),
                "times_smaller": row["bytes_dense"] / len(content),
                "accuracy": inference.accuracy(inference.build(read, metadata), images, labels, metadata),
                "accuracy_dense": accuracy_dense,
            }
        )
    return row, quantised


def in_memory(ticket: Ticket, masked: nn.Module, small: nn.Module) -> Row:
    """Count the parameters, operations and memory of a ticket for one image.

    Args:
        ticket: the network.
        masked: its model, with zeros for pruned weights.
        small: the smaller model with the same outputs, from `shrink`.

    Returns:
        `parameters` that survive, biases included, and those of the smaller model, `parameters_shrunk`;
        multiply-adds `macs_dense`, `macs_effective` (of surviving weights) and `macs_shrunk`; bytes of
        parameters in memory, `memory_dense`, `memory_shrunk` and `memory_sparse` (the smaller model with
        compressed sparse rows for fully connected layers); and the peak of a forward pass beyond them,
        `peak_dense` and `peak_shrunk`.
    """
    _, masks, metadata = ticket
    shape = tuple(metadata["preparation"]["shape"])
    image = torch.zeros(1, *shape)
    counted = operations(masked, masks, shape)
    pruned = sum(int(np.size(mask) - np.count_nonzero(mask)) for mask in masks.values())
    return {
        "parameters": sum(parameter.numel() for parameter in masked.parameters()) - pruned,
        "parameters_shrunk": sum(parameter.numel() for parameter in small.parameters()),
        "macs_dense": counted["macs_dense"],
        "macs_effective": counted["macs_effective"],
        "macs_shrunk": operations(small, {}, shape)["macs_dense"],
        "memory_dense": parameter_bytes(masked),
        "memory_shrunk": parameter_bytes(small),
        "memory_sparse": sparse_bytes(small),
        "peak_dense": forward_peak_bytes(masked, image),
        "peak_shrunk": forward_peak_bytes(small, image),
    }


def sparse_bytes(model: nn.Module) -> int:
    """Return the bytes of a model's parameters if its fully connected layers were compressed sparse rows.

    A nonzero weight takes eight bytes, for its value and its column; a row takes four, for its start.
    """
    saved = 0
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            rows = 8 * int(layer.weight.count_nonzero()) + 4 * (len(layer.weight) + 1)
            saved += 4 * layer.weight.numel() - rows
    return parameter_bytes(model) - saved
