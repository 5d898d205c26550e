"""Export of a ticket in all its forms, each evaluated on the test images."""

from pathlib import Path
from typing import Any

import torch

from prunet.base import files
from prunet.cells.masks import Weights
from prunet.data.images.dataset import SPLITS
from prunet.deployment import compact, inference, onnx_file
from prunet.deployment.selection import Ticket
from prunet.deployment.thresholds import unknown_threshold
from prunet.shrinking.shrinking import shrink
from prunet.training import batches, streams


def export(
    folder: Path, ticket: Ticket, dense: Weights, data: dict[str, Any], *, bits: int, known: float
) -> None:
    """Write all forms of a ticket to `folder`; `stages.export` lists the files.

    Args:
        folder: exists and is empty.
        ticket: the network.
        dense: the tensors of the unpruned network, (*shape).
        data: the data set, from `prunet.data.images.dataset.load`. Its validation images set the threshold
            below which an answer is unknown; its test images measure the accuracy of every form.
        bits: width of a codebook entry in the quantised ticket, 1 to 8.
        known: share of the correctly classified validation images that stay above the threshold, 0 to 1.

    Raises:
        InputError: the outputs of an ONNX file differ from PyTorch's.
    """
    weights, masks, metadata = ticket
    chosen = {name: data["split"] == SPLITS.index(name) for name in ("val", "test")}
    images = {name: streams.pixels(data["images"], mask) for name, mask in chosen.items()}
    labels = {name: data["labels"][mask] for name, mask in chosen.items()}
    masked = inference.build(weights, metadata)
    probabilities = inference.classify(masked, images["val"], metadata)
    metadata = metadata | {"threshold": unknown_threshold(probabilities, labels["val"], known)}

    networks = {"dense": inference.build(dense, metadata), "masked": masked, "shrunk": shrink(masked, masks)}
    prepared = batches.prepare(torch.from_numpy(images["test"]), metadata["preparation"])
    for name, network in networks.items():
        onnx_file.save(folder / f"{name}.onnx", network, metadata["preparation"], metadata["class_names"])
        onnx_file.check(folder / f"{name}.onnx", network, prepared)
    compact.save(folder / "ticket.safetensors", weights, masks, metadata)
    compact.save(folder / "quantised.safetensors", weights, masks, metadata, bits)
    for name in ("ticket", "quantised"):
        networks[name] = inference.build(compact.load(folder / f"{name}.safetensors")[0], metadata)
    forms = {
        path.name: {
            "bytes": path.stat().st_size,
            "parameters": sum(tensor.numel() for tensor in networks[path.stem].parameters()),
            "test_accuracy": inference.accuracy(
                networks[path.stem], images["test"], labels["test"], metadata
            ),
        }
        for path in sorted(folder.iterdir())
    }
    files.write_json(folder / "about.json", metadata | {"forms": forms})
