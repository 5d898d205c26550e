"""Norms, reductions and pooling: operations that look at several elements together."""

from typing import Any

from torch import Tensor, fx

from prunet.structure.labels import Labels
from prunet.structure.program import operation, size
from prunet.structure.rules.elementwise import elementwise
from prunet.structure.tensors import Activation, Constant


def pool(labels: Labels, node: fx.Node, **given: Any) -> Any:
    """Pool the positions of each map: the last 1, 2 or 3 dimensions, as the name of the operation says."""
    source = next(value for value in given.values() if isinstance(value, Activation))
    value = node.meta["val"]
    several = isinstance(value, list | tuple)
    positions = next(number for number in (1, 2, 3) if f"{number}d" in operation(node))
    units = labels.tie(source.labels, range(-positions, 0))
    return [Activation(units, source.zero)] * len(value) if several else Activation(units, source.zero)


def reduce(labels: Labels, node: fx.Node, **given: Any) -> Any:
    """Reduce dimensions; units along them can only go together, as each of them changes the result."""
    source = next(value for value in given.values() if isinstance(value, Activation))
    own, value = source.labels, node.meta["val"]
    dims = given.get("dim")
    dims = (
        list(range(own.ndim))
        if dims is None or dims == []
        else [dims]
        if isinstance(dims, int)
        else list(dims)
    )
    units = labels.tie(own, dims, f"{node.name} reduces over it")
    several = isinstance(value, list | tuple)
    kept = len(size(value[0] if several else value)) == own.ndim
    if not kept:
        for dim in sorted((dim % own.ndim for dim in dims), reverse=True):
            units = units.squeeze(dim)
    return [Activation(units)] * len(value) if several else Activation(units)


def extremum(labels: Labels, node: fx.Node, **given: Any) -> Any:
    """Take the maximum or minimum of two operands, or over dimensions."""
    return (elementwise if "other" in given else reduce)(labels, node, **given)


def batch_norm(labels: Labels, node: fx.Node, input: Activation, **given: Any) -> Activation:
    """Normalise each map by itself; its scale, shift and statistics belong to the map."""
    units = labels.tie(input.labels, [dim for dim in range(input.labels.ndim) if dim != 1])
    return Activation(units, _affine(labels, units.flatten(), given))


def layer_norm(
    labels: Labels,
    node: fx.Node,
    input: Activation,
    normalized_shape: list[int],
    weight: Constant | None = None,
    bias: Constant | None = None,
    **_: Any,
) -> Activation:
    """Normalise over the last dimensions, so units along them can only go together."""
    last = range(input.labels.ndim - len(normalized_shape), input.labels.ndim)
    units = labels.tie(input.labels, last, "a LayerNorm normalises over it")
    for constant in (weight, bias):
        for own in constant.dims if constant is not None else []:
            labels.keep(own)
    return Activation(units)


def group_norm(labels: Labels, node: fx.Node, input: Activation, num_groups: int, **given: Any) -> Activation:
    """Normalise each group of maps by itself: the maps of a group can only go together."""
    units = labels.tie(input.labels, [dim for dim in range(input.labels.ndim) if dim != 1])
    labels.tie(units.reshape(num_groups, -1), [1])
    return Activation(units, _affine(labels, units.flatten(), given))


def _affine(labels: Labels, units: Tensor, given: dict[str, Any]) -> bool:
    """Give scale, shift and running statistics the labels of their units; masks are for scale and shift.

    Return whether there are a scale and a shift.
    """
    for name, constant in given.items():
        if isinstance(constant, Constant):
            labels.join(constant.dims[0], units)
            constant.base.masked |= name in ("weight", "bias")
    return all(isinstance(given.get(name), Constant) for name in ("weight", "bias"))
