"""Running statistics of batch norms, measured anew."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def averaging(model: nn.Module) -> Iterator[list[str]]:
    """Have batch norms average the statistics of the batches that the model sees, each with the same weight.

    Everything else, dropout for example, is in evaluation mode. At the end the norms get their momentum back.

    Yields:
        Names of the norms' numbers of batches: each average starts anew where its number is zero.
    """
    model.eval()
    norms = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats
    }
    momenta = [norm.momentum for norm in norms.values()]
    for norm in norms.values():
        norm.train()
        norm.momentum = None  # PyTorch's cumulative average
    try:
        yield [f"{name}.num_batches_tracked" for name in norms]
    finally:
        for norm, momentum in zip(norms.values(), momenta, strict=True):
            norm.momentum = momentum
