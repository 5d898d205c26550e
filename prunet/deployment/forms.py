"""Forms in which a network can run, and their inference times."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from prunet.deployment import latency
from prunet.deployment.costs import Row
from prunet.deployment.sparse import sparsify

WIDE = 64  # images; the fastest products for larger batches are the same


def timed_rounds(rounds: Sequence[str], count: int) -> list[str]:
    """Choose `count` rounds, evenly spaced from the first to the last; at least these two, at most all."""
    chosen = np.linspace(0, len(rounds) - 1, min(max(count, 2), len(rounds))).round().astype(int)
    return [rounds[number] for number in chosen]


def latencies(
    dense: nn.Module, masked: nn.Module, small: nn.Module, batches: Sequence[Tensor], seconds: float
) -> list[Row]:
    """Measure the time of every form on every batch (B, C, H, W), on the CPU and, if there is one, a GPU.

    Forms: `dense` (the unpruned network), `numpy` (the same with fully connected layers in NumPy, whose calls
    are cheaper; this gain is not due to pruning), `masked` (zeros for pruned weights), `shrunk` (`small`,
    without unused features) and `sparse` (that, with the fastest product for each layer).

    Returns:
        The rows of `latency.measure`, with `device`.
    """
    in_numpy = {name: "dense" for name, layer in dense.named_modules() if isinstance(layer, nn.Linear)}
    rows: list[Row] = []
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        forms = {"dense": dense.to(device), "masked": masked.to(device), "shrunk": small.to(device)}
        for images in (batch.to(device) for batch in batches):
            made = {
                "numpy": sparsify(dense, images, in_numpy)[0],
                "sparse": sparsify(small, images[:WIDE])[0],
            }
            rows += [{"device": device} | row for row in latency.measure(forms | made, [images], seconds)]
    return rows


def best(rows: Sequence[Row]) -> Row:
    """Return the median milliseconds on the CPU for each batch size B.

    These are `ms_dense_B`, `ms_numpy_B`, `ms_masked_B`, and `ms_best_B` of the faster one of `shrunk` and
    `sparse`, whose name is `best_B`.
    """
    flat: Row = {}
    for batch in dict.fromkeys(row["batch"] for row in rows):
        times = {
            row["form"]: row["ms_median"] for row in rows if row["batch"] == batch and row["device"] == "cpu"
        }
        flat |= {f"ms_{form}_{batch}": times.pop(form) for form in ("dense", "numpy", "masked")}
        fastest = min(times, key=lambda form: times[form])
        flat |= {f"ms_best_{batch}": times[fastest], f"best_{batch}": fastest}
    return flat
