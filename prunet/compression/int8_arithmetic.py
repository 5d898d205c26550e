"""The arithmetic of an int8 file, simulated in PyTorch so that networks can be trained with it.

A tensor is rounded to 8 bits and back wherever ONNX Runtime does so (Jacob et al. 2018, section 3): at the
weights, inputs and outputs of linear layers and convolutions, and around sums, products and the like. Norms
after a layer are part of it, and a ReLU is part of what comes before it.

The rounding is written into the graph of `torch.export`, which every network has that becomes an ONNX file.
torchao 0.18 does the same by its `prepare_qat_pt2e`, but rounds elsewhere than ONNX Runtime, to other ranges,
and would be one package more.
"""

import copy
from collections.abc import Container
from functools import partial
from operator import is_not

import torch
from torch import Tensor, fx, nn

from prunet.base.errors import InputError
from prunet.compression.int8_rounding import Activation, Weight
from prunet.models.built_in import prunable

# Operations of PyTorch's graphs. Of layers: the axis of the outputs in their weights.
LAYERS = {
    **dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d"), 0),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), 1),
}
NORM = "_native_batch_norm_legit_no_training"
OTHERS = {"add", "mul", "cat", "matmul", "sigmoid", "silu", "leaky_relu", "softmax"}  # 8 bits in and out
FUSED = {"relu", "relu6", "hardtanh", "clamp"}  # computed with the operation before
# These move numbers, which keep their scale.
MOVES = {
    *("flatten", "view", "reshape", "permute", "transpose", "squeeze", "unsqueeze", "slice", "expand"),
    *("split", "split_with_sizes", "getitem", "max_pool1d", "max_pool2d", "max_pool3d", "pad", "dropout"),
    *("clone", "contiguous"),
}


def simulate(model: nn.Module, example: Tensor, ends: bool = True) -> fx.GraphModule:
    """Return a network with the tensors of a model that computes as the model's int8 file does.

    It computes as in evaluation: norms use their running statistics, which a file has inside its layers, and
    nothing is dropped. (A scale for each output makes it the same whether weights are rounded before or after
    a norm's factors are multiplied into them.) Biases have 32 bits in the file and are not rounded here; nor
    is what happens inside attention, or a linear layer's product before its bias where inputs are sequences.

    Args:
        model: it is not changed.
        example: (2, C, H, W), on the device of the result.
        ends: whether the first and the last layer get 8 bits too.

    Raises:
        InputError: no layer would get 8 bits, or PyTorch cannot export the model.
    """
    model = copy.deepcopy(model).eval().to(example.device)
    for name in prunable(model):  # survivors are trained, also where the model froze them
        model.get_parameter(name).requires_grad_()
    module = _exported(model, example)
    graph = module.graph
    nodes = _of_images(graph)
    layers = [node for node in nodes if _kind(node) in LAYERS][slice(None) if ends else slice(1, -1)]
    if not layers:
        raise InputError(
            "int8-train simulates linear layers and convolutions, and finds none"
            f"{'' if ends else ' between the first and the last (compress.ends)'}: choose another step."
        )
    others = (node for node in nodes if _kind(node) in OTHERS and _is_real(node))
    _round_activations(graph, nodes, {*layers, *others}, module)
    for number, node in enumerate(layers):
        module.add_module(f"weight_{number}", Weight(LAYERS[_kind(node)]))
        with graph.inserting_before(node):
            node.update_arg(1, graph.call_module(f"weight_{number}", (node.args[1],)))
    return fx.GraphModule(module, graph)


@torch.enable_grad()  # without gradients, PyTorch takes a shortcut through transformers that has no graph
def _exported(model: nn.Module, example: Tensor) -> fx.GraphModule:
    """Return the graph of a model, for any number of images."""
    sizes = ({0: torch.export.Dim("N")},)
    try:
        program = torch.export.export(model, (example,), dynamic_shapes=sizes).run_decompositions({})
    except Exception as error:  # they have no common class
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"PyTorch cannot export this network for int8-train ({reason}): take int8."
        ) from None
    found: fx.GraphModule = program.module(check_guards=False)
    return found


def _kind(node: fx.Node) -> str:
    """Return the name of a node's operation, such as `conv2d`."""
    return getattr(node.target, "__name__", "").partition(".")[0]


def _is_real(node: fx.Node) -> bool:
    """Return whether a node's value is a tensor of real numbers, not a size."""
    value = node.meta["val"]
    return isinstance(value, Tensor) and value.is_floating_point()


def _of_images(graph: fx.Graph) -> list[fx.Node]:
    """Return the images and everything computed from them, in order."""
    (images,) = graph.find_nodes(op="placeholder")
    found = {images: None}
    for node in graph.nodes:
        if node.op == "call_function" and any(each in found for each in node.all_input_nodes):
            found[node] = None
    return list(found)


def _round_activations(
    graph: fx.Graph, nodes: list[fx.Node], of_8_bits: set[fx.Node], module: nn.Module
) -> None:
    """Round the inputs and outputs of operations of 8 bits, each tensor once."""
    chosen: dict[fx.Node, None] = {}  # a set in the graph's order
    for node in nodes:
        if node in of_8_bits:
            own = [each for each in node.all_input_nodes if each in nodes and _is_real(each)]
            chosen |= dict.fromkeys(each for each in own if not _is_moved(each, chosen))
            chosen[_last(node)] = None
    for number, node in enumerate(chosen):
        name = f"activation_{number}"
        module.add_module(name, Activation())
        with graph.inserting_after(node):
            result = graph.call_module(name, (node,))
        node.replace_all_uses_with(result, delete_user_cb=partial(is_not, result))


def _is_moved(node: fx.Node, chosen: Container[fx.Node]) -> bool:
    """Return whether a tensor holds numbers of one that is chosen."""
    while node not in chosen and _kind(node) in MOVES:
        node = node.all_input_nodes[0]
    return node in chosen


def _last(node: fx.Node) -> fx.Node:
    """Return the last of the operations that are computed together, from the first."""
    for following in ({NORM} if _kind(node) in LAYERS else set(), {"getitem"}, FUSED):
        if len(node.users) == 1 and _kind(user := next(iter(node.users))) in following:
            node = user
    return node
