"""Sparse execution of a pruned network: each layer in the form that is measured to be the fastest.

Which product is the fastest depends on the layer, its density, the batch and the machine.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from torch import Tensor, nn

from prunet.deployment import compiled, latency
from prunet.deployment.operations import LAYERS
from prunet.deployment.products import LINKS, PRODUCTS, Chain, Convolution, columns

CHOICE_SECONDS = 0.01  # time to measure one form of one layer
CHOICE_TIMES = 3  # measurements of one form, at least
CHOICE_IMAGES = 8  # images for convolutions; the sparse form takes one at a time, so more change little
UNCHANGED = "torch"  # the layer as it was
COMPILED = "compiled"  # a whole chain as one function

Choices = dict[str, str]  # {layer: a key of `PRODUCTS`, `COMPILED` or `UNCHANGED`}


class Site(NamedTuple):
    """A part of a model that a sparse form can replace.

    Attributes:
        parent: the module that holds it.
        children: names of the consecutive children of the parent to replace.
        modules: their modules without containers: one convolution, or the links of a chain.
    """

    parent: nn.Module
    children: list[str]
    modules: list[nn.Module]


def sparsify(
    model: nn.Module, images: Tensor, choices: Mapping[str, str] | None = None
) -> tuple[nn.Module, Choices]:
    """Return the model with each layer in its fastest form for such images, and the choices.

    Fully connected layers, with the `nn.Flatten`, `nn.ReLU` and `Select` around them in an `nn.Sequential`,
    become a `Chain`, or `Compiled` if Numba is installed; a convolution may become a product with the patches
    of the image (Chellapilla et al. 2006). Everything else stays as it is, and so does the whole model on a
    GPU.

    Args:
        model: zero where pruned. It is not changed.
        images: (B, C, H, W), on the model's device, as many as a batch will have; other B work too.
        choices: from an earlier call, to use again without measuring. Layers without a choice do not change.

    Returns:
        The new model, for inference only, with the same outputs up to rounding; and for each fully connected
        layer and convolution a key of `PRODUCTS`, `compiled`, or `torch` for an unchanged layer.

    Raises:
        InputError: a given choice is `compiled`, and Numba is not installed.
    """
    holder = nn.Sequential(copy.deepcopy(model).eval().requires_grad_(False))
    names = {module: name.removeprefix("0.") for name, module in holder.named_modules()}
    chosen = {name: UNCHANGED for module, name in names.items() if isinstance(module, LAYERS)}
    if images.is_cuda:
        return holder[0], chosen
    given = None if choices is None else chosen | dict(choices)
    inputs = _inputs(holder, images)
    for site in list(_sites(holder)):
        if not _runs_on_vectors(site, inputs):
            continue
        layers = [names[module] for module in site.modules if isinstance(module, LAYERS)]
        kinds = _kinds(site.modules, inputs) if given is None else [given[layer] for layer in layers]
        if UNCHANGED not in kinds:
            first, *rest = site.children
            setattr(site.parent, first, _form(site.modules, kinds))
            for child in rest:
                delattr(site.parent, child)
            chosen |= dict(zip(layers, kinds, strict=True))
    return holder[0], chosen


def _inputs(model: nn.Module, images: Tensor) -> dict[nn.Module, Tensor]:
    """Return the input of every module in a forward pass."""
    inputs: dict[nn.Module, Tensor] = {}
    hooks = [
        module.register_forward_pre_hook(lambda module, taken: inputs.update({module: taken[0]}))
        for module in model.modules()
    ]
    model(images)
    for hook in hooks:
        hook.remove()
    return inputs


def _runs_on_vectors(site: Site, inputs: Mapping[nn.Module, Tensor]) -> bool:
    """Return whether the layers of a site run, linear ones on (N, features): in attention some do neither."""
    return all(
        module in inputs and (isinstance(module, nn.Conv2d) or inputs[module].ndim == 2)
        for module in site.modules
        if isinstance(module, LAYERS)
    )


def _sites(parent: nn.Module) -> Iterator[Site]:
    """Find the sites for chains and convolutions in the modules of `parent`."""
    children = list(parent.named_children())
    if isinstance(parent, nn.Sequential):
        runs = [list(run) for _, run in groupby(children, lambda child: bool(_links(child[1])))]
    else:  # the order of the children need not be that of the forward pass
        runs = [[child] for child in children]
    for run in runs:
        links = [link for _, child in run for link in _links(child)]
        if any(isinstance(link, nn.Linear) for link in links):
            yield Site(parent, [name for name, _ in run], links)
            continue
        for name, child in run:
            if isinstance(child, nn.Conv2d) and _keeps_size(child):
                yield Site(parent, [name], [child])
            else:
                yield from _sites(child)


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
    if isinstance(modules[0], nn.Conv2d):
        return Convolution(modules[0])
    return compiled.Compiled(modules) if COMPILED in kinds else Chain(modules, kinds)


def _kinds(modules: list[nn.Module], inputs: dict[nn.Module, Tensor]) -> list[str]:
    """Choose a product for each layer by measurement, or one word for all if another form is faster."""
    images = inputs[modules[0]]
    if isinstance(modules[0], nn.Conv2d):
        kinds, images = ["bag"], images[:CHOICE_IMAGES]
    else:
        kinds = [
            _fastest(
                {kind: product(layer.weight.numpy()) for kind, product in PRODUCTS.items()},
                columns(inputs[layer]),
            )
            for layer in modules
            if isinstance(layer, nn.Linear)
        ]
    forms: dict[str, nn.Module] = {UNCHANGED: nn.Sequential(*modules), "sparse": _form(modules, kinds)}
    if compiled.suits(modules):
        forms[COMPILED] = compiled.Compiled(modules)
    fastest = _fastest(forms, images)
    return kinds if fastest == "sparse" else [fastest] * len(kinds)


def _fastest(forms: Mapping[str, Callable[[Any], object]], argument: Any) -> str:
    """Return the form with the lowest single time, as other work on the machine can only add to a time."""
    times = latency.alternate(forms, argument, CHOICE_SECONDS, CHOICE_TIMES)
    return min(times, key=lambda name: min(times[name]))
