"""Program of a network: the graph of ATen operations that `torch.export` writes."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram, export

from prunet.base.errors import InputError

Example = Tensor | Sequence[Tensor]  # inputs of a network, the batch first


def inputs_of(example: Example) -> tuple[Tensor, ...]:
    """Return the inputs of a network as a tuple; a batch of one becomes two, which leaves its size open."""
    inputs = (example,) if isinstance(example, Tensor) else tuple(example)
    return tuple(torch.cat([value, value]) if value.shape[:1] == (1,) else value for value in inputs)


def write_program(model: nn.Module, example: Example) -> fx.GraphModule:
    """Return the program of a model in evaluation mode, for batches of any size where the model allows it.

    Args:
        model: of any kind; it is not changed.
        example: inputs, each (N, ...).

    Raises:
        InputError: the model does not run on the example, or its operations depend on the inputs' values.
    """
    inputs, training = inputs_of(example), model.training
    model.eval()
    try:
        with torch.no_grad():
            model(*inputs)
    except Exception as error:  # any fault of the user's code
        raise InputError(
            f"{type(model).__name__} does not run on the example {_shapes(inputs)}: {_line(error)}; pass an "
            "example of the inputs that it takes."
        ) from None
    try:
        return _without_checks(_export(model, inputs).module())
    except Exception as error:
        raise InputError(
            f"{type(model).__name__} cannot be exported by torch.export, as its operations depend on its "
            f"inputs' values or leave PyTorch ({_line(error)}); write that part without an `if` on tensors."
        ) from None
    finally:
        model.train(training)


def _export(model: nn.Module, inputs: tuple[Tensor, ...]) -> ExportedProgram:
    """Export with a batch of any size, or of the example's size where the network fixes it."""
    batch = {value.shape[:1] for value in inputs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if len(batch) == 1:
            try:
                return export(
                    model, inputs, dynamic_shapes=tuple({0: Dim.AUTO} for _ in inputs), strict=False
                )
            except Exception:
                pass
        return export(model, inputs, strict=False)


def _without_checks(program: Any) -> fx.GraphModule:
    """Remove the checks of input sizes that `torch.export` adds."""
    for node in reversed(program.graph.nodes):
        if not node.users and (node.op == "call_module" or operation(node).startswith(("_assert", "_check"))):
            program.graph.erase_node(node)
    return program  # type: ignore[no-any-return]


def _line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200] or type(error).__name__


def _shapes(inputs: Sequence[Tensor]) -> str:
    return ", ".join(str(tuple(value.shape)) for value in inputs)


def operation(node: fx.Node) -> str:
    """Return the name of a node's operation, without that of its overload."""
    return getattr(node.target, "_opname", getattr(node.target, "__name__", str(node.target)))


def arguments(node: fx.Node, args: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a node's arguments by name, without those left at their defaults."""
    target: Any = node.target
    names = [argument.name for argument in target._schema.arguments]
    return dict(zip(names, args, strict=False)) | dict(options)


def size(value: Any) -> list[int]:
    """Return the shape of a node's example value; of a symbolic size, the example's."""
    return [int(n) if isinstance(n, int) else int(n.node.hint) for n in value.shape]
