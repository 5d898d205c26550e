"""Stage `compress`: combinations of compression steps, each measured against the dense networks. Optional."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor

from prunet.analysis import pareto
from prunet.base import tables
from prunet.base.files import replacing
from prunet.base.options import CHECKPOINTS, PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.cells import storage
from prunet.compression import combinations, int8
from prunet.compression.retraining import Retraining
from prunet.compression.steps import STEPS, Networks, Tools
from prunet.data.images import dataset
from prunet.deployment import inference, selection
from prunet.training import batches, streams
from prunet.training.cells import contents

LINES = [f"{name:<15}{(step.__doc__ or '').splitlines()[0]}" for name, step in STEPS.items()]
AT_ONCE = 256  # images; bounds the memory


# \b: click must not fill up these lines.
@click.command(epilog="\n".join(["\b", "Steps (params.yaml, compress.combinations):", *LINES]))
@PARAMS
@CHECKPOINTS
@paths("data", "dense", "cells", "output", "folder")
def main(
    params: dict[str, Any],
    checkpoints: Path,
    data: Path,
    dense: Path,
    cells: Path,
    output: Path,
    folder: Path,
) -> None:
    """Take the steps of every combination from the networks DENSE, and measure what comes out.

    PARAMS is a JSON file with the study, the block `compress` of params.yaml, the round of CELLS that the
    step prune takes, and the margin of accuracy. DATA is the study's dataset file. Writes OUTPUT, a CSV with
    accuracy and costs of every combination and of every beginning of one. FOLDER gets two files of each: one
    that ONNX Runtime runs, and the smallest.
    """
    about, rules = dataset.load(data), params["compress"]
    metadata = selection.about_study(params["study"], params["finding"], about)
    metadata["threshold"] = 0.0  # of faces: none is unknown, because no confidence was calibrated
    weights, masks = storage.load_network(dense)
    model = inference.build({name: values[0] for name, values in weights.items()}, metadata)
    images = streams.choose(about["images"], np.flatnonzero(about["split"] == dataset.SPLITS.index("train")))
    prepare = partial(batches.prepare, values=metadata["preparation"])
    few = prepare(torch.from_numpy(streams.pixels(images, np.arange(min(2, len(about["labels"]))))))
    ticket = cells / params["round"]
    inputs = [contents(path) for path in (data, dense, ticket)]
    retraining = Retraining(
        params["study"], about, weights, checkpoints, params["checkpoint_seconds"], rules, inputs
    )

    def pruned() -> Networks:
        return Networks(
            model, *storage.load_network(ticket), storage.whole_units(ticket / "masks.safetensors")
        )

    def tools(steps: combinations.Steps) -> Tools:
        train = partial(retraining.train, steps=steps)
        return Tools(rules, pruned, train, retraining.share_values, train_int8, few)

    def train_int8(networks: Networks) -> Networks:
        return retraining.train_int8(networks, calibration())

    def split(name: str) -> Iterator[tuple[Tensor, Tensor]]:
        chosen = np.flatnonzero(about["split"] == dataset.SPLITS.index(name))
        labels = torch.from_numpy(about["labels"][chosen]).split(AT_ONCE)
        return zip(
            map(prepare, streams.parts(streams.choose(about["images"], chosen), AT_ONCE)), labels, strict=True
        )

    def calibration() -> Iterator[Tensor]:
        some = np.linspace(0, len(images) - 1, min(rules["images"], len(images))).astype(int)
        return iter([prepare(torch.from_numpy(streams.pixels(images, some)))])

    found = combinations.take(
        Networks(model, weights, masks, False), tools, combinations.every(rules["combinations"])
    )
    if any(networks.int8 for networks in found.values()) and (warning := int8.slow_processor()):
        click.echo(f"study {params['study']['name']}: {warning}", err=True)
    delivery = combinations.Delivery(
        metadata,
        {name: partial(split, name) for name in ("val", "test")},
        calibration,
        rules["percentile"],
        rules["ends"],
        few[:1],
        rules["seconds"],
    )
    with replacing(folder) as writing:
        writing.mkdir()
        measured = combinations.measure(found, delivery, writing)
    tables.write(output, pareto.table(measured, params["margin"]))


if __name__ == "__main__":
    run_and_exit(main)
