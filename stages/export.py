"""Stage export: one ticket in every deployable form."""

from pathlib import Path
from typing import Any

import click

from prunet.base import files
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.data.images import dataset
from prunet.deployment import acceptance, exporting, inference, selection
from prunet.recognition import features, verification
from prunet.recognition.output import format_table
from prunet.recognition.strangers import UNKNOWN, Strangers, load
from prunet.training import streams


@click.command()
@PARAMS
@paths("data", "dense", "cells", "strangers", "output")
def main(params: dict[str, Any], data: Path, dense: Path, cells: Path, strangers: Path, output: Path) -> None:
    """Export the network of one round and replicate from the folder CELLS to the folder OUTPUT.

    PARAMS is a JSON file with the study, the block `export` of params.yaml, and how faces were found. DATA is
    the study's dataset file, DENSE the cell of the unpruned networks; CELLS has one cell for each round.
    STRANGERS is the file of the stage strangers, which studies of other images than faces do not use.

    \b
    ticket.safetensors     mask and surviving values, lossless: for recognise and read_digits
    quantised.safetensors  the same with a codebook of 2^bits values for each layer, much smaller
    dense.onnx             the unpruned network that the ticket came from
    masked.onnx            the ticket, with zeros for its pruned weights
    shrunk.onnx            the ticket without unused features: smaller, with the same outputs
    shrunk.pt2             the same as a program for torch.export.load
    shrunk.safetensors     its tensors, and widths.json, for the network's own class, where that fits
    masks.safetensors      the mask of each weight, for torch.nn.utils.prune
    card.md                accuracy, bytes, multiply-adds, milliseconds; how to load it all without prunet
    about.json             the ticket's metadata; size and test accuracy of each file

    A ticket of faces has the lowest cosine at which two photos count as of one person (`stages.verify`),
    measured on strangers by name, or else on the test images. Every ONNX file is run on the test images and
    compared with PyTorch before OUTPUT is written. The printed table has the shares of test images and of
    strangers that get a name, at several thresholds.
    """
    chosen = params["export"]
    contents = dataset.load(data)
    metadata = selection.about_study(params["study"], params["finding"], contents)
    own = metadata | {"scheme": chosen["scheme"], "round": chosen["round"]}
    ticket = selection.select(cells / chosen["round"], chosen["replicate"], own)
    unpruned, _, _ = selection.select(dense, chosen["replicate"], metadata)
    faces = None
    if params["finding"]:
        found = load(strangers)
        faces = found.images if len(found.images) else None
        weights, masks, about = ticket
        ticket = weights, masks, about | {"pairs": pairs(ticket, contents, found)}
    settings = {name: chosen[name] for name in ("bits", "known", "false_accepts")}
    with files.replacing(output) as partial:
        partial.mkdir()
        metadata = exporting.export(partial, ticket, unpruned, contents, faces, **settings)
    report(metadata)


def pairs(ticket: selection.Ticket, contents: dict[str, Any], found: Strangers) -> dict[str, Any]:
    """Return the threshold on the cosine of two photos, and what it was measured on."""
    weights, _, metadata = ticket
    known = found.people != UNKNOWN
    images, people, of = found.images[known], found.people[known], "whom the network never saw"
    if len(set(people.tolist())) < 2:
        test = contents["split"] == dataset.SPLITS.index("test")
        images, people = streams.choose(contents["images"], test), contents["labels"][test]
        of = "whom the network was trained on, so that more pairs of others reach it"
    embed = features.embedder(inference.build(weights, metadata), metadata)
    return verification.calibrate(embed(images), people, of)


def report(metadata: dict[str, Any]) -> None:
    """Print the shares of test images and strangers that get a name, at several thresholds."""
    rates, threshold = metadata["rates"], metadata["threshold"]
    strangers = "strangers" if metadata["faces"] else "images of other classes"
    named = {"true_accepts": "test images named right", "false_accepts": f"{strangers} named"}
    rows = [
        {"threshold": f"{row['threshold']:g}", "": "chosen" if row["threshold"] == threshold else ""}
        | {title: share(row[name], *row[f"{name}_interval"]) for name, title in named.items()}
        for row in rates["table"]
    ]
    for line in format_table({"threshold": ">", **dict.fromkeys(named.values(), ">"), "": "<"}, rows):
        click.echo(line)
    click.echo(acceptance.sentence(rates, threshold, strangers), err=True)
    if metadata["faces"] and not rates["measured"]:
        click.echo("Put photos of strangers into the folder export.strangers to measure it.", err=True)


def share(rate: float, low: float, high: float) -> str:
    """Return a rate with its 95% interval."""
    return f"{rate:.0%} ({low:.0%} to {high:.0%})"


if __name__ == "__main__":
    run_and_exit(main)
