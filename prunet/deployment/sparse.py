"""A pruned network that computes with its surviving weights alone, by library products of sparse matrices.

Which product is quickest depends on the layer, its density, the batch and the machine, so it is measured.
A small fully connected layer takes a few microseconds, no more than one call of PyTorch's: consecutive ones
run on NumPy arrays, whose calls cost least.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional

from prunet.deployment import latency
from prunet.graph.cutting import Select

CHOICE_SECONDS = 0.02  # to measure one form of one layer
UNCHANGED = "torch"  # the layer as it was
ZERO = np.zeros((), np.float32)  # an array: NumPy takes it more quickly than a number
LAYERS = (nn.Linear, nn.Conv2d)
LINKS = (nn.Flatten, Select, nn.Linear, nn.ReLU)  # what a chain is made of

Matrix = NDArray[np.float32]
Product = Callable[[Matrix], Matrix]  # from x, (in, N) in C order or (in,), to weight @ x
Choices = dict[str, str]  # {layer: a key of `PRODUCTS`, or `UNCHANGED`}


def dense(weight: Matrix) -> Product:
    """Multiply by all weights (out, in), zeros too."""
    tensor = torch.from_numpy(weight)

    def product(x: Matrix) -> Matrix:
        if x.ndim == 1:  # a call of NumPy's takes a microsecond, one of PyTorch's ten
            y: Matrix = weight.dot(x)
        else:  # PyTorch's has the number of threads that PyTorch has
            y = torch.mm(tensor, torch.from_numpy(x)).numpy()
        return y

    return product


def csr(weight: Matrix) -> Product:
    """Multiply by SciPy's compressed sparse rows: weight by weight, on one thread."""
    product: Product = csr_array(weight).__matmul__
    return product


def bag(weight: Matrix) -> Product:
    """Multiply as a sum of embeddings: an output is the weighted sum of the rows of x that it reads.

    PyTorch's `embedding_bag` adds whole rows with vector instructions, so it pays where x is wide.
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
    """Fully connected layers and what stands between them, on arrays (features, N), one image as (features,).

    Args:
        links: of the types in `LINKS`.
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
        x = _columns(images)
        for step in self.steps:
            x = step(x)
        return torch.from_numpy(x.T if x.ndim == 2 else x[None])


def _columns(images: Tensor) -> Matrix:
    """Return images (N, ...) as an array (features, N); one image as (features,), whose calls cost less."""
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
    """A convolution that keeps the size of its maps, as a `bag` of the patches of the image, in columns."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        unfold = nn.Unfold(layer.kernel_size, layer.dilation, layer.padding)  # type: ignore[arg-type]
        self.patches = nn.Flatten(2) if layer.kernel_size == (1, 1) else unfold
        self.product = bag(layer.weight.flatten(1).numpy())
        self.bias = _bias(layer)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, in, H, W) to (N, out, H, W)."""
        maps = []
        for image in torch.split(images, 1):  # the patches of a whole batch would leave the caches
            columns = self.patches(image)[0].numpy()  # (in * kernel, H * W)
            maps.append(torch.from_numpy(self.product(columns)).add_(self.bias))
        return torch.stack(maps).view(len(images), -1, *images.shape[2:])


class Place(NamedTuple):
    """Where a sparse form can stand.

    Attributes:
        parent: the module around it.
        children: names of the parent's modules that it stands for, consecutive ones.
        modules: these without the sequences around them: one convolution, or the links of a chain.
    """

    parent: nn.Module
    children: list[str]
    modules: list[nn.Module]


def sparsify(
    model: nn.Module, images: Tensor, choices: Mapping[str, str] | None = None
) -> tuple[nn.Module, Choices]:
    """Return the model with each layer in its quickest form for such images, and what was chosen.

    Fully connected layers, with the `nn.Flatten`, `nn.ReLU` and `Select` around them in an `nn.Sequential`,
    become a `Chain`; a convolution may become a product with the patches of the image (Chellapilla et al.
    2006). All else stays as it is; on a GPU everything does.

    Args:
        model: zero where pruned. It is not changed.
        images: (B, C, H, W), on the model's device, as many as a batch will have; other B work too.
        choices: of an earlier call, to take again without measuring.

    Returns:
        The new model, for inference alone, of the same outputs up to rounding; and for each fully connected
        layer and convolution a key of `PRODUCTS`, or `torch` where it is the layer as it was.
    """
    holder = nn.Sequential(copy.deepcopy(model).eval().requires_grad_(False))
    names = {module: name.removeprefix("0.") for name, module in holder.named_modules()}
    chosen = {name: UNCHANGED for module, name in names.items() if isinstance(module, LAYERS)}
    if images.is_cuda:
        return holder[0], chosen
    inputs = _inputs(holder, images)
    for place in list(_places(holder)):
        layers = [names[module] for module in place.modules if isinstance(module, LAYERS)]
        kinds = _kinds(place.modules, inputs) if choices is None else [choices[layer] for layer in layers]
        if UNCHANGED not in kinds:
            first, *rest = place.children
            setattr(place.parent, first, _form(place.modules, kinds))
            for child in rest:
                delattr(place.parent, child)
            chosen |= dict(zip(layers, kinds, strict=True))
    return holder[0], chosen


def _inputs(model: nn.Module, images: Tensor) -> dict[nn.Module, Tensor]:
    """Return what every module takes when the model runs."""
    inputs: dict[nn.Module, Tensor] = {}
    hooks = [
        module.register_forward_pre_hook(lambda module, taken: inputs.update({module: taken[0]}))
        for module in model.modules()
    ]
    model(images)
    for hook in hooks:
        hook.remove()
    return inputs


def _places(parent: nn.Module) -> Iterator[Place]:
    """Find the places for chains and convolutions in the modules of `parent`."""
    children = list(parent.named_children())
    if isinstance(parent, nn.Sequential):
        runs = [list(run) for _, run in groupby(children, lambda child: bool(_links(child[1])))]
    else:  # its forward does not say that one follows the other
        runs = [[child] for child in children]
    for run in runs:
        links = [link for _, child in run for link in _links(child)]
        if any(isinstance(link, nn.Linear) for link in links):
            yield Place(parent, [name for name, _ in run], links)
            continue
        for name, child in run:
            if isinstance(child, nn.Conv2d) and _keeps_size(child):
                yield Place(parent, [name], [child])
            else:
                yield from _places(child)


def _links(module: nn.Module) -> list[nn.Module]:
    """Return the links of a chain that a module consists of; none if it holds anything else."""
    if isinstance(module, nn.Sequential):
        parts = [_links(child) for child in module]
        return [link for part in parts for link in part] if all(parts) else []
    return [module] if isinstance(module, LINKS) else []


def _keeps_size(layer: nn.Conv2d) -> bool:
    margins = tuple(d * (side - 1) / 2 for d, side in zip(layer.dilation, layer.kernel_size, strict=True))
    plain = layer.groups == 1 and layer.padding_mode == "zeros" and layer.stride == (1, 1)
    return plain and layer.padding == margins


def _form(modules: list[nn.Module], kinds: list[str]) -> nn.Module:
    return Convolution(modules[0]) if isinstance(modules[0], nn.Conv2d) else Chain(modules, kinds)


def _kinds(modules: list[nn.Module], inputs: dict[nn.Module, Tensor]) -> list[str]:
    """Choose for each layer by measurement; `torch` for all if the modules as they were are quicker."""
    if isinstance(modules[0], nn.Conv2d):
        kinds = ["bag"]
    else:
        kinds = [
            _quickest(
                {kind: product(layer.weight.numpy()) for kind, product in PRODUCTS.items()},
                _columns(inputs[layer]),
            )
            for layer in modules
            if isinstance(layer, nn.Linear)
        ]
    forms = {UNCHANGED: nn.Sequential(*modules), "sparse": _form(modules, kinds)}
    return kinds if _quickest(forms, inputs[modules[0]]) == "sparse" else [UNCHANGED] * len(kinds)


def _quickest(forms: Mapping[str, Callable[[Any], object]], argument: Any) -> str:
    """Return the form with the lowest of its times: what else the machine does can only add to them."""
    times = latency.alternate(forms, argument, CHOICE_SECONDS)
    return min(times, key=lambda name: min(times[name]))
