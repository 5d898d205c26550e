"""One ticket in every form in which people use it, each tried on the test images."""

from pathlib import Path
from typing import Any

import torch

from prunet.base import files
from prunet.data.dataset import SPLITS
from prunet.deployment import compact, inference, onnx_file
from prunet.deployment.selection import Ticket
from prunet.graph.shrinking import shrink
from prunet.pruning.masks import Weights
from prunet.recognition.thresholds import unknown_threshold
from prunet.training import batches, streams


def export(
    folder: Path, ticket: Ticket, dense: Weights, data: dict[str, Any], *, bits: int, known: float
) -> None:
    """Write the forms of a ticket to `folder`; `stages.export` names the files.

    Args:
        folder: exists and is empty.
        ticket: the network.
        dense: the tensors of the unpruned network, (*shape).
        data: the dataset, as `prunet.data.dataset.load` returns it: validation images set the threshold
            below which an answer is "unknown", every form is run on the test images.
        bits: a weight in the quantised ticket's codebook, 1 to 8.
        known: share of the right answers on validation images that stay above the threshold, 0 to 1.

    Raises:
        InputError: an ONNX file does not give the answers of PyTorch.
    """
    weights, masks, about = ticket
    chosen = {name: data["split"] == SPLITS.index(name) for name in ("val", "test")}
    images = {name: streams.pixels(data["images"], mask) for name, mask in chosen.items()}
    labels = {name: data["labels"][mask] for name, mask in chosen.items()}
    model = inference.build(weights, about)
    seen = inference.classify(model, images["val"], about)
    about = about | {"threshold": unknown_threshold(seen, labels["val"], known)}

    compact.save(folder / "ticket.safetensors", weights, masks, about)
    compact.save(folder / "quantised.safetensors", weights, masks, about, bits)
    read = {name: compact.load(folder / f"{name}.safetensors")[0] for name in ("ticket", "quantised")}
    networks = {name: inference.build(values, about) for name, values in read.items()}
    prepared = batches.prepare(torch.from_numpy(images["test"]), about["preparation"])
    for name, network in (
        ("dense", inference.build(dense, about)),
        ("masked", model),
        ("shrunk", shrink(model, masks)),
    ):
        networks[name] = network
        onnx_file.save(folder / f"{name}.onnx", network, about["preparation"], about["class_names"])
        onnx_file.check(folder / f"{name}.onnx", network, prepared)
    files.write_json(
        folder / "about.json",
        about
        | {
            "forms": {
                path.name: {
                    "bytes": path.stat().st_size,
                    "parameters": sum(tensor.numel() for tensor in networks[path.stem].parameters()),
                    "test_accuracy": inference.accuracy(
                        networks[path.stem], images["test"], labels["test"], about
                    ),
                }
                for path in sorted(folder.iterdir())
            }
        },
    )
