"""Knowledge distillation (Hinton et al. 2015, section 2): dense networks teach pruned ones."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from prunet.training.batches import Split, drawn
from prunet.training.evaluation import images_at_once
from prunet.training.gradients import Network
from prunet.training.pixels import centre
from prunet.training.vectors import Stack


class Teachers(NamedTuple):
    """Trained networks that teach N others, one each.

    Attributes:
        network: computes their logits.
        weights: (N, *shape) of every tensor.
    """

    network: Network
    weights: Stack


@torch.no_grad()
def logits(
    teachers: Teachers,
    training: Split,
    size: int,
    settings: Mapping[str, Any],
    runs: Sequence[Mapping[str, Any]],
    done: int,
) -> Callable[[Tensor], Tensor]:
    """Return a function that maps the images of each step to the logits of the teachers, (N, B, classes).

    It is called once for every step after `done`, in their order, with that step's images (N, B, C, H, W).
    Where every epoch has the same images, in memory, the logits of all of them are computed beforehand.

    Args:
        teachers: of the networks.
        training: the training split.
        size: pixels a side that the model sees.
        settings: the study's `training` block of params.yaml.
        runs: for each network its `seeds`.
        done: the last step that was taken before.
    """
    images, labels = training
    network = teachers.network
    stack = {name: tensor.to(labels.device) for name, tensor in teachers.weights.items()}
    changing = settings["augment"] != "none" or settings["mixup"] or settings["cutmix"]
    if changing or not isinstance(images, Tensor):
        each = [{name: rows[[number]] for name, rows in stack.items()} for number in range(len(runs))]
        return lambda batch: torch.cat(
            [network.logits(own, part) for own, part in zip(each, batch, strict=True)]
        )
    parts = torch.split(images, images_at_once(images.shape))
    known = torch.cat([network.logits(stack, centre(part, size)) for part in parts], 1)
    numbers = drawn(len(images), settings, runs, done)
    rows = torch.arange(len(runs), device=images.device).unsqueeze(1)
    return lambda _: known[rows, next(numbers).to(images.device)]
