"""Forms of a network, each made by a function of the network and a scratch folder."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.engines import keras, onednn
from bench.engines.networks import Network
from prunet.deployment import compiled, onnx_file
from prunet.deployment.sparse import sparsify

Form = Callable[[Tensor], Any]  # from images (B, C, H, W) to outputs, a tensor or an array (B, classes)


def in_numpy(network: Network, folder: Path) -> Form:
    """Run fully connected layers densely in NumPy."""
    kinds = {name: "dense" for name, layer in network.dense.named_modules() if isinstance(layer, nn.Linear)}
    return sparsify(network.dense, network.images, kinds)[0]


def onnx_runtime(network: Network, folder: Path) -> Form:
    """Run the dense network in ONNX Runtime."""
    return onnx_file.runner(_onnx(network.dense, network.images, folder))


def fastest_products(network: Network, folder: Path) -> Form:
    """Run prunet's sparse form, without Numba."""
    suits, compiled.suits = compiled.suits, lambda links: False
    try:
        return sparsify(network.pruned, network.images)[0]
    finally:
        compiled.suits = suits


def numba(network: Network, folder: Path) -> Form:
    """Run prunet's compiled form."""
    return compiled.Compiled(list(network.pruned))


def pytorch_csr(network: Network, folder: Path) -> Form:
    """Run PyTorch's products of compressed sparse rows, which are MKL's."""
    return _in_layers(network, lambda weight, columns: torch.from_numpy(weight).to_sparse_csr().matmul)


def one_dnn(network: Network, folder: Path) -> Form:
    """Run oneDNN's products of compressed sparse rows."""
    return _in_layers(network, onednn.product)


def openvino(network: Network, folder: Path, rate: float = 1.0) -> Form:
    """Run OpenVINO, with weights packed from this rate of zeros on; 1 never packs."""
    import openvino as package

    core = package.Core()
    model = core.read_model(_onnx(network.dense if rate == 1 else network.pruned, network.images, folder))
    model.reshape(list(network.images.shape))
    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE": rate,
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()

    def run(images: Tensor) -> Any:
        return request.infer(images.numpy(), share_inputs=True, share_outputs=True)[0]

    return run


def litert(network: Network, folder: Path, sparse: bool) -> Form:
    """Run LiteRT, whose delegate is XNNPACK; with `sparse` its file has sparse tensors."""
    from ai_edge_litert.interpreter import Interpreter

    model = network.pruned if sparse else network.dense
    content = keras.tflite(model, network.images, sparse, folder / "saved")
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    given, answer = (
        detail[0]["index"] for detail in (interpreter.get_input_details(), interpreter.get_output_details())
    )
    last = network.images.permute(0, 2, 3, 1).contiguous().numpy()  # prepared once, in favour of LiteRT

    def run(images: Tensor) -> Any:
        interpreter.set_tensor(given, last)
        interpreter.invoke()
        return interpreter.get_tensor(answer)

    return run


def executorch(network: Network, folder: Path) -> Form:
    """Run ExecuTorch with XNNPACK on the pruned network."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
    from executorch.runtime import Runtime

    _unsafe_reset_threadpool(1)  # by no other name; it takes all cores otherwise
    with torch.inference_mode(False):
        program = torch.export.export(network.pruned, (network.images,))
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
    path = folder / "network.pte"
    path.write_bytes(lowered.buffer)
    method = Runtime.get().load_program(path).load_method("forward")
    return lambda images: method.execute([images])[0]


def _in_layers(network: Network, product: Callable[[Any, int], Callable[[Any], Any]]) -> Form:
    """Compute layer by layer on columns (features, B), as PyTorch tensors."""
    steps = []
    for layer in network.pruned:
        if isinstance(layer, nn.Linear):
            steps.append((product(layer.weight.numpy(), len(network.images)), layer.bias[:, None]))

    def run(images: Tensor) -> Tensor:
        x = images.flatten(1).T.contiguous()
        for multiply, bias in steps[:-1]:
            x = multiply(x).add_(bias).relu_()
        multiply, bias = steps[-1]
        last: Tensor = multiply(x) + bias
        return last.T

    return run


def _onnx(model: nn.Module, images: Tensor, folder: Path) -> Path:
    path = folder / "network.onnx"
    onnx_file.save(path, model, {"shape": list(images.shape[1:])}, [])
    return path


FORMS: dict[str, Callable[[Network, Path], Form]] = {
    "ONNX Runtime, dense": onnx_runtime,
    "PyTorch, dense": lambda network, folder: network.dense,
    "PyTorch compiled, dense": lambda network, folder: torch.compile(network.dense),
    "NumPy, dense": in_numpy,
    "OpenVINO, dense": openvino,
    "LiteRT, dense": partial(litert, sparse=False),
    "prunet": fastest_products,
    "prunet with Numba": numba,
    "PyTorch CSR (MKL)": pytorch_csr,
    "oneDNN CSR": one_dnn,
    "OpenVINO, sparse weights": partial(openvino, rate=0.5),
    "LiteRT, sparse tensors": partial(litert, sparse=True),
    "ExecuTorch, XNNPACK": executorch,
}
CHAINS_ONLY = (
    "NumPy, dense",
    "prunet with Numba",
    "PyTorch CSR (MKL)",
    "oneDNN CSR",
)  # fully connected layers
