"""Smaller networks of the user's own class: the same modules with smaller tensors."""

import copy

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from prunet.structure.finding import Units
from prunet.structure.resizing import cut
from prunet.structure.walk import tensors_of


def slice_model(model: nn.Module, units: Units, alive: Tensor) -> nn.Module:
    """Return a copy of a model whose parameters and buffers lack the removed units.

    The numbers of features that PyTorch's own modules hold are updated. A model whose Python code has widths
    written into it, such as the reshapes of attention, does not run afterwards, or not rightly.

    Args:
        model: its parameters have the names of the program's.
        units: from `find_units`.
        alive: (labels,) bool, from `Units.alive`.
    """
    smaller = copy.deepcopy(model)
    owners = [
        (module, name, tensor)
        for module in smaller.modules()
        for name, tensor in [*module._parameters.items(), *module._buffers.items()]
        if tensor is not None
    ]
    named = dict(smaller.named_parameters()) | dict(smaller.named_buffers())
    for constant in tensors_of(units.walk):
        lines = [alive[labels] for labels in constant.dims]
        if constant.name not in named or all(line.all() for line in lines):
            continue
        whole = named[constant.name]
        part = cut(whole.detach(), lines).clone()
        for module, name, tensor in owners:
            if tensor is whole:  # also where it is shared
                trained = name in module._parameters
                setattr(module, name, nn.Parameter(part, whole.requires_grad) if trained else part)
    for name, module in smaller.named_modules():
        _count(module, model.get_submodule(name))
    return smaller


def _count(module: nn.Module, whole: nn.Module) -> None:
    """Update the numbers of features of a module from its tensors."""
    if isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, _ConvNd) and isinstance(whole, _ConvNd):
        turned = isinstance(module, _ConvTransposeNd)
        if whole.groups == whole.in_channels > 1:
            module.groups = len(module.weight) * whole.in_channels // whole.out_channels
        module.out_channels, columns = module.weight.shape[turned], module.weight.shape[1 - turned]
        module.in_channels = columns * module.groups
    elif isinstance(module, nn.RNNBase):
        module.hidden_size, module.input_size = (
            getattr(module, name).shape[1] for name in ("weight_hh_l0", "weight_ih_l0")
        )
        module.flatten_parameters()  # one block of memory, as cuDNN wants
    elif isinstance(module, nn.RNNCellBase):
        module.hidden_size, module.input_size = module.weight_hh.shape[1], module.weight_ih.shape[1]
    elif isinstance(module, _NormBase) and module.weight is not None:
        module.num_features = len(module.weight)
    elif isinstance(module, nn.GroupNorm) and module.weight is not None:
        module.num_groups = module.num_groups * len(module.weight) // module.num_channels
        module.num_channels = len(module.weight)
