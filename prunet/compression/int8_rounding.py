"""Rounding of weights and activations to 8 bits and back, as ONNX Runtime does it.

PyTorch's `fake_quantize` operations round; their gradients are those of the identity, and zero where a value
is cut off.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

BINS = 2048  # of ONNX Runtime's histograms, for percentiles
TINY = torch.finfo(torch.float32).tiny  # below it, ONNX Runtime takes 1 as the scale
AT_ONCE = 256  # images; bounds the memory


class Weight(nn.Module):
    """A weight, rounded to the nearest of 255 multiples of a scale for each output.

    Args:
        axis: of the outputs.

    Attributes:
        exact: whether it stays as it is.
    """

    def __init__(self, axis: int) -> None:
        super().__init__()
        self._axis, self.exact = axis, False

    def forward(self, values: Tensor) -> Tensor:
        """Return rounded values, from -127 to 127 times the scale; the largest stay."""
        if self.exact:
            return values
        others = [axis for axis in range(values.ndim) if axis != self._axis]
        scales = values.detach().abs().amax(others) / 127
        scales = torch.where(scales < TINY, 1, scales)
        zeros = torch.zeros_like(scales, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(values, scales, zeros, self._axis, -127, 127)


class Activation(nn.Module):
    """An activation, rounded to 256 levels of its range, which contains zero.

    Attributes:
        low, high: the lowest and the highest value while the range is observed, and its ends afterwards.
    """

    def __init__(self) -> None:
        super().__init__()
        self.low = self.high = 0.0
        self.counts: Tensor | None = None
        self.observe: Callable[[Tensor], None] | None = None

    def forward(self, values: Tensor) -> Tensor:
        """Return rounded values; while the range is observed, the values as they are."""
        if self.observe:
            self.observe(values)
            return values
        scale = (self.high - self.low) / 255
        if scale < TINY:
            scale = 1.0
        return torch.fake_quantize_per_tensor_affine(values, scale, round(-self.low / scale), 0, 255)

    def widen(self, values: Tensor) -> None:
        """Let the range contain these values."""
        low, high = values.aminmax()
        self.low, self.high = min(self.low, float(low)), max(self.high, float(high))

    def count(self, values: Tensor) -> None:
        """Count these values in a histogram around zero."""
        largest = max(-self.low, self.high)
        counts = torch.histc(values, BINS, -largest, largest)
        self.counts = counts if self.counts is None else self.counts + counts

    def cut(self, percentile: float) -> None:
        """Cut off the outermost values of the histogram, as many on either side."""
        assert self.counts is not None
        largest, outside = max(-self.low, self.high), (100 - percentile) / 200
        shares = (self.counts.double() / self.counts.double().sum()).cumsum(0)
        ends = torch.searchsorted(shares, shares.new_tensor([outside, 1 - outside])) * 2 / BINS - 1
        left, right = (ends * largest).tolist()
        self.low = min(0.0, max(self.low, left))
        self.high = max(0.0, min(self.high, right))
        self.counts = None


@torch.no_grad()
def observe(
    simulated: nn.Module, run: Callable[[Tensor], Any], batches: Iterable[Tensor], percentile: float = 100.0
) -> None:
    """Set the ranges of activations by images, as `int8.quantise` does: without rounding.

    Args:
        simulated: from `simulate`.
        run: runs it on images, with the weights that are to be observed.
        batches: images (B, C, H, W).
        percentile: as of `int8.quantise`.
    """
    images = [part for batch in batches for part in torch.split(batch, AT_ONCE)]
    modules = list(simulated.modules())
    weights = [module for module in modules if isinstance(module, Weight)]
    activations = [module for module in modules if isinstance(module, Activation)]
    for weight in weights:
        weight.exact = True
    for activation in activations:
        activation.low = activation.high = 0.0
        activation.observe = activation.widen
    for part in images:
        run(part)
    if percentile < 100:
        for activation in activations:
            activation.observe = activation.count
        for part in images:
            run(part)
        for activation in activations:
            activation.cut(percentile)
    for activation in activations:
        activation.observe = None
    for weight in weights:
        weight.exact = False
