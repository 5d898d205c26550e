"""Combinations of steps, each measured as it is delivered: an ONNX file that ONNX Runtime runs."""

import copy
import gzip
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from prunet.base.progress import progress
from prunet.compression import int4, int8
from prunet.compression.steps import STEPS, Networks, Tools
from prunet.deployment import compact, latency, onnx_file
from prunet.deployment.metadata import without_defaults
from prunet.deployment.operations import operations
from prunet.deployment.smaller import smaller
from prunet.models.state import load_state

Steps = tuple[str, ...]


class Delivery(NamedTuple):
    """Data and settings for measuring combinations.

    Attributes:
        metadata: of the study's tickets (`selection.about_study`).
        splits: `val` and `test`: a function that returns batches of prepared images and labels.
        calibration: returns batches of prepared training images.
        percentile: of activations, for int8.
        ends: whether the first and the last layer get int8 too.
        image: (1, C, H, W), prepared.
        seconds: of timing for each combination.
    """

    metadata: dict[str, Any]
    splits: Mapping[str, Callable[[], Iterator[tuple[Tensor, Tensor]]]]
    calibration: Callable[[], Iterator[Tensor]]
    percentile: float
    ends: bool
    image: Tensor
    seconds: float


def every(combinations: Sequence[Sequence[str]]) -> list[Steps]:
    """Return the combinations and everything on the way to them, from the dense networks, `()`, each once."""
    found = (tuple(steps[:count]) for steps in combinations for count in range(len(steps) + 1))
    return sorted(dict.fromkeys(found), key=len)


def take(dense: Networks, tools: Callable[[Steps], Tools], wanted: Sequence[Steps]) -> dict[Steps, Networks]:
    """Take the steps of every combination; each comes after the combination without its last step.

    Args:
        dense: the networks before the first step.
        tools: returns what a combination's last step needs.
        wanted: from `every`.

    Raises:
        InputError: a step cannot be taken.
    """
    found: dict[Steps, Networks] = {(): dense}
    for steps in progress(wanted, desc="compress", unit="combination"):
        if steps:
            found[steps] = STEPS[steps[-1]](found[steps[:-1]], tools(steps))
    return found


def measure(found: Mapping[Steps, Networks], delivery: Delivery, folder: Path) -> list[dict[str, Any]]:
    """Write the files of every combination, and measure all of them.

    Args:
        found: from `take`.
        delivery: data and settings.
        folder: gets two files of the first replicate: `NAME.onnx`, and the same network in its smallest form:
            `NAME.onnx.gz` of int8, or else the ticket `NAME.safetensors` (`compact.save`). NAME are the
            steps, joined by `+`, or `dense`.

    Returns:
        A row for each replicate of each combination: `combination`, `replicate`, `val_accuracy` and
        `accuracy` (test split), 0 to 1. Of the first replicate alone: `bytes` (of the smallest file),
        `bytes_onnx`, `macs` (for one image, as delivered), and `ms_median`, `ms_low` and
        `ms_high` (for one image on one core, all combinations in turns).
    """
    rows, runners = [], {}
    for steps, networks in progress(found.items(), desc="measure", unit="combination"):
        name = name_of(steps)
        for number in range(networks.replicates):
            path = folder / f"{name if number == 0 else 'other'}.onnx"
            macs = _write(networks, number, delivery, path)
            run = onnx_file.runner(path)
            val, test = (accuracy(run, delivery.splits[split]()) for split in ("val", "test"))
            rows.append({"combination": name, "replicate": number, "val_accuracy": val, "accuracy": test})
            if number == 0:
                size = _smallest(networks, delivery.metadata, path)
                rows[-1] |= {"bytes": size, "bytes_onnx": path.stat().st_size, "macs": macs}
                runners[name] = run
    (folder / "other.onnx").unlink(missing_ok=True)
    timed = {row["form"]: row for row in latency.measure(runners, [delivery.image], delivery.seconds)}
    for row in rows:
        if row["replicate"] == 0:
            row |= {name: timed[row["combination"]][name] for name in ("ms_median", "ms_low", "ms_high")}
    return rows


def accuracy(run: Callable[[Tensor], Tensor], batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Return the share, 0 to 1, of images that get their label.

    Args:
        run: from `onnx_file.runner`.
        batches: images (B, C, H, W), prepared, and labels (B,).

    Raises:
        InputError: the file does not run on these images.
    """
    right = count = 0
    for images, labels in batches:
        right += int((run(images).argmax(1) == labels).sum())
        count += len(labels)
    return right / count


def name_of(steps: Steps) -> str:
    """Return the name of a combination."""
    return "+".join(steps) or "dense"


def _smallest(networks: Networks, metadata: dict[str, Any], path: Path) -> int:
    """Write the smallest file of the first network beside its ONNX file; return its bytes."""
    if networks.int8:
        small = path.with_name(f"{path.name}.gz")
        small.write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
    else:
        small = path.with_suffix(".safetensors")
        compact.save(small, *networks.one(0), _needed(metadata, networks.ranks), networks.storage)
    return small.stat().st_size


def _needed(metadata: Mapping[str, Any], ranks: Mapping[str, int]) -> dict[str, Any]:
    """Return the metadata that inference needs, without defaults: of a ticket of 7 kB, all take a tenth."""
    faces = ("faces", "threshold") if metadata["faces"] else ()
    head = ("head",) if metadata["head"] == "replace" else ()
    kept = {name: metadata[name] for name in ("model", "class_names", *faces, *head)}
    return (
        kept
        | {"preparation": without_defaults(metadata["preparation"])}
        | ({"ranks": dict(ranks)} if ranks else {})
    )


def _write(networks: Networks, number: int, delivery: Delivery, path: Path) -> int:
    """Write the file of one network; return its multiply-accumulates."""
    model, (weights, masks) = copy.deepcopy(networks.model).eval(), networks.one(number)
    load_state(model, {name: torch.as_tensor(np.asarray(values)) for name, values in weights.items()})
    small = smaller(model, masks, delivery.image)
    onnx_file.save(path, small, delivery.metadata["preparation"], delivery.metadata["class_names"])
    if networks.storage.grid:
        int4.pack(path)
    if networks.int8:
        whole = path.with_suffix(".float32.onnx")
        path.rename(whole)
        int8.quantise(whole, path, delivery.calibration(), delivery.percentile, delivery.ends)
        whole.unlink()
    return int(operations(small, {}, tuple(delivery.image.shape[1:]))["macs_dense"])  # type: ignore[arg-type]
