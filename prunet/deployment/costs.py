"""What one round costs in every form, and what a codebook saves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from prunet.deployment import compact, inference, latency
from prunet.deployment.memory import forward_peak_bytes, parameter_bytes
from prunet.deployment.operations import LAYERS, operations
from prunet.deployment.selection import Ticket
from prunet.deployment.sizes import sizes
from prunet.deployment.sparse import UNCHANGED, sparsify
from prunet.graph.shrinking import shrink

WIDE = 64  # images: for more of them the same products are the quickest

Row = dict[str, Any]


def networks(ticket: Ticket) -> tuple[nn.Module, nn.Module]:
    """Return the network with zeros where it was pruned, and the smaller one that gives the same."""
    weights, masks, about = ticket
    masked = inference.build(weights, about)
    return masked, shrink(masked, masks)


def standing(ticket: Ticket, masked: nn.Module, small: nn.Module) -> Row:
    """Measure what does not depend on a clock: bytes on disk, memory, operations for one image.

    Args:
        ticket: the network.
        masked: from `networks`.
        small: from `networks`.

    Returns:
        `round`, `density`; bytes on disk `bytes_dense`, `bytes_gzip`, `bytes_bound` (from `sizes`) and
        `bytes_ticket` (the lossless compact file); `parameters` that survive, biases too, and those of the
        smaller dense network, `parameters_shrunk`; multiply-adds `macs_dense`, `macs_effective` (of surviving
        weights) and `macs_shrunk`; bytes of parameters in RAM, `memory_dense`, `memory_shrunk` and
        `memory_sparse` (the smaller network, its fully connected layers as compressed sparse rows), and at
        the peak of a forward pass of one image beyond them, `peak_dense`, `peak_shrunk`.
    """
    weights, masks, about = ticket
    shape = tuple(about["preparation"]["shape"])
    image = torch.zeros(1, *shape)
    counted = operations(masked, masks, shape)
    gone = sum(int(np.size(mask) - np.count_nonzero(mask)) for mask in masks.values())
    return (
        {"round": about["round"], "density": about["density"]}
        | sizes(weights, masks)
        | {
            "bytes_ticket": len(compact.dumps(weights, masks, about)),
            "parameters": sum(parameter.numel() for parameter in masked.parameters()) - gone,
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
    )


def sparse_bytes(model: nn.Module) -> int:
    """Return the bytes of a model's parameters if its fully connected layers are compressed sparse rows.

    A weight that is not zero takes eight bytes, its value and its column; a row four, where it begins.
    """
    saved = 0
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            rows = 8 * int(layer.weight.count_nonzero()) + 4 * (len(layer.weight) + 1)
            saved += 4 * layer.weight.numel() - rows
    return parameter_bytes(model) - saved


def latencies(
    dense: nn.Module, masked: nn.Module, small: nn.Module, batches: Sequence[Tensor], seconds: float
) -> list[Row]:
    """Time a forward pass of every form on every batch (B, C, H, W), alternating, on the batches' device.

    Forms: `dense` (the unpruned network), `numpy` (the same, its fully connected layers in NumPy, whose
    calls cost less: what is won by that is not won by pruning), `masked` (zeros where it was pruned),
    `shrunk` (`small`: what nothing reaches is removed) and `sparse` (that, every layer by its quickest
    product).

    Returns:
        The rows of `latency.measure` with `device`.
    """
    device = batches[0].device
    forms = {"dense": dense.to(device), "masked": masked.to(device), "shrunk": small.to(device)}
    rows: list[Row] = []
    for images in batches:
        made = {
            "numpy": sparsify(forms["dense"], images, all_in_numpy(dense))[0],
            "sparse": sparsify(forms["shrunk"], images[:WIDE])[0],
        }
        rows += latency.measure(forms | made, [images], seconds)
    return [{"device": device.type} | row for row in rows]


def all_in_numpy(model: nn.Module) -> dict[str, str]:
    """Choose for `sparsify` that fully connected layers are dense products of NumPy, and all else stays."""
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, LAYERS)}
    return {name: "dense" if isinstance(layer, nn.Linear) else UNCHANGED for name, layer in layers.items()}


def best(rows: Sequence[Row]) -> Row:
    """Return the median milliseconds on the CPU for each batch size B.

    `ms_dense_B`, `ms_numpy_B`, `ms_masked_B`, and of the quicker of `shrunk` and `sparse` `ms_best_B` and its
    name, `best_B`.
    """
    flat: Row = {}
    for batch in dict.fromkeys(row["batch"] for row in rows):
        times = {
            row["form"]: row["ms_median"] for row in rows if row["batch"] == batch and row["device"] == "cpu"
        }
        flat |= {f"ms_{form}_{batch}": times.pop(form) for form in ("dense", "numpy", "masked")}
        quickest = min(times, key=lambda form: times[form])
        flat |= {f"ms_best_{batch}": times[quickest], f"best_{batch}": quickest}
    return flat


def quantised(
    ticket: Ticket, bits: Sequence[int], images: NDArray[np.uint8], labels: NDArray[np.int64], dense: Row
) -> list[Row]:
    """Measure size against accuracy: lossless (`bits` 32) and with codebooks of these widths.

    Args:
        ticket: the network.
        bits: a weight, 1 to 8.
        images: (N, C, S, S), the test split.
        labels: (N,).
        dense: `bytes` and `accuracy` of the dense network.

    Returns:
        Rows `round`, `density`, `bits`, `bytes` (of the compact file), `times_smaller` (than dense 32-bit
        floats), `accuracy` and `accuracy_dense` on the test split, 0 to 1.
    """
    rows = []
    for width in (None, *bits):
        content = compact.dumps(*ticket, bits=width)
        weights, _, about = compact.loads(content)
        accuracy = inference.accuracy(inference.build(weights, about), images, labels, about)
        rows.append(
            {
                "round": about["round"],
                "density": about["density"],
                "bits": width or 32,
                "bytes": len(content),
                "times_smaller": dense["bytes"] / len(content),
                "accuracy": accuracy,
                "accuracy_dense": dense["accuracy"],
            }
        )
    return rows
