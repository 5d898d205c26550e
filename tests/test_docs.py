"""The documentation: its links, and the pages that are made from code."""

import re
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

from prunet.config import reference

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/*.md", "networks/*.md", "studies/*.md")
    for path in ROOT.glob(pattern)
)


def tokens(path):
    """Return the tokens of a page, those inside paragraphs and table cells too."""
    parsed = MarkdownIt("gfm-like", {"linkify": False}).parse(path.read_text())
    return [inner for token in parsed for inner in [token, *(token.children or [])]]


def anchors(path):
    """Return the anchors of a page's headings, as GitHub makes them."""
    found = tokens(path)
    headings = [after.content for token, after in pairwise(found) if token.type == "heading_open"]
    texts = [re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in texts}


def links(path):
    return [
        token.attrs.get("href") or token.attrs["src"]
        for token in tokens(path)
        if token.type in ("link_open", "image")
    ]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_within_the_project_lead_somewhere(page):
    for link in links(ROOT / page):
        if re.match(r"https?:|mailto:", link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (ROOT / page.parent / name).resolve() if name else ROOT / page
        assert target.exists(), f"{page}: {link}"
        assert target.is_relative_to(ROOT), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page}: {link}"


def test_every_page_of_the_docs_is_linked_from_their_start():
    linked = {link.partition("#")[0] for link in links(ROOT / "docs/README.md")}
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"} <= linked


def test_the_reference_of_parameters_is_current():
    """`python -m prunet.config.reference` writes it."""
    assert (ROOT / reference.OUTPUT).read_text() == reference.render((ROOT / reference.SOURCE).read_text())


def test_the_reference_has_comments_types_and_ranges():
    prune = "prune:\n  # share of\n  # the rest\n  rate: 0.5\n  schemes: [a]  # names | more\n"
    text = f"seed: 3  # of draws\n{prune}"
    assert [line for line in reference.render(text).splitlines() if line.startswith("| `")] == [
        "| `seed` | `3` | whole number (≥ 0) | of draws |",
        "| `rate` | `0.5` | number (> 0, < 1) | share of the rest |",
        "| `schemes` | `[a]` | list: text | names \\| more |",
    ]


def test_the_reference_has_every_parameter():
    found = {parameter.path for parameter in reference.parameters((ROOT / reference.SOURCE).read_text())}
    assert ("studies", "NAME", "training", "lr") in found
    assert ("studies", "NAME", "data", "set") in found
    assert ("resize", "exclude") in found
    assert not any("faces" in path for path in found)
