"""Stage `export`: one ticket in every form in which people use it."""

from pathlib import Path

import click

from prunet.base import files
from prunet.base.options import PARAMS, STUDY
from prunet.config import params
from prunet.data import dataset
from prunet.pruning.schemes import SCHEMES


@click.command()
@PARAMS
@STUDY
@click.option("--scheme", type=click.Choice(list(SCHEMES)), required=True, help="Whose networks.")
@click.option("--round", "number", required=True, help="Number of the round, two digits; 00 is dense.")
@click.option("--replicate", type=click.IntRange(0), required=True, help="Which of the study's networks.")
@click.option(
    "--bits", type=click.IntRange(1, 8), required=True, help="A weight in the quantised ticket's codebook."
)
@click.option(
    "--known",
    type=click.FloatRange(0, 1, min_open=True),
    required=True,
    help="Share of the right answers on validation images that must stay above the threshold of 'unknown'.",
)
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("models", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
def main(
    params_file: Path,
    name: str,
    scheme: str,
    number: str,
    replicate: int,
    bits: int,
    known: float,
    data: Path,
    models: Path,
    output: Path,
) -> None:
    """Export one network of any round and scheme below MODELS, the folder of a study, to the folder OUTPUT.

    \b
    ticket.safetensors     mask and surviving values, to the bit: for recognise and read_digits
    quantised.safetensors  the same with a codebook of 2^bits values for each layer, much smaller
    dense.onnx             the unpruned network that it came from
    masked.onnx            the ticket, zero where it was pruned
    shrunk.onnx            the ticket without what nothing reaches: smaller, the same answers
    about.json             of each its bytes and its accuracy on the test images

    Every ONNX file is run on the test images of the dataset file DATA, beside PyTorch, before it is written.
    """
    from prunet.deployment import exporting, selection

    values = params.load(params_file)
    contents = dataset.load(data)
    about = selection.about_study(values, name, contents)
    ticket = selection.select(
        models / scheme / number, replicate, about | {"scheme": scheme, "round": number}
    )
    dense, _, _ = selection.select(models / "dense", replicate, about)
    with files.replacing(output) as partial:
        partial.mkdir()
        exporting.export(partial, ticket, dense, contents, bits=bits, known=known)


if __name__ == "__main__":
    main()
