"""A ticket as an ONNX file, which runs without prunet and without PyTorch."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from prunet.base.errors import InputError
from prunet.base.files import replacing

OPSET = 20
TOLERANCE = 1e-4  # of the largest logit: rounding, which another order of the same sums leaves, is near 1e-6
BATCH = 256  # images at a time; bounds the memory

NOTE = (
    "images: (N, C, H, W) float32; logits: (N, classes), whose softmax are the probabilities of class_names. "
    "From 8-bit images to this input by the numbers of `preparation`: resize to `side` pixels a side "
    "(bilinear, averaging where it shrinks), subtract `mean`, divide by `std`, and take the centre that "
    "`shape` (C, H, W) names. For digits: light strokes on dark."
)


def save(path: Path, model: nn.Module, preparation: dict[str, Any], class_names: Sequence[str]) -> None:
    """Write a model as an ONNX file; equal input gives equal bytes.

    Its input `images` is (N, C, H, W) float32 as `batches.prepare` makes them, for any N; its output `logits`
    (N, classes). `preparation` and `class_names` go with it as JSON, among the model's metadata.

    Args:
        path: the file, replaced whole.
        model: on the CPU and in evaluation mode.
        preparation: from `batches.preparation`.
        class_names: one name for each class.
    """
    example = torch.zeros(2, *preparation["shape"])  # PyTorch would take a single image for a fixed size
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
    graph = file.graph
    # The exporter notes where in which source file an operation came from, with this machine's folders.
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    file.doc_string = NOTE
    for key, value in (("preparation", preparation), ("class_names", list(class_names))):
        file.metadata_props.add(key=key, value=json.dumps(value))
    with replacing(path) as partial:
        partial.write_bytes(file.SerializeToString(deterministic=True))


def check(path: Path, model: nn.Module, images: Tensor) -> float:
    """Run an ONNX file on images and compare it with the model that it was made from.

    Args:
        path: the file.
        model: on the CPU and in evaluation mode.
        images: (N, C, H, W) float32, as `batches.prepare` makes them.

    Returns:
        The largest absolute difference of a logit.

    Raises:
        InputError: the file cannot be run on such images, a logit differs by more than `TOLERANCE` times the
            largest logit, or an image gets another class.
    """
    found = _run(path, images)
    with torch.no_grad():
        expected = torch.cat([model(part) for part in torch.split(images, BATCH)])
    if found.shape != expected.shape:
        raise InputError(f"{path} gives logits {tuple(found.shape)}, PyTorch {tuple(expected.shape)}.")
    difference = float((found - expected).abs().max())
    limit = TOLERANCE * float(expected.abs().max())
    others = int((found.argmax(1) != expected.argmax(1)).sum())
    if not difference <= limit or others:  # so that NaN fails, too
        raise InputError(
            f"{path} does not compute what PyTorch does: logits differ by up to {difference:.2g} (allowed: "
            f"{limit:.2g}), and {others} of {len(images)} images get another class. Write it again, with "
            "the model in evaluation mode."
        )
    return difference


def _run(path: Path, images: Tensor) -> Tensor:
    """Return the logits (N, classes) that ONNX Runtime computes on one core of the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # an error is raised, too
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        parts = [session.run(["logits"], {"images": part.numpy()})[0] for part in torch.split(images, BATCH)]
    except Exception as error:  # ONNX Runtime's errors have no class in common
        raise InputError(f"{path} cannot be run by ONNX Runtime ({error}): write it again.") from None
    return torch.from_numpy(np.concatenate(parts))
