"""Convolutional networks: images per second, the share of the peak, and several networks as one stack."""

import time
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from bench import machine
from bench.gpu.inputs import Sizes, job, shape_of, step_ms
from bench.gpu.report import Row
from prunet.deployment.latency import alternate, quartiles
from prunet.training import batches, gradients
from prunet.training.vectors import Stack

AUGMENTATIONS = {"light-cnn-9": "crop-flip", "resnet-20": "pad-crop-flip", "resnet-50": "resized-crop-flip"}
PRODUCTS = 10  # of matrices, for the peak
NETWORKS = 5  # of a stack


def throughput(device: torch.device, sizes: Sizes) -> Iterator[Row]:
    """Measure training in images per second, and as a share of the measured bfloat16 peak of the device."""
    peak = max(teraflops(sizes.matrix, device) for _ in range(3))
    yield Row("bfloat16 peak of matrix products, TFLOP/s", peak)
    steps = {"steps": sizes.convolutional_steps, "eval_every": sizes.convolutional_steps // 2}
    for name, augment in AUGMENTATIONS.items():
        shape, _ = shape_of(name, sizes)
        for dtype in ("float32", "bfloat16"):
            fixed = {"batch_size": sizes.batch, "augment": augment, "dtype": dtype}
            work = job(name, sizes, device, **fixed, **steps)
            second = 1000 * sizes.batch / step_ms(work)
            label = f"{name} {'x'.join(map(str, shape))} {dtype}"
            yield Row(f"{label}: images per second", second)
            if dtype == "bfloat16":
                share = second * machine.training_gflop(work.model.cpu(), shape) / 1000 / peak
                yield Row(f"{label}: share of the peak", share)


def teraflops(side: int, device: torch.device) -> float:
    """Return the TFLOP/s of square bfloat16 matrix products."""
    first, second = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    output = first @ second
    output[0, 0].item()  # waits for the device
    began = time.perf_counter()
    for _ in range(PRODUCTS):
        torch.mm(first, second, out=output)
    output[0, 0].item()
    return 2 * side**3 * PRODUCTS / (time.perf_counter() - began) / 1e12


def stacks(device: torch.device, sizes: Sizes) -> Iterator[Row]:
    """Measure the gradients of several ResNet-20, one after another and as one stack by `torch.func`."""
    work = job("resnet-20", sizes, device, dtype="float32", batch_size=sizes.batch, steps=2, eval_every=1)
    network = gradients.network(work.model, work.settings)
    states = [{name: tensor.to(device) for name, tensor in work.start.items()} for _ in range(NETWORKS)]
    stack = {name: torch.cat([state[name] for state in states]) for name in states[0]}
    output = {name: torch.empty_like(states[0][name]) for name in network.parameters}
    images, labels = batches.take(work.splits["train"], torch.arange(sizes.batch))

    def loss(trained: Stack, fixed: Stack) -> Tensor:
        return functional.cross_entropy(functional_call(work.model, (trained, fixed), (images,)), labels)

    def one_after_another(_: Tensor) -> None:
        for state in states:
            network.gradients(state, images[None], labels[None], output)

    def together(_: Tensor) -> None:
        trained = {name: stack[name] for name in network.parameters}
        vmap(grad(loss))(trained, {name: stack[name] for name in stack.keys() - trained.keys()})

    work.model.train()
    times = alternate({"each": one_after_another, "stack": together}, images, sizes.seconds)
    each, stacked = (1000 * quartiles(times[form])[1] for form in ("each", "stack"))
    yield Row(f"gradients of {NETWORKS} ResNet-20, one after another: ms", each)
    yield Row("the same as one stack (vmap): times faster", each / stacked)
