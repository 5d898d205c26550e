"""Stage faces: the dataset file of the face study."""

from pathlib import Path

import click
import numpy as np

from prunet.base.errors import InputError
from prunet.base.files import write_json
from prunet.base.options import UNDERSCORES
from prunet.data import dataset
from prunet.data.faces import detection
from prunet.data.listing import quality
from prunet.data.sets import people as splitting


@click.command(context_settings=UNDERSCORES)
@click.option("--train", type=int, required=True, help="Share of the training images, in percent.")
@click.option("--val", type=int, required=True, help="Share of the validation images, in percent.")
@click.option("--test", type=int, required=True, help="Share of the test images, in percent.")
@click.option(
    "--near-duplicate-distance",
    type=click.IntRange(0, 64),
    required=True,
    help="Photos or faces whose perceptual hashes differ in at most this many of 64 bits stay on one side.",
)
@click.option(
    "--min-faces", type=click.IntRange(0), required=True, help="A person with fewer faces is in doubt."
)
@click.option(
    "--doubtful",
    type=click.Choice(quality.SEVERITIES),
    required=True,
    help="What to do about people in doubt, and faces that look the same for two: warn, or refuse the list.",
)
@click.option("--seed", type=click.IntRange(0), required=True, help="Another seed is another split.")
@click.argument("gray", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.argument("metrics", type=click.Path(path_type=Path))
def main(
    train: int,
    val: int,
    test: int,
    near_duplicate_distance: int,
    min_faces: int,
    doubtful: str,
    seed: int,
    gray: Path,
    output: Path,
    metrics: Path,
) -> None:
    """Split the faces of the folder GRAY and write them as the dataset file OUTPUT.

    The split goes by the place of a photo in the list: rows that are added, fail or are left out move
    no other, near-duplicates aside. METRICS (JSON) counts images and classes.
    """
    block = splitting.block_of((train, val, test))
    rows = [row for row in quality.read_manifest(gray, quality.GRAY_COLUMNS) if row["status"] == "ok"]
    if not rows:
        raise InputError(f"{gray} has no image: see {gray / 'manifest.csv'} for the reason of each face.")
    names = [row["image"] for row in rows]
    images = quality.read_gray(gray, names)  # (N, S, S) uint8
    own = np.array(
        [splitting.side_of(row["label"], int(row["place"]), block, seed) for row in rows], np.uint8
    )
    # The photo's hash survives new encodings and sizes, which shift the crop; the face's, another framing.
    hashes = np.array(
        [
            (int(row["photo_hash"], 16), detection.perceptual_hash(image))
            for row, image in zip(rows, images, strict=True)
        ],
        np.uint64,
    )
    split, joined = splitting.keep_together(hashes, own, near_duplicate_distance)

    people = [row["label"] for row in rows]
    quality.report(
        [
            quality.too_few(people, min_faces),
            quality.look_alike(hashes, people, names, near_duplicate_distance),
        ],
        doubtful,
    )
    class_names = sorted(set(people))
    labels = np.array([class_names.index(label) for label in people], np.int64)
    kept = split != splitting.LEFT_OUT
    dataset.save(output, images[kept, None], labels[kept], split[kept], class_names)
    counts = {name: int(np.sum(split == side)) for side, name in enumerate(dataset.SPLITS)}
    write_json(
        metrics,
        {
            "images": int(kept.sum()),
            "classes": len(class_names),
            **counts,
            "near_duplicates_following": int(joined.sum()),
            "near_duplicates_left_out": int((~kept).sum()),
        },
    )


if __name__ == "__main__":
    main()
