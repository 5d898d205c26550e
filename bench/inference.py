"""Inference of pruned networks: sparse LeNet-300-100 and LightCNN-9, and a shrunk LightCNN-9.

All on one thread. Every speedup is the ratio of two medians from one run.
"""

import copy
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from bench import machine
from bench.machine import Found
from prunet.cells.masks import Masks
from prunet.deployment import latency
from prunet.deployment.operations import operations
from prunet.deployment.sparse import sparsify
from prunet.models import built_in as models
from prunet.pruning.removal import remove_lowest
from prunet.shrinking.shrinking import shrink

DIGITS = (1, 28, 28)
FACES = 7  # classes


class Sizes(NamedTuple):
    """Size of the measurement."""

    sparsities: tuple[int, ...] = (50, 80, 90, 95, 98, 99)  # percent of LeNet's weights that are pruned
    batches: tuple[int, ...] = (1, 64, 256)  # images, LeNet
    face_size: int = 128  # pixels a side, LightCNN
    face_batches: tuple[int, ...] = (1, 16)
    seconds: float = 0.3  # for one form and batch
    face_seconds: float = 2.0
    repeats: int = 3


QUICK = Sizes((95,), (1,), face_size=16, face_batches=(1,), seconds=0.01, face_seconds=0.01, repeats=2)


def measure(quick: bool, threads: int) -> tuple[dict[str, float], Found]:
    """Measure the speedup of pruned networks over dense ones in eager PyTorch, on one thread.

    `lenet_numpy_speedup` is that of LeNet at batch 1 with all its weights, from cheaper calls alone.
    """
    sizes = QUICK if quick else Sizes()
    with torch.no_grad():
        jobs = lenet_jobs(sizes) | light_cnn_jobs(sizes)
    found = machine.alternate({name: job.speedup for name, job in jobs.items()}, sizes.repeats)
    reductions = {name: job.reduction for name, job in jobs.items() if job.reduction}
    for name, reduction in reductions.items():
        share = name.replace("speedup", "share_of_flop_reduction")
        found[share] = [speedup / reduction for speedup in found[name]]
    return machine.medians(found), found


class Job(NamedTuple):
    """A dense network and another form of it.

    Attributes:
        dense, other: the forms.
        images: (B, C, H, W).
        seconds: for each form.
        reduction: multiply-adds of the dense form divided by those of the other form, or None.
    """

    dense: nn.Module
    other: nn.Module
    images: Tensor
    seconds: float
    reduction: float | None = None

    def speedup(self) -> float:
        """Return the time of the dense form divided by that of the other form."""
        forms = {"dense": self.dense, "other": self.other}
        dense, other = latency.measure(forms, [self.images], self.seconds)
        return float(dense["ms_median"] / other["ms_median"])


def lenet_jobs(sizes: Sizes) -> dict[str, Job]:
    """Return sparse LeNets of every sparsity and batch, and one with all weights in NumPy."""
    model = initial(models.MODELS["lenet-300-100"](DIGITS, 10))
    image = torch.rand(1, *DIGITS)
    in_numpy, _ = sparsify(model, image, dict.fromkeys(("fc1", "fc2", "output"), "dense"))
    jobs = {"lenet_numpy_speedup": Job(model, in_numpy, image, sizes.seconds)}
    for batch in sizes.batches:
        images = torch.rand(batch, *DIGITS)
        for sparsity in sizes.sparsities:
            sparse, _ = sparsify(masked(model, lowest(model, sparsity / 100)), images)
            name = f"lenet_sparse_speedup_{sparsity}{suffix(batch)}"
            jobs[name] = Job(model, sparse, images, sizes.seconds)
    return jobs


def light_cnn_jobs(sizes: Sizes) -> dict[str, Job]:
    """Return a shrunk LightCNN without half of its max-feature-map pairs, and a sparse one at 95%."""
    shape = (1, sizes.face_size, sizes.face_size)
    model = initial(models.MODELS["light-cnn-9"](shape, FACES))
    pairs = half_of_pairs(model)
    shrunk = shrink(masked(model, pairs), pairs)
    macs, left = (operations(form, {}, shape)["macs_dense"] for form in (model, shrunk))
    pruned = masked(model, lowest(model, 0.95))
    jobs: dict[str, Job] = {}
    for batch in sizes.face_batches:
        images = torch.rand(batch, *shape)
        sparse, _ = sparsify(pruned, images)
        jobs |= {
            f"lightcnn_shrunk_speedup{suffix(batch)}": Job(
                model, shrunk, images, sizes.face_seconds, macs / left
            ),
            f"lightcnn_sparse_speedup_95{suffix(batch)}": Job(model, sparse, images, sizes.face_seconds),
        }
    return jobs


def suffix(batch: int) -> str:
    """Return the end of a name: the batch size, unless it is 1."""
    return "" if batch == 1 else f"_batch_{batch}"


def initial(model: nn.Module) -> nn.Module:
    """Give a model its initial weights."""
    model.load_state_dict(models.initial_weights(partial(copy.deepcopy, model), 0, "glorot"))
    return model.eval()


def weights_of(model: nn.Module) -> dict[str, Any]:
    """Return the prunable weights as arrays (*shape)."""
    return {name: model.get_parameter(name).detach().numpy() for name in models.prunable(model)}


def lowest(model: nn.Module, rate: float) -> Masks:
    """Prune the share `rate` of every layer's weights with the lowest magnitudes."""
    return {
        name: remove_lowest(np.abs(values).ravel(), np.ones(values.size, bool), rate).reshape(values.shape)
        for name, values in weights_of(model).items()
    }


def half_of_pairs(model: nn.Module) -> Masks:
    """Prune half of the feature pairs of every max-feature-map, those with the smallest L2 norms."""
    masks = {name: np.ones(values.shape, bool) for name, values in weights_of(model).items()}
    for name, values in list(weights_of(model).items())[:-1]:  # none follows the output layer
        pairs = len(values) // 2
        norms = np.square(values.reshape(2, pairs, -1)).sum((0, 2))
        gone = np.argsort(norms, kind="stable")[: pairs // 2]
        masks[name][[*gone, *(gone + pairs)]] = False
    return masks


def masked(model: nn.Module, masks: Masks) -> nn.Module:
    """Return a copy of the model with zeros for its pruned weights."""
    pruned = copy.deepcopy(model)
    for name, mask in masks.items():
        pruned.get_parameter(name).data.mul_(torch.from_numpy(mask))
    return pruned
