"""Export of a ticket in all its forms, each evaluated on the test images."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from prunet.base import files
from prunet.cells.masks import Weights
from prunet.data.images.dataset import SPLITS
from prunet.deployment import acceptance, compact, inference, onnx_file, plain_files, thresholds
from prunet.deployment.metadata import Storage
from prunet.deployment.selection import Ticket
from prunet.deployment.smaller import smaller
from prunet.models.built_in import MODELS
from prunet.structure.program import write_program
from prunet.training import batches, streams


def export(
    folder: Path,
    ticket: Ticket,
    dense: Weights,
    data: dict[str, Any],
    strangers: NDArray[np.uint8] | None,
    *,
    bits: int,
    known: float,
    false_accepts: float | None,
) -> dict[str, Any]:
    """Write all forms of a ticket to `folder` and return its metadata; `stages.export` lists the files.

    Args:
        folder: exists and is empty.
        ticket: the network.
        dense: the tensors of the unpruned network, (*shape).
        data: the data set, from `prunet.data.images.dataset.load`. Its validation images set the threshold
            below which an answer is unknown; its test images measure the accuracy of every form.
        strangers: (M, C, S, S) images of no class of the data set, for the share of them that get a name;
            None: it is estimated from the data set's own images.
        bits: width of a codebook entry in the quantised ticket, 1 to 8.
        known: share of the correctly classified validation images that stay above the threshold, 0 to 1.
        false_accepts: largest share of the strangers that get a name, 0 to 1. Where there are strangers, it
            sets the threshold instead of `known`; None: `known` sets it.

    Raises:
        InputError: the outputs of an ONNX file differ from PyTorch's.
    """
    weights, masks, metadata = ticket
    chosen = {name: data["split"] == SPLITS.index(name) for name in ("val", "test")}
    images = {name: streams.choose(data["images"], mask) for name, mask in chosen.items()}
    labels = {name: data["labels"][mask] for name, mask in chosen.items()}
    masked = inference.build(weights, metadata)
    answers = {name: inference.classify(masked, images[name], metadata) for name in chosen}
    outsiders = None if strangers is None else inference.classify(masked, strangers, metadata).max(1)
    metadata = metadata | calibrate(answers, labels, outsiders, known, false_accepts)

    prepare = partial(batches.prepare, values=metadata["preparation"])
    few = np.arange(min(len(labels["test"]), max(plain_files.BATCHES)))
    example = prepare(torch.from_numpy(streams.pixels(images["test"], few)))
    small = smaller(masked, masks, example[:2])
    networks = {"dense": inference.build(dense, metadata), "masked": masked, "shrunk": small}
    for name, network in networks.items():
        # The code of one's own network may turn the size of the batch into a number.
        built_in = metadata["model"] in MODELS
        program = network if built_in else write_program(network, example[:2])
        onnx_file.save(folder / f"{name}.onnx", program, metadata["preparation"], metadata["class_names"])
        tested = map(prepare, streams.parts(images["test"], onnx_file.BATCH))
        onnx_file.check(folder / f"{name}.onnx", network, tested)
    compact.save(folder / "ticket.safetensors", weights, masks, metadata)
    compact.save(folder / "quantised.safetensors", weights, masks, metadata, Storage(bits))
    for name in ("ticket", "quantised"):
        read, _, _ = compact.load(folder / f"{name}.safetensors", metadata["model"])
        networks[name] = inference.build(read, metadata)
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
    about = metadata | {"forms": forms}
    plain_files.save(folder, networks["dense"], small, masks, example)
    plain_files.write_card(folder, about, networks["dense"], small, example)
    files.write_json(folder / "about.json", about)
    return metadata


def calibrate(
    answers: dict[str, NDArray[np.float32]],
    labels: dict[str, NDArray[np.int64]],
    strangers: NDArray[np.float32] | None,
    known: float,
    false_accepts: float | None,
) -> dict[str, Any]:
    """Return the `threshold` of a ticket and its `rates`, for its metadata.

    Args:
        answers: class probabilities (N, classes) of the splits val and test.
        labels: (N,) of both.
        strangers: (M,) confidences of strangers; None if there are none.
        known: see `export`.
        false_accepts: see `export`.

    Returns:
        In `rates`: the `table` of `acceptance.measure`; `measured`, whether its false accepts are those of
        strangers; the number of `strangers`, or of images that stand in for them, and of `test_images`.
    """
    if strangers is not None and false_accepts is not None:
        threshold = thresholds.stranger_threshold(strangers, false_accepts)
    else:
        threshold = thresholds.known_threshold(answers["val"], labels["val"], known)
    measured = strangers is not None
    if strangers is None:
        strangers = np.concatenate([acceptance.left_out(answers[name], labels[name]) for name in answers])
    table = acceptance.measure(threshold, answers["test"], labels["test"], strangers)
    counts = {"strangers": len(strangers), "test_images": len(labels["test"])}
    return {"threshold": threshold, "rates": {"measured": measured, **counts, "table": table}}
