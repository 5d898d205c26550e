"""Layers that compute with their surviving weights only, by products of sparse matrices from libraries.

A small fully connected layer takes a few microseconds, no longer than a single PyTorch call, so consecutive
ones run on NumPy arrays, whose calls are the cheapest.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional

from prunet.shrinking.cutting import Select

ZERO = np.zeros((), np.float32)  # an array, which NumPy accepts faster than a number
LINKS = (nn.Flatten, Select, nn.Linear, nn.ReLU)  # modules that a chain can hold

Matrix = NDArray[np.float32]
Product = Callable[[Matrix], Matrix]  # from x, (in, N) in C order or (in,), to weight @ x


def dense(weight: Matrix) -> Product:
    """Multiply by all weights (out, in), including zeros."""
    tensor = torch.from_numpy(weight)

    def product(x: Matrix) -> Matrix:
        if x.ndim == 1:  # a NumPy call takes one microsecond, a PyTorch call ten
            y: Matrix = weight.dot(x)
        else:  # uses as many threads as PyTorch
            y = torch.mm(tensor, torch.from_numpy(x)).numpy()
        return y

    return product


def csr(weight: Matrix) -> Product:
    """Multiply by SciPy's compressed sparse rows, one weight at a time on one thread."""
    product: Product = csr_array(weight).__matmul__
    return product


def bag(weight: Matrix) -> Product:
    """Multiply as a sum of embeddings: an output is the weighted sum of the rows of x that it reads.

    PyTorch's `embedding_bag` adds whole rows with vector instructions, which is fast if x is wide.
    """
    rows = csr_array(weight)
    indices, offsets, values = (torch.from_numpy(part) for part in (rows.indices, rows.indptr, rows.data))
    sums = partial(functional.embedding_bag, mode="sum", per_sample_weights=values, include_last_offset=True)

    def product(x: Matrix) -> Matrix:
        table = torch.from_numpy(x.reshape(len(x), -1))
        y: Matrix = sums(indices, table, offsets).numpy()
        return y.reshape(len(y), *x.shape[1:])

    return product


PRODUCTS = {"dense": dense, "csr": csr, "bag": bag}


class Chain(nn.Module):
    """Consecutive fully connected layers on arrays (features, N), or (features,) for one image.

    Args:
        links: modules of the types in `LINKS`.
        kinds: a key of `PRODUCTS` for each fully connected layer.
    """

    def __init__(self, links: list[nn.Module], kinds: list[str]) -> None:
        super().__init__()
        remaining = iter(kinds)
        self.steps: list[Product] = []
        for link in links:
            if isinstance(link, nn.Linear):
                self.steps.append(_linear(link, next(remaining)))
            elif isinstance(link, Select):
                self.steps.append(partial(np.take, indices=link.indices.numpy(), axis=0))
            elif isinstance(link, nn.ReLU):
                self.steps.append(partial(np.maximum, ZERO))

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, ...) to (N, out)."""
        x = columns(images)
        for step in self.steps:
            x = step(x)
        return torch.from_numpy(x.T if x.ndim == 2 else x[None])


def columns(images: Tensor) -> Matrix:
    """Return images (N, ...) as an array (features, N), or one image as (features,), which is faster."""
    x: Matrix = images.numpy()
    return x.reshape(-1) if len(x) == 1 else np.ascontiguousarray(x.reshape(len(x), -1).T)


def _linear(layer: nn.Linear, kind: str) -> Product:
    product, column = PRODUCTS[kind](layer.weight.numpy()), _bias(layer).numpy()
    vector = column[:, 0]

    def step(x: Matrix) -> Matrix:
        x = product(x)
        x += vector if x.ndim == 1 else column
        return x

    return step


def _bias(layer: nn.Linear | nn.Conv2d) -> Tensor:
    """Return the bias as a column (out, 1)."""
    bias: Tensor | None = layer.bias
    return (torch.zeros(len(layer.weight)) if bias is None else bias)[:, None]


class Convolution(nn.Module):
    """A convolution that keeps the size of its maps, as the `bag` product with the patches of each image."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        unfold = nn.Unfold(layer.kernel_size, layer.dilation, layer.padding)  # type: ignore[arg-type]
        self.patches = nn.Flatten(2) if layer.kernel_size == (1, 1) else unfold
        self.product = bag(layer.weight.flatten(1).numpy())
        self.bias = _bias(layer)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, in, H, W) to (N, out, H, W)."""
        maps = []
        for image in torch.split(images, 1):  # the patches of a whole batch do not fit in the caches
            patches = self.patches(image)[0].numpy()  # (in * kernel, H * W)
            maps.append(torch.from_numpy(self.product(patches)).add_(self.bias))
        return torch.stack(maps).view(len(images), -1, *images.shape[2:])
