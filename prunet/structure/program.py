"""Program of a network: the graph of ATen operations that `torch.export` writes."""

import logging
import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, export

from prunet.base.errors import InputError, cause, place, without_gpu

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
    inputs, modes = inputs_of(example), {module: module.training for module in model.modules()}
    model.eval()
    logging.disable(logging.CRITICAL)
    try:
        with torch.no_grad():
            model(*inputs)
        with redirect_stderr(StringIO()):  # where the exporter prints whole programs
            program = _export(model, inputs)
    except Exception as error:  # any fault of the user's code
        raise _refusal(model, inputs, error) from None
    finally:
        logging.disable(logging.NOTSET)
        for module, training in modes.items():
            module.training = training
    return program


def _export(model: nn.Module, inputs: tuple[Tensor, ...]) -> fx.GraphModule:
    """Export with a batch of any size, or of the example's size where the network fixes it.

    Without `strict`, Python runs as it is, and `len(images)` becomes a number. With it, PyTorch reads the
    bytecode, which takes longer and fails for more networks.
    """
    any_size: Any = tuple({0: Dim.AUTO} for _ in inputs)
    found: list[fx.GraphModule] = []
    for strict, shapes in ((False, any_size), (True, any_size), (False, None)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exported = export(model, inputs, dynamic_shapes=shapes, strict=strict)
        except Exception:
            if shapes is None and not found:
                raise
            continue
        found.append(_without_checks(exported.module()))
        if takes_batch(found[-1], inputs, len(inputs[0]) + 1):
            return found[-1]
    return found[0]


@torch.no_grad()
def takes_batch(program: nn.Module, inputs: Sequence[Tensor], count: int) -> bool:
    """Return whether a program runs on a batch of another size than the example's."""
    rows = [torch.arange(count, device=value.device) % len(value) for value in inputs]
    try:
        program(*(value.index_select(0, row) for value, row in zip(inputs, rows, strict=True)))
    except Exception:  # sizes that do not fit, in any operation
        return False
    return True


def _refusal(model: nn.Module, inputs: Sequence[Tensor], error: Exception) -> InputError:
    """Return the error for a model that does not run, or cannot be exported."""
    name = type(model).__name__
    if missing := without_gpu(name, error):
        return missing
    if values := re.search(r'File "([^"]+)", line (\d+), in \w+(?:\n {4,}(\S.*))?', str(error)):
        file, line, code = values.groups()
        return InputError(
            f"{name} cannot be exported: line {line} of {file} depends on the values of its inputs"
            f"{f' (`{code}`)' if code else ''}; write it without them, e.g. with torch.where."
        )
    shapes = ", ".join(str(tuple(value.shape)) for value in inputs)
    return InputError(
        f"{name} does not run on an example of shape {shapes}, or cannot be exported by torch.export "
        f"({cause(error)[:200]}{place(error)}); pass an example of the inputs that it takes."
    )


def _without_checks(program: Any) -> fx.GraphModule:
    """Remove the checks of input sizes that `torch.export` adds, and what no output depends on."""
    for node in reversed(program.graph.nodes):
        if not node.users and (node.op == "call_module" or operation(node).startswith(("_assert", "_check"))):
            program.graph.erase_node(node)
    program.graph.eliminate_dead_code()
    return program  # type: ignore[no-any-return]


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
