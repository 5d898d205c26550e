"""Options that the commands share with which people use a ticket."""

from pathlib import Path

import click

_FILE = click.Path(path_type=Path, dir_okay=False)

CSV = click.option("--csv", "csv_file", type=_FILE, help="File for the results as CSV.")
JSON = click.option("--json", "json_file", type=_FILE, help="File for the results as JSON.")
