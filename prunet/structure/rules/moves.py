"""Operations that move elements: they are applied to the labels themselves."""

from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional

from prunet.structure.labels import Labels, along, spread, varies
from prunet.structure.rules.elementwise import as_activation
from prunet.structure.tensors import Activation, Constant

aten = torch.ops.aten


def move(labels: Labels, node: fx.Node, **given: Any) -> Activation | list[Activation]:
    """Move the labels as the operation moves the elements."""
    return apply(labels, node.target, given)


def view(labels: Labels, node: fx.Node, self: Activation, size: list[int], **_: Any) -> Activation:
    """Reshape the labels, which lie in memory in another way than the elements."""
    return apply(labels, aten.reshape.default, {"self": self, "shape": size})  # type: ignore[return-value]


def apply(labels: Labels, target: Any, given: dict[str, Any]) -> Activation | list[Activation]:
    """Apply an operation to the labels of its arguments."""
    name = next(
        (
            name
            for name, value in given.items()
            if isinstance(value, list | tuple) and any(isinstance(part, Activation) for part in value)
        ),
        None,
    )
    if name is not None:  # of `cat` and `stack`: constants among the activations
        parts = given[name]
        units = next(part.labels for part in parts if isinstance(part, Activation))
        parts = [as_activation(labels, part, units) if isinstance(part, Constant) else part for part in parts]
        given = given | {name: parts}
    moved = given[name] if name is not None else list(given.values())[:1]
    zero = all(isinstance(part, Activation) and part.zero for part in moved)
    result = target(**{name: plain(value) for name, value in given.items()})
    if isinstance(result, Tensor):
        return Activation(spread(result), zero)
    return [Activation(spread(part), zero) for part in result]


def plain(value: Any) -> Any:
    """Replace activations by their labels and constants by their values, in lists too."""
    if isinstance(value, list | tuple) and not isinstance(value, Activation):
        return [plain(part) for part in value]
    if isinstance(value, Activation):
        return value.labels
    return value.value if isinstance(value, Constant) else value


def pad(labels: Labels, node: fx.Node, self: Activation, pad: list[int], **_: Any) -> Activation:
    """Add elements at the sides of the last dimensions.

    Padding a dimension that the units lie along adds units of their own, as a shortcut that pads its maps
    with zeros does. Along other dimensions the added elements belong to the units there.
    """
    own = self.labels
    for number in range(len(pad) // 2):
        dim, sides = own.ndim - 1 - number, pad[2 * number : 2 * number + 2]
        if not any(sides):
            continue
        several, first = varies(own, dim), own.narrow(dim, 0, 1)
        widths = [0, 0] * number + list(sides)
        own = functional.pad(own, widths, value=-1)
        new = (own == -1).narrow(dim, 0, own.shape[dim])
        if several:
            count = own.shape[dim]
            own = torch.where(new, along(labels.fresh(count), dim, own.ndim), own)
        else:
            own = torch.where(new, first, own)
    return Activation(spread(own))
