"""Command `plots_page`: have `dvc plots` draw without a network connection."""

import os
from pathlib import Path

import click
from dvc.config import Config

from prunet.analysis.report import vega
from prunet.base.files import replacing

PAGE = """<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
{{refresh_tag}}
<title>DVC plots</title>
<script>{vega}</script>
</head>
<body>
{{plot_divs}}
</body>
</html>
"""


@click.command()
@click.argument("root", type=click.Path(path_type=Path), default=".")
def main(root: Path) -> None:
    """Write .dvc/tmp/plots.html below ROOT, and have `dvc plots` use it in this checkout.

    By default DVC's page loads Vega from the internet; this one contains it. The setting is local: it is
    written to .dvc/config.local of ROOT and of each study below ROOT/studies, which git ignores.
    """
    page = root / ".dvc" / "tmp" / "plots.html"
    with replacing(page) as partial:
        partial.write_text(PAGE.format(vega=vega.script()), encoding="utf-8")
    for project in sorted([root / ".dvc", *root.glob("studies/*/.dvc")]):
        with Config(str(project)).edit("local") as config:
            config.setdefault("plots", {})["html_template"] = os.path.relpath(page, project)


if __name__ == "__main__":
    main()
