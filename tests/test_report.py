"""The report of a study: its sentences, its figures, and pages that are complete and safe."""

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from prunet.analysis import comparisons, summary
from prunet.analysis.report import (
    charts,
    figures,
    page,
    pictures,
    reading,
    rows,
    savings,
    sentences,
    tiles,
    words,
)
from prunet.base import tables
from prunet.base.errors import InputError
from prunet.data.images import dataset
from stages import report_page
from tests.test_figures import FOOTPRINT, SCHEMES
from tests.test_summary import cell
from tests.toy_tools import invoke

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><script>alert(2)</script>",
]
RESULTS = {
    ("dense", "00"): cell(1.0, 0.90, 0.91, 0.92),
    ("original", "00"): cell(1.0, 0.90, 0.91, 0.92),
    ("original", "01"): cell(0.5, 0.95, 0.96, 0.97),
    ("random", "00"): cell(1.0, 0.80, 0.81, 0.83),
    ("random", "01"): cell(0.5, 0.60, 0.61, 0.63),
}
SINGLE = {("dense", "00"): cell(1.0, 0.9), ("original", "01"): cell(0.5, 0.8)}
TIMES = [(1.0, "dense", 2.0), (1.0, "sparse", 9.0), (0.5, "dense", 2.0), (0.5, "sparse", 1.0)]
LATENCY = pd.DataFrame(
    [
        {"device": "cpu", "threads": 1, "batch": 1, "density": density, "form": form}
        | dict.fromkeys(("ms_low", "ms_median", "ms_high"), ms)
        for density, form, ms in TIMES
    ]
)
QUANTISED = pd.DataFrame({"round": ["01"] * 3, "density": 0.5, "bits": [32, 4, 8], "accuracy_dense": 0.9})
QUANTISED = QUANTISED.assign(bytes=[400, 40, 80], times_smaller=[2.5, 25, 12.5], accuracy=[0.9, 0.7, 0.8])
DATA = {"set": "folder", "source": "photos/insects"}
PARAMS = {
    "study": "toy",
    "schemes": SCHEMES,
    "scheme": "original",
    "round": "01",
    "margin": 0.2,
    "settings": {
        "seed": 0,
        "prune": {"rounds": [{"n": "00"}, {"n": "01"}]},
        "studies": {"toy": {"model": "mlp", "data": DATA}},
    },
}


def write(folder, results=RESULTS, **more):
    """Write the tables of a study below a folder; return the folders of its metrics and of its plot data."""
    metrics, plot_data = folder / "metrics" / "toy", folder / "plots" / "toy" / "data"
    schemes = list(dict.fromkeys(scheme for scheme, _ in results if scheme != "dense"))
    found = {"summary": summary.summarize(results, 40), "comparisons": comparisons.compare(results, 0.2)}
    found |= {"footprint": FOOTPRINT, "latency": LATENCY, "quantised": QUANTISED, **more}
    for name, table in found.items():
        tables.write(metrics / f"{name}.csv", table)
    tables.write(plot_data / "curves.csv", summary.curves(results, schemes, "01"))
    tables.write(plot_data / "layers.csv", summary.layer_densities(results, schemes[0]))
    return metrics, plot_data


@pytest.fixture
def study(tmp_path):
    """Return a function that writes and reads a study."""
    return lambda *results, **more: reading.read(PARAMS, *write(tmp_path, *results, **more))


def test_the_page_names_what_trained_the_networks(study):
    trained = {"processor": "x86_64 Toy", "torch": "2.14.1"}
    cells = dict.fromkeys(RESULTS, trained) | {("dense", "00"): trained | {"processor": "Toy GPU"}}
    found = study({name: result | cells[name] for name, result in RESULTS.items()})
    assert sentences.made(found) == [
        "Trained with PyTorch 2.14.1 on Toy GPU.",
        "Trained with PyTorch 2.14.1 on x86_64 Toy.",
    ]
    assert "Trained with PyTorch 2.14.1 on Toy GPU." in page.study_page([found], "toy", {}, [])
    assert sentences.made(study()) == []


def test_the_answers_are_sentences_with_numbers_and_intervals(study):
    found = study()
    assert sentences.question(found) == (
        "How much of mlp can be pruned on the images in insects before it gets worse, and from which values "
        "must the rest be trained again?"
    )
    answers = [answer.replace("\N{NO-BREAK SPACE}", " ") for answer in sentences.answers(found)]
    assert answers[0].startswith(
        "The sparsest winning ticket keeps 50.0% of the weights (less than 0.2 points below"
    )
    assert answers[1] == (
        "The dense network's test accuracy is 91.00% ± 2.48 points (3 replicates). "
        "Over other test images, as many as these 40, its interval is 78.21% to 96.61%."
    )
    assert answers[2] == (
        "On test images, after Holm's correction, less accurate than dense: new values at 100% and less "
        "(\N{MINUS SIGN}29.67 ± 1.43 points at 50%)."
    )
    assert (
        answers[-1]
        == "Pruned networks run faster than dense ones: at batch 1, at every measured density up to 50%."
    )
    assert sentences.notices(found) == []


def test_savings_are_those_of_the_winning_ticket_with_the_fewest_bits(study):
    bytes_ = FOOTPRINT.assign(density=[1.0, 0.5][: len(FOOTPRINT)], bytes_dense=1000, bytes_ticket=[900, 400])
    found = study(footprint=bytes_.assign(round=["00", "01"]))
    (sentence,) = savings.bytes_on_disk(found)
    assert sentence.replace("\N{NO-BREAK SPACE}", " ") == (
        "At 50% of the weights the ticket's file takes 400 bytes in place of 1 kB, 2.5 times less, to the "
        "bit; with 4 bits a weight 40 bytes, 25 times less, with a test accuracy of 70.00% (dense: 90.00%; "
        "one network)."
    )
    assert savings.speedups(found)[1].median == 2.0
    times = "\N{MULTIPLICATION SIGN}"
    assert [value for value, _ in tiles.tiles(found)] == ["91.00%", "50%", f"2.5{times}", f"2{times}"]


def test_one_replicate_has_no_interval_and_the_page_says_so(study):
    found = study(SINGLE)
    assert sentences.answers(found)[0] == "Too few replicates to say whether a ticket wins: 3 are needed."
    assert "One replicate: no interval can be computed, and none is drawn." in sentences.notices(found)[0]
    chart = charts.headline([found])
    assert {layer["mark"]["type"] for layer in chart.spec["layer"]} == {"rule", "line", "point"}
    assert chart.caption.startswith("One replicate, so there are no intervals.")
    assert [row["shown"] for row in rows.by_density([found], "accuracy")] == ["90.00%", "80.00%"]
    assert ("?", "sparsest winning ticket: 3 replicates are needed to say") in tiles.tiles(found)


def test_a_row_of_a_figure_has_its_value_interval_and_replicates(study):
    row = rows.by_density([study()], "accuracy")[2]
    assert row["series"] == "original"
    assert (row["x"], row["value"], row["at"]) == (0.5, pytest.approx(0.96), "50% of the weights")
    assert row["shown"].replace("\N{NO-BREAK SPACE}", " ") == "96.00% ± 2.48"
    assert (row["low"], row["high"]) == (pytest.approx(0.9352, abs=1e-4), pytest.approx(0.9848, abs=1e-4))
    assert row["note"] == "3 replicates"


def test_learning_curves_of_a_long_run_are_cut_to_what_follows_its_beginning(study):
    found = study()
    table = pd.DataFrame({"scheme": "original", "epoch": range(101), "accuracy": 0.9, "accuracy_ci95": 0.0})
    table.loc[0, "accuracy"] = 0.1
    table.loc[100, "accuracy"] = 0.92
    cut, whole = (
        charts.others([replace(found, tables=found.tables | {"curves": curves})])[1].spec
        for curves in (table, table[table["epoch"] > 0].assign(accuracy=0.5))
    )
    assert cut["encoding"]["y"]["scale"]["domain"] == pytest.approx((0.899, 0.921))
    assert whole["encoding"]["y"]["scale"] == {"zero": False}
    assert {layer["mark"]["clip"] for layer in cut["layer"]} == {True}
    assert {layer["mark"]["clip"] for layer in whole["layer"]} == {False}
    sizes = [charts.headline([found]).spec["layer"][-1]["mark"]["size"], cut["layer"][-1]["mark"]["size"]]
    assert sizes == [60, 15]


def test_values_that_are_not_known_are_left_out_and_named(study):
    table = summary.summarize(RESULTS, 40)
    table.loc[2, ["accuracy_mean", "accuracy_ci95"]] = math.nan
    found = study(summary=table)
    assert "Some cells have no accuracy (NaN); figures leave them out." in sentences.notices(found)
    text = page.study_page([found], "toy", {})
    assert "NaN;" in text
    specs = embedded(text)
    values = [row["value"] for row in specs["accuracy"]["data"]["values"]]
    assert values.count(None) == 1


def test_the_table_of_cells_has_the_paired_differences_and_sorts_by_numbers(study):
    found = rows.cells([study()])
    assert found["columns"][:3] == ["scheme", "round", "density"]
    (row,) = [row for row in found["rows"] if row[0][0] == "random" and row[1][0] == "01"]
    texts = [text.replace("\N{NO-BREAK SPACE}", " ") for text, _ in row]
    assert texts[2:6] == ["50%", "3", "61.33% ± 3.79", "45.89% to 74.79%"]
    assert texts[6:8] == ["\N{MINUS SIGN}29.67 ± 1.43", "\N{EN DASH}"]
    assert [value for _, value in row][6:8] == [pytest.approx(-0.296667), None]


@pytest.mark.parametrize(
    ("name", "message"),
    [("latency", "latency.csv does not exist"), ("comparisons", "comparisons.csv does not exist")],
)
def test_a_missing_table_is_a_notice(tmp_path, name, message):
    metrics, plot_data = write(tmp_path)
    (metrics / f"{name}.csv").unlink()
    found = reading.read(PARAMS, metrics, plot_data)
    assert message in sentences.notices(found)[0]
    assert message in page.study_page([found], "toy", {})


def test_without_results_one_sentence_names_the_command(tmp_path):
    with pytest.raises(InputError, match=r"Study toy has no results: .*; run `dvc repro summarize@toy`"):
        reading.read(PARAMS, tmp_path, tmp_path)


def test_tables_of_stages_that_found_nothing_are_left_out(study):
    none = pd.DataFrame(columns=["scheme", "round", "image", "networks", "of"])
    assert "mistakes" not in study(mistakes=none).tables


def test_a_legend_names_up_to_twelve_lines_and_bands_are_drawn_for_up_to_six():
    points = [
        {"series": f"{number}", "x": 1, "value": 1, "low": 0, "high": 2, "revision": "", "level": False}
        for number in range(13)
    ]
    for count in (6, 7, 12, 13):
        looks = figures.plain(points[:count])
        spec = figures.lines(points[:count], looks, {}, {})
        assert ("area" in [layer["mark"]["type"] for layer in spec["layer"]]) == (count == 6)
        assert len(charts.Chart("", "", "", looks, spec).legend) == (count if count < 13 else 0)
        assert len({look["color"] for look in looks.values()}) == count


def test_revisions_share_figures_and_their_different_parameters_are_listed(tmp_path):
    found = [reading.read(PARAMS, *write(tmp_path / "a"), "HEAD")]
    settings = PARAMS["settings"] | {"seed": 7}
    found.append(reading.read(PARAMS | {"settings": settings}, *write(tmp_path / "b", SINGLE), "other"))
    assert page.differences(found) == [("seed", [0, 7])]
    text = page.study_page(found, "toy", {}, page.differences(found))
    dash = embedded(text)["accuracy"]["layer"][-2]["encoding"]["strokeDash"]
    assert dash["sort"] == ["HEAD", "other"]
    assert rows.cells(found)["columns"][0] == "revision"
    assert text.count("<h2>HEAD</h2>") == text.count("<h2>other</h2>") == 1


class Page(HTMLParser):
    """Tags of a page, with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def embedded(text):
    """Return the specifications inside a page, which must be JSON: without NaN."""
    (found,) = re.findall(r'<script type="application/json" id="specs">(.*?)</script>', text, re.DOTALL)
    return json.loads(found, parse_constant=pytest.fail)


def save_images(folder):
    """Write a dataset file of three classes with hostile names."""
    pixels = np.random.default_rng(0).integers(0, 256, (18, 1, 9, 9), np.uint8)
    labels, split = np.arange(18) % 3, np.repeat([0, 1, 2], 6).astype(np.uint8)
    names = [f"{HOSTILE[1]}/{number}.png" for number in range(18)]
    dataset.save(folder / "toy.safetensors", pixels, labels.astype(np.int64), split, HOSTILE, names)
    return folder / "toy.safetensors"


@pytest.fixture
def images(tmp_path):
    """Write a dataset file; return its path."""
    return save_images(tmp_path)


def confused():
    """Return tables of mistakes between classes with hostile names."""
    cells = [{"true": name, "named": HOSTILE[0], "count": 2, "share": 1.0} for name in HOSTILE]
    wrong = [{"image": 13, "true": HOSTILE[1], "named": HOSTILE[0], "networks": 3, "of": 3}]
    own = {"scheme": "original", "round": "01", "density": 0.5}
    return {"confusion": pd.DataFrame(cells).assign(**own), "mistakes": pd.DataFrame(wrong).assign(**own)}


def made(tmp_path, images, params=PARAMS, **more):
    """Run the stage; return its page."""
    metrics, plot_data = write(tmp_path, **confused(), **more)
    (tmp_path / "params.json").write_text(json.dumps(params))
    output = tmp_path / "plots" / "toy" / "report.html"
    inputs = tmp_path / "params.json", metrics, plot_data, images, tmp_path / "gray"
    done = invoke(report_page, *inputs, output)
    assert done.exit_code == 0, done.output
    return output


def test_the_page_is_one_small_file_that_loads_nothing(tmp_path, images):
    output = made(tmp_path, images)
    first = output.read_bytes()
    assert len(first) < 3_000_000
    found = Page(first.decode())
    for tag, attributes in found.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            if tag == "a" and name in attributes:
                assert (output.parent / attributes[name]).is_file()
            else:
                assert attributes.get(name, "data:").startswith("data:")
    assert "link" not in dict(found.tags)
    assert "@import" not in first.decode()
    assert "default-src 'none'" in first.decode()
    assert made(tmp_path, images).read_bytes() == first


def test_hostile_names_are_text(tmp_path, images):
    text = made(tmp_path, images).read_text("utf-8")
    found = Page(text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    assert [tag for tag, _ in found.tags].count("script") == 3
    assert text.count("</script>") == 3
    named = {row["true"] for row in embedded(text)["confusion"]["data"]["values"]}
    assert named == set(HOSTILE)


def test_sheets_and_wrong_images_are_pictures_inside_the_page(images):
    data = dataset.load(images)
    found = pictures.sheets(data)
    assert [name for name, _ in found] == HOSTILE
    assert all(url.startswith("data:image/jpeg;base64,") for _, url in found)
    ((caption, _),) = pictures.wrong(data, confused()["mistakes"])
    assert caption == f"{HOSTILE[1]}, named {HOSTILE[0]} by 3 of 3"


def test_a_page_without_its_images_says_so(tmp_path):
    text = made(tmp_path, tmp_path / "deleted.safetensors").read_text("utf-8")
    assert "Images are not shown: " in text
    assert "deleted.safetensors does not exist" in text


@pytest.mark.parametrize(
    ("count", "text"), [(999, "999 bytes"), (32524, "32.5 kB"), (6204028, "6.2 MB"), (5e9, "5 GB")]
)
def test_sizes_have_three_digits(count, text):
    assert words.size(count).replace("\N{NO-BREAK SPACE}", " ") == text
