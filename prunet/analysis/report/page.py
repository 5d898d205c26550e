"""HTML pages of the report: everything they need is inside, and nothing is loaded."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from prunet.analysis.report import charts, rows, sentences, tiles, vega
from prunet.analysis.report.durations import Duration
from prunet.analysis.report.reading import Study

TABLES = {"claims": "Published claims", "new_people": "New people, by round"}  # shown as they are
TEMPLATES = Path(__file__).parent / "templates"


def study_page(
    studies: Sequence[Study],
    title: str,
    links: Mapping[str, str],
    changes: Sequence[tuple[str, Sequence[Any]]] = (),
    sheets: Sequence[tuple[str, str]] = (),
    wrong: Sequence[tuple[str, str]] = (),
    doubtful: Sequence[tuple[str, str]] = (),
    durations: Sequence[Duration] = (),
    missing: Sequence[str] = (),
) -> str:
    """Return the page of one study, or of one study at several revisions side by side.

    Args:
        studies: the study at each revision, the first of which says the question.
        title: of the page.
        links: addresses of the tables, relative to the page, by name.
        changes: parameters to point out: the dotted name, and the value of each of `studies`.
        sheets: name of each class, and a data URL of a picture of its images.
        wrong: caption and data URL of each test image that networks get wrong.
        doubtful: caption and data URL of the faces that are most in doubt.
        durations: how long each stage ran.
        missing: a sentence for everything else that could not be read.
    """
    first = studies[0]
    drawn = [charts.headline(studies), *charts.others(studies)]
    return _render(
        "study.html",
        title=title,
        question=sentences.question(first),
        runs=[
            {
                "revision": study.revision,
                "tiles": tiles.tiles(study),
                "answers": sentences.answers(study),
                "notices": sentences.notices(study),
            }
            for study in studies
        ],
        charts=drawn,
        specs={chart.name: chart.spec for chart in drawn},
        cells=rows.cells(studies),
        tables=[
            (title, list(found.columns), found.astype(object).where(found.notna(), "").values.tolist())
            for name, title in TABLES.items()
            if len(studies) == 1 and (found := first.tables.get(name)) is not None
        ],
        settings=list(flattened(first.params["settings"])),
        made=list(dict.fromkeys(sentence for study in studies for sentence in sentences.made(study))),
        changes=changes,
        sheets=sheets,
        wrong=wrong,
        doubtful=doubtful,
        durations=durations,
        missing=missing,
        links=links,
    )


def overview(entries: Sequence[tuple[str, Study, str, str]], waiting: Sequence[tuple[str, str]]) -> str:
    """Return the page over several studies.

    Args:
        entries: title, study, the address of its page, relative to this one, and the commit of its results.
        waiting: title of each study without a page, and the reason.
    """
    shown = []
    specs = {}
    for number, (title, study, address, commit) in enumerate(entries):
        chart = charts.headline([study])
        chart = chart._replace(name=f"accuracy-{number}", drawn=chart.drawn | {"height": 180})
        specs[chart.name] = chart.spec
        shown.append(
            {
                "title": title,
                "address": address,
                "commit": commit,
                "question": sentences.question(study),
                "tiles": tiles.tiles(study),
                "answers": sentences.answers(study),
                "chart": chart,
            }
        )
    return _render("index.html", title="All studies", entries=shown, waiting=waiting, specs=specs)


def differences(studies: Sequence[Study]) -> list[tuple[str, list[Any]]]:
    """Return the parameters that differ between studies, with the value of each; None where one lacks it."""
    values = [dict(flattened(study.params["settings"])) for study in studies]
    names = dict.fromkeys(name for found in values for name in found)
    rows = [(name, [found.get(name) for found in values]) for name in names]
    return [(name, row) for name, row in rows if any(value != row[0] for value in row)]


def flattened(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return parameters by their dotted names, e.g. `prune.rate`."""
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            found += flattened(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", value))
    return found


def _render(template: str, **values: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    parts = {name: Markup((TEMPLATES / name).read_text("utf-8")) for name in ("style.css", "page.js")}
    return environment.get_template(template).render(
        **values, style=parts["style.css"], script=parts["page.js"], vega=Markup(vega.script())
    )
