"""Linear layers of 4 bits in an ONNX file, which ONNX Runtime multiplies as they are."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from prunet.base.files import replacing

BLOCKS = (16, 32, 64, 128, 256)  # weights of an output that share a scale, in ONNX Runtime


def pack(path: Path) -> int:
    """Store the linear layers of an ONNX file that have few different weights with 4 bits a weight.

    These are layers whose weights are whole numbers from -7 to 7 times a scale for each output, as the steps
    `int4` and `binary` leave them (`grids.quantise`). Their nodes become `MatMulNBits`, an operation of ONNX
    Runtime that other runtimes need not have, and give the same outputs up to rounding. Everything else,
    convolutions too, stays float32.

    Args:
        path: from `onnx_file.save`; it is replaced completely or not at all.

    Returns:
        The number of such layers.
    """
    file = onnx.load(path)
    graph = file.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes, packed = [], []
    for node in graph.node:
        weight = _weight(node, weights)
        parts = None if weight is None else numbers(weight)
        if parts is None:
            nodes.append(node)
        else:
            tensors = _tensors(node.output[0], *parts)
            packed.append(tensors)
            nodes.extend(_product(node, tensors, parts[0].shape))
    if packed:
        used = {name for node in nodes for name in node.input}
        rest = [tensor for tensor in graph.initializer if tensor.name in used]
        del graph.node[:], graph.initializer[:]
        graph.node.extend(nodes)
        graph.initializer.extend([*rest, *(tensor for tensors in packed for tensor in tensors)])
        file.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        with replacing(path) as partial:
            partial.write_bytes(file.SerializeToString(deterministic=True))
    return len(packed)


def numbers(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]] | None:
    """Return whole numbers (out, in), -7 to 7, and scales (out,) whose products are a weight.

    Returns:
        None if there are none.
    """
    found, scales = np.zeros(weight.shape, np.int8), np.zeros(len(weight), np.float32)
    missing = weight.any(1)
    # The largest number of an output: 7, or another where units are gone.
    for divisor in range(7, 0, -1):
        own = np.abs(weight).max(1) / np.float32(divisor)
        near = np.rint(weight / np.where(own > 0, own, 1)[:, None])
        fits = missing & np.isclose(near * own[:, None], weight, rtol=1e-6, atol=0).all(1)
        found[fits], scales[fits] = near[fits], own[fits]
        missing &= ~fits
    return None if missing.any() else (found, scales)


def _weight(node: onnx.NodeProto, weights: dict[str, onnx.TensorProto]) -> NDArray[np.float32] | None:
    """Return the weight (out, in) of a linear layer, or None of any other node."""
    if node.op_type not in ("Gemm", "MatMul") or node.input[1] not in weights:
        return None
    found = numpy_helper.to_array(weights[node.input[1]])
    if found.ndim != 2:
        return None
    return found if any(each.name == "transB" and each.i for each in node.attribute) else found.T


def _tensors(name: str, found: NDArray[np.int8], scales: NDArray[np.float32]) -> list[onnx.TensorProto]:
    """Return the numbers, two in a byte, and the scale of each block of them."""
    block = _block(found.shape[1])
    count = -(-found.shape[1] // block)
    padded = np.full((len(found), count * block), 8, np.uint8)  # 8 stands for zero
    padded[:, : found.shape[1]] = found + 8
    pairs = (padded[:, ::2] | padded[:, 1::2] << 4).reshape(len(found), count, block // 2)
    return [
        numpy_helper.from_array(pairs, f"{name}_numbers"),
        numpy_helper.from_array(np.repeat(scales, count), f"{name}_scales"),
    ]


def _product(
    node: onnx.NodeProto, tensors: list[onnx.TensorProto], shape: tuple[int, ...]
) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a linear layer: the product with its weight (out, in), and the sum with its bias."""
    images, _, *bias = node.input
    product = f"{node.output[0]}_product" if bias else node.output[0]
    yield helper.make_node(
        "MatMulNBits",
        [images, *(tensor.name for tensor in tensors)],
        [product],
        domain="com.microsoft",
        name=f"{node.name}_product",
        N=shape[0],
        K=shape[1],
        bits=4,
        block_size=_block(shape[1]),
    )
    if bias:
        yield helper.make_node("Add", [product, *bias], node.output, name=node.name)


def _block(columns: int) -> int:
    """Return the size of a block with which an output takes the fewest bytes."""
    return min(BLOCKS, key=lambda size: -(-columns // size) * (size // 2 + 4))
