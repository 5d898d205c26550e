"""The report in a browser: what a reader does with it, without a network."""

from typing import TYPE_CHECKING

import pytest

from prunet.analysis.report import pictures
from prunet.data.listing.manifests import GRAY_COLUMNS
from tests.test_durations import SECONDS
from tests.test_durations import write as write_times
from tests.test_report import HOSTILE, made, save_images
from tests.test_report_faces import FACES, MANIFEST
from tests.toy_faces import write_table

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Make the page of a toy study of faces with hostile names, with doubts and times."""
    folder = tmp_path_factory.mktemp("report")
    write_table(folder / "gray" / "manifest.csv", GRAY_COLUMNS, MANIFEST)
    write_times(folder, **SECONDS)
    return made(folder, save_images(folder), FACES)


@pytest.fixture
def report(page: "Page", output):
    """Open the page without a network; the test fails if it asks for anything but itself."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.context.set_offline(True)
    page.set_default_timeout(30_000)  # it draws a dozen figures, also on a busy machine
    page.goto(output.as_uri())
    page.wait_for_selector("#confusion svg .mark-rect path")
    yield page
    assert [url for url in asked if not url.startswith("data:")] == [output.as_uri()]


def test_pointing_at_a_mark_shows_value_interval_and_replicates(report):
    report.hover("#accuracy .mark-symbol path >> nth=1")
    tooltip = report.text_content("#vg-tooltip-element").replace("\N{NO-BREAK SPACE}", " ")
    for text in ("original", "50% of the weights", "96.00% ± 2.48", "3 replicates"):
        assert text in tooltip


def test_hostile_names_are_texts_in_figures_and_tooltips(report):
    assert '"><img src' in report.locator("#confusion").inner_text()
    report.hover("#confusion .mark-text.role-mark text >> nth=1")
    assert HOSTILE[1] in report.text_content("#vg-tooltip-element")
    assert report.locator("img[src=x]").count() == 0


def test_a_heading_sorts_by_keyboard_both_ways_and_says_so(report):
    def densities():
        return [row.split("\t")[2] for row in report.locator("#cells tbody").inner_text().splitlines()]

    assert densities() == ["100%", "100%", "50%", "100%", "50%"]
    report.get_by_role("button", name="density").focus()
    report.keyboard.press("Enter")
    assert densities() == ["50%", "50%", "100%", "100%", "100%"]
    report.keyboard.press("Enter")
    assert densities() == ["100%", "100%", "100%", "50%", "50%"]
    assert report.locator("#cells th[aria-sort=descending]").inner_text().startswith("density")


def test_a_scheme_is_switched_off_in_every_figure(report):
    assert report.locator("#accuracy .mark-symbol path").count() == 4
    report.get_by_role("checkbox", name="new values").first.uncheck()
    for figure in ("#accuracy", "#early-stop"):
        report.wait_for_function(f"document.querySelectorAll('{figure} .mark-symbol path').length === 2")
    assert not report.get_by_role("checkbox", name="new values").last.is_checked()


def test_densities_can_be_drawn_on_a_linear_axis(report):
    axis = "#accuracy [aria-label^='X-axis'][aria-label*='{} scale']"
    assert report.locator(axis.format("log")).count() == 1
    report.get_by_role("radio", name="linear").check()
    report.wait_for_selector(axis.format("linear"), state="attached")
    assert report.locator(axis.format("log")).count() == 0


def test_the_most_doubtful_faces_are_seen_with_their_reasons(report):
    shown = report.locator(".captioned").filter(has_text="dark; blurred").locator("figure")
    assert [figure.inner_text().strip() for figure in shown.all()] == [
        f"{HOSTILE[1]}: {reason}" for reason in ("dark; blurred", "blurred", "very bright")
    ]
    sizes = "figures => figures.map(figure => figure.querySelector('img').naturalWidth)"
    assert shown.evaluate_all(sizes) == [pictures.SIDE] * 3


@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_a_phone_is_dark_where_the_reader_likes_it_and_figures_have_a_text(report, width):
    report.set_viewport_size({"width": width, "height": 800})
    report.emulate_media(color_scheme="dark")
    assert report.evaluate("document.documentElement.scrollWidth") == width
    assert report.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 29)"
    text = report.locator("#accuracy").get_attribute("aria-label")
    assert text.startswith("Test accuracy at the early stop, by density. Mean of 3 replicates; bands are 95%")
    assert all(chart.get_attribute("aria-label") for chart in report.locator(".chart").all())
