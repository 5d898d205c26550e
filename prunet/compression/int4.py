"""Linear layers of 4 bits in an ONNX file, which ONNX Runtime multiplies as they are."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from prunet.base.errors import InputError
from prunet.base.files import replacing
from prunet.compression.int8 import quiet


def quantise(source: Path, target: Path, block: int = 32) -> None:
    """Write an ONNX file whose linear layers have weights of 4 bits; equal input gives equal bytes.

    Each block of an output's weights has a float32 scale; weights are -8 to 7 times it. Activations,
    convolutions and biases stay float32. The layers become nodes `MatMulNBits`, an operation of ONNX Runtime
    that other runtimes need not have.

    Args:
        source: from `onnx_file.save`.
        target: replaced completely or not at all.
        block: weights that share a scale: a power of two, at least 16.

    Raises:
        InputError: the file has no linear layer, or ONNX Runtime cannot quantise it.
    """
    try:
        file = onnx.load(source)
        count = _split_products(file.graph)
        with quiet():
            from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

            quantizer = MatMulNBitsQuantizer(file, bits=4, block_size=block, is_symmetric=True)
            quantizer.process()
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise InputError(f"{source} cannot be quantised by ONNX Runtime ({error}).") from None
    if not count:
        raise InputError(f"{source} has no linear layer, and only these can have 4 bits: choose int8.")
    with replacing(target) as partial:
        partial.write_bytes(quantizer.model.model.SerializeToString(deterministic=True))


def _split_products(graph: onnx.GraphProto) -> int:
    """Turn linear layers (`Gemm`) into a product and a sum, which is what is quantised; return their number.

    PyTorch's exporter writes `Gemm` with the weight (out, in), its transpose, and factors of one.
    """
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes, count = [], 0
    for node in graph.node:
        count += node.op_type == "MatMul" and node.input[1] in weights
        if node.op_type != "Gemm" or node.input[1] not in weights:
            nodes.append(node)
            continue
        count += 1
        images, name, *bias = node.input
        values = numpy_helper.to_array(weights[name])
        if any(attribute.name == "transB" and attribute.i for attribute in node.attribute):
            weights[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values.T), name))
        product = f"{node.output[0]}_product" if bias else node.output[0]
        nodes.append(helper.make_node("MatMul", [images, name], [product], name=f"{node.name}_product"))
        if bias:
            nodes.append(helper.make_node("Add", [product, *bias], node.output, name=node.name))
    del graph.node[:]
    graph.node.extend(nodes)
    return count
