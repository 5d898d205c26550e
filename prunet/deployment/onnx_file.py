"""ONNX file of a network, which runs without prunet and without PyTorch."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prunet.base.errors import InputError
from prunet.base.files import replacing

# ONNX Runtime reads this when it is first imported. Without it, the import starts a thread that reports usage
# to Microsoft, and writes a device identifier to the home folder (onnxruntime/Privacy.md).
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# The lowest opset that PyTorch's exporter writes, and the IR version of its time: ONNX Runtime reads both
# since 1.14, IR 10 of the exporter since 1.18 (https://onnxruntime.ai/docs/reference/compatibility.html).
OPSET, IR_VERSION = 18, 8
TOLERANCE = 1e-4  # relative to the largest logit; rounding differs by about 1e-6
BATCH = 256  # images at a time; bounds the memory

NOTE = (
    "images: (N, C, H, W) float32; logits: (N, classes); their softmax is the probabilities of class_names. "
    "To prepare 8-bit images, use the values of `preparation`: resize to `side` pixels a side (by "
    "`interpolation`, averaging when it shrinks), subtract `mean`, divide by `std` (if `unit_norm` is true, "
    "then every image by its L2 norm over all channels, or by 1 if that is 0), and crop the centre to "
    "`shape` (C, H, W). Digits must be light strokes on dark."
)


def save(path: Path, model: nn.Module, preparation: dict[str, Any], class_names: Sequence[str]) -> None:
    """Write a model as an ONNX file; equal input gives equal bytes.

    Its input `images` is (N, C, H, W) float32 from `batches.prepare`, for any N; its output `logits` is (N,
    classes). The file's metadata hold `preparation` and `class_names` as JSON.

    Args:
        path: the file; it is replaced completely or not at all.
        model: on the CPU and in evaluation mode.
        preparation: from `batches.preparation`.
        class_names: one name for each class.
    """
    example = torch.zeros(2, *preparation["shape"])  # with one image PyTorch would fix the batch size
    program = torch.onnx.export(
        model,
        (example,),
        input_names=["images"],
        output_names=["logits"],
        opset_version=OPSET,
        dynamic_shapes=({0: torch.export.Dim("N")},),
        verbose=False,
    )
    assert program is not None
    file = program.model_proto
    file.ir_version = IR_VERSION
    graph = file.graph
    # The exporter stores the source location of every operation, with paths of this machine.
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    file.doc_string = NOTE
    for key, value in (("preparation", preparation), ("class_names", list(class_names))):
        file.metadata_props.add(key=key, value=json.dumps(value, sort_keys=True))
    with replacing(path) as partial:
        partial.write_bytes(file.SerializeToString(deterministic=True))


def check(path: Path, model: nn.Module, batches: Iterable[Tensor]) -> float:
    """Run an ONNX file on images and compare its logits with those of the model that it was made from.

    Args:
        path: the file.
        model: on the CPU and in evaluation mode.
        batches: images, each (B, C, H, W) float32 from `batches.prepare`.

    Returns:
        The largest absolute difference between two logits.

    Raises:
        InputError: the file does not run on these images, a logit differs by more than `TOLERANCE` times the
            largest logit, or an image gets another class.
    """
    run, answers = runner(path), []
    with torch.no_grad():
        for images in batches:
            answers.append((run(images), model(images)))
    found, expected = (torch.cat(logits) for logits in zip(*answers, strict=True))
    if found.shape != expected.shape:
        raise InputError(
            f"{path} gives logits {tuple(found.shape)} and PyTorch {tuple(expected.shape)}; export it again."
        )
    difference = float((found - expected).abs().max())
    limit = TOLERANCE * float(expected.abs().max())
    others = int((found.argmax(1) != expected.argmax(1)).sum())
    if not difference <= limit or others:  # also fails for NaN
        raise InputError(
            f"{path} does not match PyTorch: logits differ by up to {difference:.2g} (allowed: {limit:.2g}), "
            f"and {others} of {len(found)} images get another class; export it again with the model in "
            "evaluation mode."
        )
    return difference


def runner(path: Path) -> Callable[[Tensor], Tensor]:
    """Load a file into ONNX Runtime, on one CPU core.

    Returns:
        A function of images (B, C, H, W) float32, prepared, that returns their logits (B, classes).

    Raises:
        InputError: the file cannot be loaded; or, from the function, it does not run on the images.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised as well
    with _refusing(path):
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        with _refusing(path):
            return torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])

    return run


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn every error of ONNX Runtime into a refusal of the file."""
    try:
        yield
    except Exception as error:  # they have no common class
        raise InputError(f"{path} cannot be run by ONNX Runtime ({error}); export it again.") from None
