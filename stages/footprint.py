"""Stage footprint: bytes, memory and inference time of every round."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from tqdm import tqdm

from prunet.base import tables
from prunet.base.options import PARAMS
from prunet.base.processes import cores, run_and_exit
from prunet.data import dataset


@click.command()
@PARAMS
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("dense", type=click.Path(path_type=Path))
@click.argument("cells", type=click.Path(path_type=Path))
@click.argument("metrics", type=click.Path(path_type=Path))
def main(params: dict[str, Any], data: Path, dense: Path, cells: Path, metrics: Path) -> None:
    """Measure the first replicate of every round in the folder CELLS, and of the unpruned networks DENSE.

    PARAMS is a JSON file with the study, the scheme, the rounds, the block `footprint` of params.yaml, and
    how faces were found. DATA is the study's dataset file. Writes to METRICS footprint.csv (a row for each
    round: bytes on disk, memory, operations; milliseconds of the timed rounds), latency.csv (times of every
    form and batch at the timed rounds, with quartiles) and quantised.csv (size against accuracy).
    """
    import torch

    from prunet.deployment import costs, forms, inference, selection
    from prunet.graph.shrinking import shrink
    from prunet.training import streams
    from prunet.training.batches import prepare

    settings, rounds = params["footprint"], params["rounds"]
    torch.set_num_threads(settings["threads"])
    contents = dataset.load(data)
    metadata = selection.about_study(params["study"], params["finding"], contents)
    test = contents["split"] == dataset.SPLITS.index("test")
    images, labels = streams.pixels(contents["images"], test), contents["labels"][test]

    network = inference.build(selection.select(dense, 0, metadata)[0], metadata)
    accuracy = inference.accuracy(network, images, labels, metadata)

    def select(number: str) -> selection.Ticket:
        return selection.select(cells / number, 0, metadata | {"scheme": params["scheme"], "round": number})

    with ThreadPoolExecutor(cores()) as pool:  # gzip takes longest, and uses one core a thread
        stored = list(
            tqdm(
                pool.map(
                    lambda number: costs.on_disk(select(number), settings["bits"], images, labels, accuracy),
                    rounds,
                ),
                desc="size",
                total=len(rounds),
                unit="round",
                disable=None,
            )
        )

    largest = np.resize(np.arange(len(images)), max(settings["batches"]))  # a small test split is repeated
    prepared = prepare(torch.from_numpy(images[largest]), metadata["preparation"])
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    timed = forms.timed_rounds(rounds, settings["rounds"])
    footprint, latency = [], []
    for number, (row, _) in zip(tqdm(rounds, desc="time", unit="round", disable=None), stored, strict=True):
        ticket = select(number)
        masked = inference.build(ticket[0], metadata)
        small = shrink(masked, ticket[1])
        own = {"round": number, "density": ticket[2]["density"]}
        row = own | row | costs.in_memory(ticket, masked, small)
        if number in timed:
            times = [
                time
                for device in devices
                for time in forms.latencies(
                    network,
                    masked,
                    small,
                    [prepared[:size].to(device) for size in settings["batches"]],
                    settings["seconds"],
                )
            ]
            row |= forms.best(times)
            latency += [own | time for time in times]
        footprint.append(row)
    quantised = [row for _, rows in stored for row in rows]
    for file, rows in (("footprint", footprint), ("latency", latency), ("quantised", quantised)):
        tables.write(metrics / f"{file}.csv", pd.DataFrame(rows))


if __name__ == "__main__":
    run_and_exit(main)
