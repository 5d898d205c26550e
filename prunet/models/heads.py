"""The head of a classifier: the layer that computes its outputs."""

from torch import nn

from prunet.base.errors import InputError
from prunet.models import built_in
from prunet.models.inputs import Shape


def prefix(model: nn.Module, shape: Shape) -> str:
    """Return how the names of the head's tensors begin, such as `classifier.3.`."""
    return built_in.output_layer(model, shape).removesuffix("weight")


def replace(model: nn.Module, shape: Shape, outputs: int, classes: int) -> None:
    """Give a model a new head of the same type for a number of classes, unless it has that number.

    Args:
        model: on the CPU; changed.
        shape: (C, H, W) of an image.
        outputs: of the model, for one image.
        classes: their number.

    Raises:
        InputError: the head is neither a linear layer nor a 1x1 convolution.
    """
    if outputs == classes:
        return
    name = prefix(model, shape).removesuffix(".")
    head = model.get_submodule(name)
    new: nn.Module
    if len(model.get_parameter(f"{name}.weight")) != outputs:
        raise InputError(
            f"head: replace needs a last layer that computes the outputs, and {name} does not: set head: "
            "keep, and let the function take num_classes."
        )
    if type(head) is nn.Linear:
        new = nn.Linear(head.in_features, classes, head.bias is not None)
    elif type(head) is nn.Conv2d and (head.kernel_size, head.stride, head.groups) == ((1, 1), (1, 1), 1):
        new = nn.Conv2d(head.in_channels, classes, 1, bias=head.bias is not None)
    else:
        raise InputError(
            f"head: replace needs a last layer that is linear or a 1x1 convolution, and {name} is a "
            f"{type(head).__name__}: set head: keep, and let the function take num_classes."
        )
    model.set_submodule(name, new)
