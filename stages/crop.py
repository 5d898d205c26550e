"""Stage crop: cut the face out of each photo."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from prunet.base.errors import InputError
from prunet.base.files import replacing, write_json, write_rows
from prunet.base.options import UNDERSCORES
from prunet.data.faces import cropping, detection
from prunet.data.listing import quality, scraping


@click.command(context_settings=UNDERSCORES)
@click.option(
    "--min-confidence", type=click.FloatRange(0, 1), required=True, help="Least confidence of a face, 0 to 1."
)
@click.option(
    "--min-size",
    type=click.IntRange(1),
    required=True,
    help="Least length of the shorter side of a face's box, in pixels of the photo.",
)
@click.option(
    "--keep",
    type=click.Choice(list(detection.KEEP)),
    required=True,
    help="Which face of a photo with several: the largest, the surest, or none (only: it must be alone).",
)
@click.option(
    "--margin",
    type=click.FloatRange(0, 5),
    required=True,
    help="Room on each side of the face, as a share of the longer side of its box.",
)
@click.option(
    "--max-side",
    type=click.IntRange(12),
    required=True,
    help="Photos with a longer side of more pixels are shrunk to it for the search (the crop is not).",
)
@click.option(
    "--min-accepted",
    type=click.FloatRange(0, 1),
    required=True,
    help="A person is in doubt if a smaller share of the photos, 0 to 1, has a usable face.",
)
@click.option(
    "--doubtful",
    type=click.Choice(quality.SEVERITIES),
    required=True,
    help="What to do about people in doubt, and photos that are listed for two: warn, or refuse the list.",
)
@click.argument("photos", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.argument("metrics", type=click.Path(path_type=Path))
def main(
    photos: Path, output: Path, metrics: Path, min_accepted: float, doubtful: str, **settings: Any
) -> None:
    """Find the face in each photo of the folder PHOTOS and write it as a square colour PNG to OUTPUT.

    OUTPUT/manifest.csv says what became of each photo, with box and landmarks in pixels of the photo;
    METRICS (JSON) counts the photos by that. Photos are looked at side by side, in as many processes as this
    one may use cores and are worth their start; the results do not depend on how many.
    """
    listed = with_places(quality.read_manifest(photos, scraping.COLUMNS))
    rows = [row for row in listed if row["status"] == "ok"]
    if not rows:
        raise InputError(f"{photos} has no photo: see {photos / scraping.MANIFEST} for the reason of each.")
    quality.report([quality.listed_twice(listed)], doubtful)
    with replacing(output) as unfinished:
        processes = cropping.processes_for(len(rows))
        found = cropping.crop_all(rows, processes, photos=photos, output=unfinished, **settings)
        results = list(tqdm(found, desc="crop", total=len(rows), unit="photo", disable=None))
        require_faces(results)
        quality.report([quality.mostly_rejected(results, min_accepted)], doubtful)
        write_rows(unfinished / scraping.MANIFEST, quality.CROP_COLUMNS, results)
    counts = Counter(result["status"] for result in results)
    write_json(metrics, {status: counts[status] for status in detection.STATUSES})


def with_places(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Number the rows of each label, failed ones too, from 0: their `place`.

    The split goes by place, and so a photo that fails does not move the others.
    """
    seen: Counter[str] = Counter()
    placed = []
    for row in rows:
        placed.append(row | {"place": seen[row["label"]]})
        seen[row["label"]] += 1
    return placed


def require_faces(results: Sequence[dict[str, Any]]) -> None:
    """Check that a photo has a face.

    Raises:
        InputError: none has.
    """
    if all(result["status"] != "ok" for result in results):
        raise InputError(
            f"None of the {len(results)} photos has a usable face: lower --min-confidence or --min-size, "
            "or list photos that show one person from the front."
        )


if __name__ == "__main__":
    main()
