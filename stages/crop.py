"""Stage crop: square crop of the face on each photo."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import click
import numpy as np

from prunet.base.errors import InputError
from prunet.base.files import replacing, write_json, write_rows
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.base.progress import progress
from prunet.data.faces import alike, cropping, detection, embedding, likeness
from prunet.data.listing import quality, scraping
from prunet.data.listing.manifests import CROP_COLUMNS, accepted, read_manifest


@click.command()
@PARAMS
@paths("photos", "output")
def main(params: dict[str, Any], photos: Path, output: Path) -> None:
    """Detect the face on each photo of the folder PHOTOS and write it to OUTPUT as a square colour PNG.

    PARAMS is a JSON file with the block `crop` of params.yaml. OUTPUT/manifest.csv has the status, box and
    landmarks of each photo, in its pixels; OUTPUT/counts.json counts the photos by status. With embeddings,
    OUTPUT/embeddings.safetensors has one for each face, in the order of the manifest. All cores are used; the
    results do not depend on their number.
    """
    settings = dict(params)
    min_accepted, doubtful = settings.pop("min_accepted"), settings.pop("doubtful")
    embedded = settings.pop("embedding") != "none"
    if embedded:
        embedding.read_model()  # a missing package ends the run here, not in its processes
    listed = with_places(read_manifest(photos, scraping.COLUMNS))
    rows = accepted(listed, photos, "photo", "row")
    quality.report([quality.listed_twice(listed)], doubtful)
    with replacing(output) as unfinished:
        processes = cropping.processes_for(len(rows))
        found = cropping.crop_all(rows, processes, embedded, photos=photos, output=unfinished, **settings)
        cropped = list(progress(found, desc="crop", total=len(rows), unit="photo"))
        if settings["keep"] == cropping.MOST_ALIKE:
            cropped = alike.keep_most_alike(cropped, photos, unfinished, settings["margin"])
        results = [result.row for result in cropped]
        require_faces(results)
        if embedded:
            results = alike.with_doubts(cropped)
            likeness.save(unfinished, np.concatenate([r.embeddings for r in cropped if r.faces]))
        quality.report([quality.mostly_rejected(results, min_accepted)], doubtful)
        write_rows(unfinished / scraping.MANIFEST, CROP_COLUMNS, results)
        counts = Counter(result["status"] for result in results)
        write_json(unfinished / scraping.COUNTS, {status: counts[status] for status in detection.STATUSES})


def with_places(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Number the rows of each label from 0, failed rows included, as their `place`.

    The split depends on the place, so a photo that fails does not move the others.
    """
    places: defaultdict[str, Iterator[int]] = defaultdict(count)
    return [row | {"place": next(places[row["label"]])} for row in rows]


def require_faces(results: Sequence[dict[str, Any]]) -> None:
    """Check that at least one photo has a usable face.

    Raises:
        InputError: no photo has one.
    """
    if all(result["status"] != "ok" for result in results):
        raise InputError(
            f"none of the {len(results)} photos has a usable face: lower crop.min_confidence or "
            "crop.min_size, or list photos that show one person from the front."
        )


if __name__ == "__main__":
    run_and_exit(main)
