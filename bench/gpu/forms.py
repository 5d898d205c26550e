"""Inference times of the forms of pruned networks: dense, masked, shrunk and 2:4."""

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.sparse import to_sparse_semi_structured

from bench import inference
from bench.gpu.inputs import Sizes, shape_of
from bench.gpu.report import Row
from bench.half_units import without_half
from prunet.deployment import latency
from prunet.models.built_in import MODELS
from prunet.pruning.patterns import keep_best

ROWS, COLUMNS = 32, 64  # a 2:4 layer's outputs and inputs are multiples of these


def forms(device: torch.device, sizes: Sizes) -> Iterator[Row]:
    """Measure networks in bfloat16: dense, half of the weights masked, half of the units gone, and 2:4.

    In the 2:4 form only linear layers use the GPU's sparse products: PyTorch has none for convolutions.
    """
    for name in ("lenet-300-100", "light-cnn-9", "vgg-16"):
        shape, classes = shape_of(name, sizes)
        model = inference.initial(MODELS[name](shape, classes))
        semi, count = semi_structured(model, device)
        networks = {
            "masked": inference.masked(model, inference.lowest(model, 0.5)),
            "shrunk": without_half(copy.deepcopy(model), shape).eval(),
            "dense": model,
        }
        made = {form: network.to(device, torch.bfloat16) for form, network in networks.items()} | {
            "2:4": semi
        }
        for batch in sizes.inference:
            images = torch.randn(batch, *shape, device=device, dtype=torch.bfloat16)
            rows = latency.measure(made, [images], sizes.seconds)
            times = {row["form"]: row["ms_median"] for row in rows}
            yield Row(f"{name}, batch {batch}: dense, ms", times["dense"])
            for form in ("masked", "shrunk", "2:4"):
                note = f"{count} layers" if form == "2:4" else ""
                yield Row(
                    f"{name}, batch {batch}: {form}, times faster", times["dense"] / times[form], note=note
                )


def product(device: torch.device, sizes: Sizes) -> Iterator[Row]:
    """Measure one large linear layer, dense and 2:4: the most that the pattern can save."""
    side = sizes.matrix
    dense = nn.Linear(side, side)
    semi, _ = semi_structured(dense, device)
    images = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    made = {"dense": dense.to(device, torch.bfloat16), "2:4": semi}
    rows = latency.measure(made, [images], sizes.seconds)
    times = {row["form"]: row["ms_median"] for row in rows}
    yield Row(f"linear layer {side}x{side}, batch {side}: 2:4, times faster", times["dense"] / times["2:4"])


def semi_structured(model: nn.Module, device: torch.device) -> tuple[nn.Module, int]:
    """Return a copy in bfloat16 whose linear layers have the 2:4 pattern, and how many layers that are.

    On a GPU their weights are stored and multiplied as sparse ones; on a CPU they are zeros.
    """
    pruned = copy.deepcopy(model).to(device, torch.bfloat16)
    layers = [layer for layer in pruned.modules() if isinstance(layer, nn.Linear)]
    fitting = [layer for layer in layers if not (layer.out_features % ROWS or layer.in_features % COLUMNS)]
    for layer in fitting:
        weight = layer.weight.detach()
        scores = weight.float().abs().cpu().numpy()
        mask = torch.from_numpy(keep_best(scores, np.ones(scores.shape, bool), "2:4")).to(device)
        zeros = weight * mask
        sparse = to_sparse_semi_structured(zeros) if device.type == "cuda" else zeros
        layer.weight = nn.Parameter(sparse, requires_grad=False)
    return pruned, len(fitting)
