"""Stage `sample`: draw photos of imaginary people, and the scraping list that names them."""

from pathlib import Path
from typing import Any

import click

from prunet.base.files import replacing, write_rows
from prunet.base.options import PARAMS
from prunet.base.processes import run_and_exit
from prunet.data.sample.drawing import draw_sample


@click.command()
@PARAMS
@click.argument("output", type=click.Path(file_okay=False, path_type=Path))
def main(params: dict[str, Any], output: Path) -> None:
    """Draw photos of seven imaginary people into OUTPUT/photos and list them in OUTPUT/list.csv.

    The JSON file PARAMS has the `seed` and the number of good `photos` of each person; with a larger number,
    the first good photos stay the same. The list has the columns label (the person) and url (the file,
    relative to the list), in random order. As in a scraped list, some photos show nobody or two people, some
    appear twice or again as a worse copy, and three files are missing or broken. OUTPUT is replaced as a
    whole.
    """
    with replacing(output) as partial:
        (partial / "photos").mkdir(parents=True)
        rows = draw_sample(params["seed"], params["photos"], partial)
        write_rows(partial / "list.csv", ("label", "url"), rows)


if __name__ == "__main__":
    run_and_exit(main)
