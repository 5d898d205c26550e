"""Consecutive fully connected layers as one compiled function, by Numba (optional: requirements-numba.txt).

For one image, a call from Python takes about as long as the product of a small sparse layer. This is a loop
over the surviving weights of all layers, called once.
"""

from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor, nn

from prunet.base.errors import InputError
from prunet.shrinking.cutting import Select

Floats = NDArray[np.float32]
Numbers = NDArray[np.uint32]  # unsigned: Numba would check signed ones for positions from the end

INSTALL = "pip install -r requirements-numba.txt"
MATRIX, VECTOR, NUMBERS = "float32[:, ::1]", "float32[::1]", "uint32[::1]"
TYPES = f"{MATRIX}({MATRIX}, {NUMBERS}, {VECTOR}, {NUMBERS}, {NUMBERS}, {VECTOR}, {VECTOR})"


def suits(links: Sequence[nn.Module]) -> bool:
    """Return whether Numba is installed, and every ReLU follows a layer and every selection precedes one.

    Args:
        links: modules of the types in `products.LINKS`.
    """
    kinds = [type(link) for link in links if not isinstance(link, nn.Flatten)]
    after = next((kind for kind in kinds if kind is not Select), None)
    before = next((kind for kind in reversed(kinds) if kind is not nn.ReLU), None)
    return find_spec("numba") is not None and after is before is nn.Linear


class Compiled(nn.Module):
    """A chain that `suits`, for any number of images; each is computed on its own, on one thread.

    Raises:
        InputError: Numba is not installed.
    """

    def __init__(self, links: Sequence[nn.Module]) -> None:
        super().__init__()
        self.function = _compile()
        columns: list[Any] = []
        counts: list[Any] = []  # of the weights in each row
        values: list[Any] = []
        biases: list[Any] = []
        floors: list[float] = []  # the least output of a layer: 0 if a ReLU follows
        selected: Any = None
        for link in links:
            if isinstance(link, Select):
                chosen = link.indices.numpy()
                selected = chosen if selected is None else selected[chosen]
            elif isinstance(link, nn.ReLU):
                floors[-1] = 0
            elif isinstance(link, nn.Linear):
                rows = csr_array(link.weight.numpy())
                columns.append(rows.indices if selected is None else selected[rows.indices])
                counts.append(np.diff(rows.indptr))
                values.append(rows.data)
                biases.append(np.zeros(link.out_features) if link.bias is None else link.bias.numpy())
                floors.append(-np.inf)
                selected = None
        ends = np.cumsum([len(bias) for bias in biases])
        starts = np.cumsum([0, *np.concatenate(counts)])
        self.least = int(columns[0].max(initial=-1)) + 1  # inputs
        self.ends, self.starts = ends.astype(np.uint32), starts.astype(np.uint32)
        self.columns, self.values = np.concatenate(columns).astype(np.uint32), np.concatenate(values)
        self.biases, self.floors = np.concatenate(biases).astype(np.float32), np.array(floors, np.float32)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, ...) to (N, out).

        Raises:
            ValueError: there are fewer inputs than the weights read; compiled code does not check.
        """
        x = np.ascontiguousarray(images.numpy().reshape(len(images), -1))
        if x.shape[1] < self.least:
            raise ValueError(f"images have {x.shape[1]} values each, and the weights read {self.least}")
        y = self.function(x, self.ends, self.floors, self.starts, self.columns, self.values, self.biases)
        return torch.from_numpy(y)


def _outputs(
    images: Floats,
    ends: Numbers,
    floors: Floats,
    starts: Numbers,
    columns: Numbers,
    values: Floats,
    biases: Floats,
) -> Floats:
    """Return the outputs (N, out) of all layers for images (N, in).

    Args:
        images: (N, in).
        ends: (L,), the number of rows of each layer and all before it.
        floors: (L,), the least output of each layer.
        starts: (R + 1,), where the weights of each row of all layers begin.
        columns, values: of every weight.
        biases: (R,).
    """
    first = ends[-2] if len(ends) > 1 else 0
    outputs = np.empty((len(images), ends[-1] - first), np.float32)
    for image in range(len(images)):
        x = images[image]
        row = 0
        for layer in range(len(ends)):
            start, end, floor = row, ends[layer], floors[layer]
            y = np.empty(end - start, np.float32)
            while row < end:
                total = biases[row]
                for weight in range(starts[row], starts[row + 1]):
                    total += values[weight] * x[columns[weight]]
                y[row - start] = max(total, floor)  # NaN stays NaN
                row += 1
            x = y
        outputs[image] = x
    return outputs


@cache
def _compile() -> Callable[..., Any]:
    try:
        from numba import njit
    except ImportError:
        raise InputError(f"A compiled chain needs Numba, which is not installed: `{INSTALL}`.") from None
    compiled: Callable[..., Any] = njit(TYPES)(_outputs)
    return compiled
