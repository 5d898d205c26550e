"""Stage `footprint`: what every round costs in bytes, memory and milliseconds."""

from pathlib import Path

import click
import numpy as np
import pandas as pd
from tqdm import tqdm

from prunet.base.options import PARAMS, STUDY
from prunet.config import params
from prunet.data import dataset
from prunet.pruning.schemes import SCHEMES


@click.command()
@PARAMS
@STUDY
@click.option("--scheme", type=click.Choice(list(SCHEMES)), required=True, help="Whose networks to measure.")
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("models", type=click.Path(path_type=Path))
@click.argument("metrics", type=click.Path(path_type=Path))
def main(params_file: Path, name: str, scheme: str, data: Path, models: Path, metrics: Path) -> None:
    """Measure the first replicate of every round of a scheme below MODELS, the folder of one study.

    Its images are those of the dataset file DATA. Writes to METRICS footprint.csv (a row for each round:
    bytes on disk, memory, operations, milliseconds), latency.csv (the times of every form and batch, with
    their spread) and quantised.csv (size against accuracy).
    """
    import torch

    from prunet.analysis import summary
    from prunet.deployment import costs, inference, selection
    from prunet.training import streams
    from prunet.training.batches import prepare

    values = params.load(params_file)
    settings = values["footprint"]
    torch.set_num_threads(settings["threads"])
    contents = dataset.load(data)
    about = selection.about_study(values, name, contents)
    test = contents["split"] == dataset.SPLITS.index("test")
    images, labels = streams.pixels(contents["images"], test), contents["labels"][test]
    largest = np.resize(np.arange(len(images)), max(settings["batches"]))  # a small test split is repeated
    prepared = prepare(torch.from_numpy(images[largest]), about["preparation"])
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]

    dense, _, _ = selection.select(models / "dense", 0, about)
    network = inference.build(dense, about)
    unpruned = {"accuracy": inference.accuracy(network, images, labels, about)}
    footprint, latency, quantised = [], [], []
    for entry in tqdm(values["prune"]["rounds"], desc="footprint", unit="round", disable=None):
        number = entry["n"]
        ticket = selection.select(models / scheme / number, 0, about | {"scheme": scheme, "round": number})
        masked, small = costs.networks(ticket)
        row = costs.standing(ticket, masked, small)
        timed = []
        for device in devices:
            batches = [prepared[:size].to(device) for size in settings["batches"]]
            timed += costs.latencies(network, masked, small, batches, settings["seconds"])
        footprint.append(row | costs.best(timed))
        latency += [{"round": number, "density": row["density"]} | time for time in timed]
        unpruned["bytes"] = row["bytes_dense"]
        quantised += costs.quantised(ticket, settings["bits"], images, labels, unpruned)
    for file, rows in (("footprint", footprint), ("latency", latency), ("quantised", quantised)):
        summary.write(metrics / f"{file}.csv", pd.DataFrame(rows))


if __name__ == "__main__":
    main()
