"""Weights and activations of 8 bits: static quantisation of an ONNX file by ONNX Runtime."""

import io
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from itertools import chain
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor

from prunet.base.errors import InputError
from prunet.base.files import replacing

PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
NO_IMAGES = "int8 measures the ranges of activations on training images, and got none: give some."
INSTRUCTIONS = ("avx512_vnni", "avx_vnni", "amx_int8")  # of x86 processors, for sums of 8-bit products


def quantise(
    source: Path, target: Path, batches: Iterable[Tensor], percentile: float = 100.0, ends: bool = True
) -> None:
    """Write an ONNX file whose weights and activations have 8 bits; equal input gives equal bytes.

    Weights are signed, with a scale for each output; activations are unsigned, with a scale and a zero for
    each tensor (Jacob et al. 2018, section 2). The file has pairs of quantising and dequantising nodes around
    ordinary ones, which ONNX Runtime turns into integer products. Biases have 32 bits.

    Args:
        source: from `onnx_file.save`.
        target: replaced completely or not at all; its inputs, outputs and metadata are those of `source`.
        batches: training images, each (B, C, H, W), prepared. Their activations give the ranges.
        percentile: of a tensor's activations, so many are inside its range and as many are cut off above as
            below. 100: the range is from the lowest to the highest. Below 100, the activations of all images
            are kept in memory. (The entropy method of ONNX Runtime gives the ranges of 100, because it has as
            many bins as levels.)
        ends: whether the first and the last layer are quantised too.

    Raises:
        InputError: there are no images, or ONNX Runtime cannot quantise the file.
    """
    from onnxruntime import quantization

    methods = quantization.CalibrationMethod
    # One image at a time: the histograms of ONNX Runtime fail on batches of different sizes.
    images = (image for batch in batches for image in torch.split(batch, 1))
    first = next(images, None)
    if first is None:
        raise InputError(NO_IMAGES)
    with replacing(target) as partial, quiet():
        try:
            quantization.quantize_static(
                source,
                partial,
                _Reader(chain([first], images)),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_exclude=[] if ends else _ends(source),
                calibrate_method=methods.MinMax if percentile == 100 else methods.Percentile,
                # By default, this range is symmetric, and activations that are never negative get half of it.
                extra_options={"CalibPercentile": percentile, "CalibTensorRangeSymmetric": False},
            )
        except InputError:  # of the images
            raise
        except Exception as error:  # ONNX Runtime's errors have no common class
            raise InputError(f"{source} cannot be quantised by ONNX Runtime ({error}).") from None


def slow_processor() -> str | None:
    """Return a sentence if this x86 processor has no instructions for int8; None if it has, or is another."""
    found = torch.cpu.get_capabilities()
    if found.get("architecture") != "x86_64" or any(found.get(name) for name in INSTRUCTIONS):
        return None
    return (
        f"this processor ({found.get('cpu_name', 'unknown')}) has none of {', '.join(INSTRUCTIONS)}, so that "
        "int8 is hardly faster than float32 here, and sums of products may saturate."
    )


def _ends(path: Path) -> list[str]:
    """Return the names of the first and the last node with weights."""
    graph = onnx.load(path).graph
    weights = {tensor.name for tensor in graph.initializer}
    names = [node.name for node in graph.node if node.op_type in PRODUCTS and weights & set(node.input)]
    return [names[0], names[-1]]


class _Reader:
    """Images (1, C, H, W) in the form in which ONNX Runtime reads them."""

    def __init__(self, images: Iterator[Tensor]) -> None:
        self._images = images

    def get_next(self) -> dict[str, Any] | None:
        image = next(self._images, None)
        return None if image is None else {"images": image.numpy()}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep ONNX Runtime from printing what it does, from advice, and from changing how others log."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
        root.handlers[:] = handlers
        root.setLevel(level)
