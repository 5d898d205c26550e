"""Training with the arithmetic of an int8 file, simulated."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn

from prunet.base.errors import InputError
from prunet.cells.masks import Masks, Weights
from prunet.compression import int8
from prunet.compression.int8_arithmetic import simulate
from prunet.compression.int8_rounding import observe
from prunet.training import evaluation, optimizers
from prunet.training.batches import Split, training_batches
from prunet.training.gradients import differentiated

OBSERVATIONS = 10  # of the ranges of activations during a training


@torch.no_grad()
def train(
    model: nn.Module,
    weights: Weights,
    masks: Masks,
    splits: Mapping[str, Split],
    size: int,
    settings: Mapping[str, Any],
    seeds: Mapping[str, int],
    calibration: Iterable[Tensor],
    percentile: float = 100.0,
    ends: bool = True,
) -> tuple[Weights, dict[str, float]]:
    """Train one network so that it is accurate as the int8 file that `int8.quantise` makes of it.

    In each step, weights and activations are rounded to 8 bits, and gradients pass the rounding unchanged
    (Jacob et al. 2018, section 3): small steps add up in weights of 32 bits until they reach another level.
    Norms use their running statistics, which stay; nothing is dropped. Ranges of activations are observed on
    the images of `calibration` before the first step, several times during the training, and after it.

    Args:
        model: the architecture, on the CPU; it is not changed.
        weights: (*shape) of every tensor, zero where pruned.
        masks: (*shape) of every pruned layer, and of biases and norms that go with removed units.
        splits, size: as of `shared_values.train`.
        settings: as of `shared_values.train`. The arithmetic is float32, whatever they say.
        seeds: of the data's `order` and of `augment`.
        calibration: images (B, C, H, W), prepared: those that `int8.quantise` gets, which has the same
            `percentile` and `ends`.

    Returns:
        The weights, and `val_loss`, `val_accuracy` in simulated arithmetic of the network as given, and with
        `_trained` in the end.

    Raises:
        InputError: there are no images, the network has nothing to simulate, or the training diverges.
    """
    device = splits["train"][1].device
    seen = [images.to(device) for images in calibration]
    if not seen:
        raise InputError(int8.NO_IMAGES)
    simulated = simulate(model, torch.zeros(2, *seen[0].shape[1:], device=device), ends)
    network = differentiated(simulated, {**settings, "dtype": "float32"})
    tensors = {name: torch.tensor(values, device=device)[None] for name, values in weights.items()}
    # Without what evaluation does not read, such as the norms' numbers of batches.
    names = dict([*simulated.named_parameters(remove_duplicate=False), *simulated.named_buffers()])
    stack = {name: tensor for name, tensor in tensors.items() if name in names}

    def measured(suffix: str) -> dict[str, float]:
        observe(simulated, lambda images: network.logits(stack, images), seen, percentile)
        losses, accuracies = evaluation.evaluate(network, stack, splits["val"], size)
        return {f"val_loss{suffix}": losses[0], f"val_accuracy{suffix}": accuracies[0]}

    record = measured("")
    trained = {name: stack[name] for name in network.parameters}
    slopes = {name: torch.zeros_like(tensor) for name, tensor in trained.items()}
    alive = {name: torch.ones_like(tensor) for name, tensor in trained.items()}
    alive |= {name: torch.from_numpy(mask).to(device)[None] for name, mask in masks.items() if name in alive}
    step_with, _ = optimizers.build(settings, list(trained.values()), slopes, alive)
    runs, generators = [{"seeds": seeds}], [Generator().manual_seed(seeds["augment"])]
    for step, (images, labels) in training_batches(splits["train"], size, settings, runs, generators, 0):
        if step % max(1, settings["steps"] // OBSERVATIONS) == 0:
            observe(simulated, lambda given: network.logits(stack, given), seen, percentile)
        network.gradients(stack, images, labels, slopes)
        step_with(list(slopes.values()), optimizers.learning_rate(step, settings))
        for name, tensor in trained.items():
            tensor.mul_(alive[name])
    record |= measured("_trained")
    if not all(bool(tensor.isfinite().all()) for tensor in trained.values()):
        raise InputError(f"int8-train diverges after {settings['steps']} steps: lower the learning rate.")
    return {name: tensor[0].cpu().numpy() for name, tensor in tensors.items()}, record
