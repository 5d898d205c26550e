"""Arguments of a program's operations after units are removed."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional

from prunet.structure.labels import compact, varying
from prunet.structure.program import operation
from prunet.structure.rules.table import SPATIAL
from prunet.structure.tensors import Activation, Constant
from prunet.structure.walk import MOVES, Walk, parts

aten = torch.ops.aten
# Positions of the new shape.
SHAPES = {"view": 1, "_unsafe_view": 1, "reshape": 1, "expand": 1, "new_zeros": 1, "zeros": 0}


def survivors(labels: Tensor, alive: Tensor) -> list[Tensor]:
    """Return the indices (size,) bool along each dimension of a tensor that survive.

    If none of its units survives, the tensor keeps the dimensions that they do not lie along.

    Args:
        labels: of the tensor's elements.
        alive: (labels,) bool, from `Units.alive`.
    """
    kept = alive[compact(labels)]
    several = varying(labels) if not kept.any() else []
    lines = []
    for dim, full in enumerate(labels.shape):
        line = kept.movedim(dim, 0).reshape(kept.shape[dim], -1).any(1)
        if several and dim not in several:
            line = torch.ones_like(line)
        lines.append(line.expand(full) if len(line) == 1 else line)
    return lines


def cut(tensor: Tensor, lines: Sequence[Tensor]) -> Tensor:
    """Return the elements of a tensor at the surviving indices of every dimension."""
    for dim, line in enumerate(lines):
        if not line.all():
            tensor = tensor.index_select(dim, line.nonzero().flatten().to(tensor.device))
    return tensor


def resize(walk: Walk, node: fx.Node, alive: Tensor) -> tuple[Any, list[Any], dict[str, Any]]:
    """Return the operation of a node, and its arguments and options, in the smaller program.

    Args:
        walk: labels of the program.
        node: an operation on activations.
        alive: (labels,) bool, from `Units.alive`.
    """
    name, target = operation(node), node.target
    args: list[Any] = list(node.args)
    options: dict[str, Any] = dict(node.kwargs)
    result = walk.found[node]
    source = walk.found.get(args[0]) if args and isinstance(args[0], fx.Node) else None
    lines = survivors(source.labels, alive) if isinstance(source, Activation) else []
    if name in SHAPES:
        args[SHAPES[name]] = _shape(args[SHAPES[name]], survivors(result.labels, alive))
    elif name == "unflatten":
        dim = args[1] % len(lines)
        after = survivors(result.labels, alive)[dim : dim + len(args[2])]
        args[2] = _shape(args[2], after)
    elif name in ("split", "split_with_sizes", "chunk", "tensor_split", "hsplit"):
        default = 1 if name == "hsplit" else 0
        dim = (args[2] if len(args) > 2 else default) % len(lines)
        if not lines[dim].all():
            sizes = [int(survivors(part.labels, alive)[dim].sum()) for part in result]
            target, args = aten.split_with_sizes.default, [args[0], sizes, dim]
    elif name == "slice" and lines:
        args = _slice(args, lines)
    elif name == "select" and lines:
        line = lines[args[1]]
        args[2] = int(line[: args[2] % len(line)].sum())
    elif name == "narrow" and lines:
        line = lines[args[1]]
        args[2:4] = int(line[: args[2]].sum()), int(line[args[2] : args[2] + args[3]].sum())
    elif name == "roll" and args[2:]:
        args[1] = [_shift(lines[dim], shift) for shift, dim in zip(*args[1:3], strict=True)]
    elif name in SPATIAL.split() and isinstance(result, Activation) and not all(line.any() for line in lines):
        # No operation of this kind takes maps of which none is left.
        growth = [size - len(line) for size, line in zip(result.labels.shape, lines, strict=True)]
        sides = [side for more in reversed(growth[2:]) for side in (0, more)]
        target, args = aten.constant_pad_nd.default, [args[0], sides]
    elif name in ("pad", "constant_pad_nd"):
        args[1] = _sides(args[1], lines, survivors(result.labels, alive))
    elif name.startswith("conv") and len(args) > 6 and args[6] > 1:
        channels = lines[len(lines) - walk.found[args[1]].value.ndim + 1]
        if args[6] == channels.numel():  # a depthwise convolution
            args[6] = int(channels.sum())
    elif name == "group_norm":
        args[1] = args[1] * int(lines[1].sum()) // lines[1].numel()
    elif name == "scaled_dot_product_attention" and options.get("scale") is None and not lines[-1].all():
        options["scale"] = lines[-1].numel() ** -0.5  # of the whole width
    return target, args, options


def _shift(line: Tensor, shift: int) -> int:
    """Return by how many places what is left along a dimension is rolled."""
    return int(line[-shift % len(line) :].sum())


def _shape(entries: Sequence[Any], after: Sequence[Tensor]) -> list[Any]:
    """Return a shape whose changed entries are numbers, or -1 where they depend on the size of the batch."""
    return [
        entry if line.all() or entry == -1 else int(line.sum()) if isinstance(entry, int) else -1
        for entry, line in zip(entries, after, strict=True)
    ]


def _slice(args: list[Any], lines: Sequence[Tensor]) -> list[Any]:
    complete: list[Any] = args + [0, None, None][len(args) - 1 :]
    source, dim, start, end, *step = complete
    line = lines[dim]
    if line.all():
        return args
    chosen = torch.zeros_like(line)
    chosen[start : end : step[0] if step else 1] = True
    left = chosen[line].nonzero().flatten().tolist() or [0, -1]
    return [source, dim, left[0], left[-1] + 1, *step]


def _sides(pad: Sequence[int], lines: Sequence[Tensor], after: Sequence[Tensor]) -> list[int]:
    sides = list(pad)
    for number in range(len(pad) // 2):
        line, full = after[-1 - number], lines[-1 - number]
        left, right = pad[2 * number : 2 * number + 2]
        if not (line.all() and full.all()):
            sides[2 * number] = int(line[:left].sum()) if left >= 0 else -int(full[:-left].sum())
            end = len(line) - right if right >= 0 else len(full) + right
            sides[2 * number + 1] = int(line[end:].sum()) if right >= 0 else -int(full[end:].sum())
    return sides


def misplaced(walk: Walk, alive: Tensor) -> list[tuple[fx.Node, Tensor]]:
    """List the moves that would place what is left elsewhere than before, with the labels to keep for it.

    Every move is applied, with its new arguments, to the labels that are left, and must give the labels that
    are left of its result. The labels to keep are those of the result, or of the sources if they alone lose
    some.
    """
    wrong = []
    for node, result in walk.found.items():
        moves = operation(node) in MOVES or operation(node) in ("pad", "constant_pad_nd")
        if node in walk.computed or not moves or not _changes(walk, node, alive) or _sure(walk, node, alive):
            continue
        whole = [result] if isinstance(result, Activation) else result
        after = [cut(part.labels, survivors(part.labels, alive)) for part in whole]
        try:
            given = _apply(walk, node, alive)
            right = all(torch.equal(one, other) for one, other in zip(given, after, strict=True))
        except (RuntimeError, IndexError, ValueError):
            right = False
        if not right:
            sources = parts([walk.found[source] for source in node.all_input_nodes])
            lost = [
                [part for part in values if isinstance(part, Activation) and _loses(part, alive)]
                for values in (whole, sources)
            ]
            wrong += [(node, part.labels) for part in lost[0] or lost[1]]
    return wrong


def _sure(walk: Walk, node: fx.Node, alive: Tensor) -> bool:
    """Return whether a move places all units rightly: it joins or picks positions, and no units."""
    first: Any = node.args[0]
    if isinstance(first, list | tuple):
        dim: Any = node.args[1] if len(node.args) > 1 else 0
        return bool(survivors(walk.found[node].labels, alive)[dim].all())
    source, *others = (walk.found[given] for given in node.all_input_nodes)
    picks = operation(node) in ("index", "index_select")
    return isinstance(source, Constant) or (picks and any(isinstance(part, Activation) for part in others))


def _changes(walk: Walk, node: fx.Node, alive: Tensor) -> bool:
    flat = parts([walk.found[given] for given in (node, *node.all_input_nodes)])
    return any(isinstance(part, Activation) and _loses(part, alive) for part in flat)


def _loses(part: Activation, alive: Tensor) -> bool:
    return not alive[compact(part.labels)].all()


def _apply(walk: Walk, node: fx.Node, alive: Tensor) -> list[Tensor]:
    target, args, options = resize(walk, node, alive)

    def value(given: fx.Node) -> Any:
        found = walk.found[given]
        if isinstance(found, Activation):
            return cut(found.labels, survivors(found.labels, alive))
        return found.value if isinstance(found, Constant) else found

    args = fx.node.map_arg(args, value)
    options = fx.node.map_arg(options, value)
    if operation(node) in ("view", "_unsafe_view"):
        target = aten.reshape.default
    if operation(node) in ("pad", "constant_pad_nd"):
        return _padded(walk, node, alive, args)
    result = target(*args, **options)
    return [result] if isinstance(result, Tensor) else list(result)


def _padded(walk: Walk, node: fx.Node, alive: Tensor, args: list[Any]) -> list[Tensor]:
    """Pad the labels that are left; what is added has the labels of the result there."""
    result = walk.found[node]
    after = cut(result.labels, survivors(result.labels, alive))
    inside = functional.pad(torch.ones_like(args[0]), args[1], value=0)
    return [torch.where(inside == 1, functional.pad(args[0], args[1], value=0), after)]
