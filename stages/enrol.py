"""Enrol people by photos of their faces, without training (a command-line tool, not a DVC stage)."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from prunet.base.errors import InputError
from prunet.base.options import paths
from prunet.base.processes import run_and_exit
from prunet.base.text import readable, shown
from prunet.data.faces import detection
from prunet.data.listing.scraping import label_problem
from prunet.data.listing.spellings import normalised
from prunet.recognition import embeddings, enrolment, naming, people_file, pictures
from prunet.recognition.output import NETWORK, format_table, printable


@click.command()
@click.option("--add", is_flag=True, help="Add to the people of the file, which exists.")
@click.option(
    "--false-accepts",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="Largest share of strangers that may get a name; it sets the threshold.",
)
@embeddings.TICKET
@NETWORK
@paths("folder", "people")
def main(
    add: bool, false_accepts: float, ticket: Path | None, network: str | None, folder: Path, people: Path
) -> None:
    """Enrol the people of FOLDER, which has photos as NAME/photo.jpg, in the new file PEOPLE.

    Faces are found with MTCNN and embedded with SFace, or with the network of a ticket, which may be of other
    people. Photos without exactly one usable face are named and left out; one of a person is enough, several
    are better. `python -m stages.recognise PEOPLE PHOTOS` names faces by the nearest person. PEOPLE records
    the SHA-256 of the ticket, and holds nothing of it: pass the same --embedding there, and with --add.

    The threshold below which a face is unknown lets at most a share of strangers get a name: for this each
    person in turn counts as a stranger. Printed are the shares at several thresholds, with 95% intervals.

    PEOPLE holds an embedding of every face, by which a person can be recognised: guard it as you guard the
    photos.
    """
    if people.exists() and not add:
        raise InputError(f"{people} exists already; give --add to add to it, or name another file.")
    if add and not people.exists():
        raise InputError(f"{people} does not exist; leave out --add to make it.")
    chosen = embeddings.load(ticket, network)
    earlier = people_file.load(people, chosen) if add else None
    if earlier:
        chosen = chosen._replace(finding=earlier.finding)
    labels, vectors = read(folder, chosen)
    known, repeated = enrolment.enrol(labels, vectors, earlier.people if earlier else None)
    threshold, rates = enrolment.calibrate(known, false_accepts)
    people_file.save(people, people_file.Enrolled(known, chosen.finding, threshold, rates), chosen)
    report(known, threshold, rates["table"])
    if repeated:
        click.echo(f"{repeated} photos were there already.", err=True)
    click.echo(enrolment.sentence(rates, threshold), err=True)


def read(folder: Path, chosen: embeddings.Embedding) -> tuple[list[str], np.ndarray]:
    """Return the name and embedding of the face on each photo that has exactly one; name the other photos.

    Raises:
        InputError: there is no such photo, or a folder's name cannot be a person's.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name one with a folder of photos for each person.")
    sources = [source for source in pictures.gather([folder]) if "/" in source.name]
    named = {source.path: normalised(source.name.split("/")[0]) for source in sources}
    for name in sorted(set(named.values())):
        if problem := label_problem(name):
            raise InputError(
                f"{folder}: {shown(name)} cannot be a person's name ({problem}); rename the folder."
            )
    if not sources:
        raise InputError(f"{folder} has no folder with photos; put the photos of a person into FOLDER/NAME.")
    embed = chosen.start()
    extracted, _ = naming.extract_all(sources, detection.detector(), chosen.finding, "only", embed)
    labels, vectors = [], []
    for source, (status, detail, _, inputs) in extracted:
        if inputs:
            labels.append(named[source.path])
            vectors += inputs
        else:
            click.echo(f"left out: {printable(source.name)}: {status}: {readable(detail)}", err=True)
    if not labels:
        raise InputError(f"none of the {len(sources)} files in {folder} is a photo with one usable face.")
    return labels, np.stack(vectors)


def report(people: enrolment.People, threshold: float, table: Sequence[dict[str, object]]) -> None:
    """Print the photos of every person, and the rates at every threshold."""
    photos = Counter(people.labels)
    rows = [{"name": name, "photos": photos[name]} for name in people.names]
    lines = [*format_table({"name": "<", "photos": ">"}, rows), ""]
    rates = [
        {"threshold": f"{row['threshold']:g}", "": "chosen" if row["threshold"] == threshold else ""}
        | {
            key.replace("_accepts", " accepts"): f"{row[key]:.1%} ({low:.1%} to {high:.1%})"
            for key in ("true_accepts", "false_accepts")
            for low, high in [row[f"{key}_interval"]]
        }
        for row in table
    ]
    headings = {"threshold": ">", "true accepts": ">", "false accepts": ">", "": "<"}
    for line in [*lines, *format_table(headings, rates)]:
        click.echo(line)


if __name__ == "__main__":
    run_and_exit(main)
