"""Tell whether two photos show the same person (a command-line tool, not a DVC stage)."""

from pathlib import Path

import click

from prunet.base.errors import InputError
from prunet.base.options import paths
from prunet.base.processes import run_and_exit
from prunet.base.text import readable
from prunet.data.faces import detection
from prunet.recognition import embeddings, naming, pictures
from prunet.recognition.output import NETWORK, printable


@click.command()
@embeddings.TICKET
@NETWORK
@paths("first", "second")
def main(ticket: Path | None, network: str | None, first: Path, second: Path) -> None:
    """Tell whether the photos FIRST and SECOND, with one face each, show the same person.

    Prints the cosine of the faces' embeddings and the threshold: photos whose cosine reaches it count as of
    one person. Where the threshold was measured (of a ticket: by the stage `export`), at most 1% of the pairs
    of photos of two people reached it. On other photos the share may differ: for siblings it is higher.
    """
    chosen = embeddings.load(ticket, network)
    if chosen.pairs is None:
        raise InputError(f"{ticket} has no threshold for two photos; export it again.")
    sources = [pictures.Source(path, path.name, named=True) for path in (first, second)]
    extracted, _ = naming.extract_all(sources, detection.detector(), chosen.finding, "only", chosen.start())
    for source, (status, detail, faces, _) in extracted:
        if not faces:
            reason = readable(detail).removesuffix(".")
            photo = printable(str(source.path))
            raise InputError(f"{photo} has no single face ({status}: {reason}); give a photo of one person.")
    vectors = [extraction.inputs[0] for _, extraction in extracted]
    cosine, threshold = float(vectors[0] @ vectors[1]), chosen.pairs["threshold"]
    click.echo(f"{'the same person' if cosine >= threshold else 'two people'}: cosine {cosine:.4f}")
    click.echo(
        "From a cosine of {threshold:.4f} on, photos count as of one person; at most {false_accepts:.0%} of "
        "{pairs:,} pairs of photos of two people reached it, measured on {people} people, {of}.".format(
            **chosen.pairs
        )
    )


if __name__ == "__main__":
    run_and_exit(main)
