"""The stages whose outputs people read: tables, figures, gallery, and the table at the end of a run."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from prunet.base import files, tables
from prunet.data.images import dataset
from stages import gallery, plot, plot_stability, plot_sweep, show, summarize
from tests import toys
from tests.test_figures import FOOTPRINT, PUBLISHED, QUANTISED, SCHEMES, SWEEP
from tests.test_summary import RESULTS, cell
from tests.toy_tools import invoke

SINGLE = {("dense", "00"): cell(1.0, 0.9), ("trained", "01"): cell(0.2, 0.8)}
TIMES = [(1.0, "dense", 2.0), (1.0, "sparse", 9.0), (0.5, "dense", 2.0), (0.5, "sparse", 1.0)]


def succeed(command, *arguments):
    done = invoke(command, *arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def save(path, *shape):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, 100, np.uint8)).save(path)


@pytest.mark.parametrize("status", ["ok", "excluded"])
def test_the_gallery_draws_kept_images_and_refuses_an_empty_folder(tmp_path, status):
    photos, crops, grays, output = (tmp_path / name for name in ("photos", "crops", "grays", "out"))
    save(photos / "ada" / "1.jpg", 40, 60, 3)
    save(crops / "ada" / "1.png", 30, 30, 3)
    save(grays / "ada" / "1.png", 20, 20)
    for folder, row in (
        (crops, {"image": "ada/1.png", "photo": "ada/1.jpg"}),
        (grays, {"label": "ada", "image": "ada/1.png", "crop": "ada/1.png", "status": status}),
    ):
        files.write_rows(folder / "manifest.csv", list(row), [row])
    done = invoke(gallery, crops, photos, grays, output)
    if status == "ok":
        assert done.exit_code == 0, done.output
        assert sorted(path.name for path in output.iterdir()) == ["people.png", "strip.png"]
    else:
        assert done.exit_code == 2
        assert "no image" in done.stderr
        assert not output.exists()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Summaries of a study with two replicates of two schemes, and of one with a single network."""
    folder = tmp_path_factory.mktemp("project")
    for study, results, rounds in (("digits", RESULTS, ["00", "01"]), ("faces", SINGLE, ["01"])):
        schemes = sorted({scheme for scheme, _ in results} - {"dense"})
        params, metrics = folder / "params" / study / "summarize.json", folder / "metrics" / study
        report = {"scheme": schemes[0], "round": "01", "margin": 0.2}
        found = {"study": study, "schemes": schemes, "rounds": rounds, "report": report}
        before = {"00": "dense", "01": "dense"}
        files.write_json(params, found | {"chain": schemes[0], "before": before, "once": []})
        for (scheme, number), result in results.items():
            cell_folder = "dense" if scheme == "dense" else f"cells/{scheme}/{number}"
            files.write_json(folder / "models" / study / cell_folder / "result.json", result)
        rows = [
            {"device": "cpu", "batch": 1, "density": density, "form": form}
            | dict.fromkeys(("ms_low", "ms_median", "ms_high"), ms)
            for density, form, ms in TIMES
        ]
        tables.write(metrics / "latency.csv", pd.DataFrame(rows))
        tables.write(metrics / "footprint.csv", FOOTPRINT)
        tables.write(metrics / "quantised.csv", QUANTISED)
        dataset.save(folder / "data", **toys.data())
        inputs = params, folder / "data", folder / "models" / study
        succeed(summarize, *inputs, metrics, folder / "plots" / study)
    return folder


def test_summarize_writes_the_report_and_the_tables(project):
    report = files.read_json(project / "metrics" / "digits" / "report.json")
    assert list(report) == ["density", "winner", "dense", "original", "random"]
    assert report["winner"] is None
    assert report["random"] == {"accuracy": 0.3, "early_stop_step": 15.0, "still_falling": None}
    assert len(tables.read(project / "metrics" / "digits" / "summary.csv", ["density"], ["00", "01"])) == 5
    compared = tables.read(project / "metrics" / "digits" / "comparisons.csv")
    assert compared["verdict"].tolist() == ["too few replicates"] * 5
    curves = tables.read(project / "plots" / "digits" / "curves.csv", ["scheme", "epoch", "accuracy"])
    assert curves["scheme"].tolist() == ["original"] * 3 + ["random"] * 3
    assert tables.read(project / "plots" / "digits" / "layers.csv")["round"].tolist() == ["00", "01"]


def test_plot_draws_every_figure_also_of_a_scheme_without_a_style(project, tmp_path):
    labelled = {name: style for name, style in SCHEMES.items() if name != "random"}
    params = {"study": "digits", "round": "01", "schemes": labelled}
    files.write_json(tmp_path / "plot.json", params)
    inputs = (tmp_path / "plot.json", project / "metrics" / "digits", project / "plots" / "digits")
    figures = tmp_path / "figures"
    succeed(plot, *inputs, figures)
    names = ["accuracy", "codebooks", "curves", "early_stop", "layers", "sizes", "speedups"]
    assert sorted(path.stem for path in figures.iterdir()) == names


def test_the_figures_of_a_sweep_and_of_stability_are_drawn(tmp_path):
    files.write_json(tmp_path / "params.json", {"study": "toy", "published": PUBLISHED})
    tables.write(tmp_path / "sweep.csv", SWEEP)
    succeed(plot_sweep, tmp_path / "params.json", tmp_path / "sweep.csv", tmp_path / "sweep")
    assert sorted(path.name for path in (tmp_path / "sweep").iterdir()) == ["accuracy.png", "bytes.png"]
    barriers = pd.DataFrame(
        {"round": ["00", "01"] * 2, "density": [1.0, 0.5] * 2, "loss_mean": [0.0, 0.2] * 2}
    )
    barriers = barriers.assign(start=[0, 0, 100, 100], loss_ci95=0.1, error_mean=0.05, error_ci95=0.01)
    tables.write(tmp_path / "stability.csv", barriers)
    succeed(plot_stability, tmp_path / "params.json", tmp_path / "stability.csv", tmp_path / "stability")
    assert [path.name for path in (tmp_path / "stability").iterdir()] == ["barriers.png"]


def test_show_prints_the_dense_networks_and_every_scheme_at_the_headline_round(project):
    output = succeed(show, project / "params", project / "metrics")
    rows = [line.split() for line in output.splitlines()]
    assert rows[1] == ["digits", "dense", "100.0%", "85.0%", "±", "63.5%", "75.0%", "15", "100%"]
    assert rows[2] == ["digits", "original", "50.0%", "70.0%", "±", "0.0%", "60.0%", "15", "50%"]
    assert rows[3] == ["digits", "random", "50.0%", "30.0%", "±", "254.1%", "20.0%", "15"]
    assert rows[4] == ["faces", "dense", "100.0%", "90.0%", "80.0%", "10"]
    assert rows[5] == ["faces", "trained", "20.0%", "80.0%", "70.0%", "10"]
    assert "digits: Too few replicates to say whether a ticket wins" in output
    assert "faces: Too few" not in output  # without scheme original there are no tickets
    assert "digits: Pruned networks run faster than dense ones" in output


@pytest.mark.parametrize(
    ("verdict", "expected"), [("not worse", "The sparsest winning"), ("not shown", "No round")]
)
def test_show_says_whether_a_ticket_wins(project, tmp_path, verdict, expected):
    metrics = shutil.copytree(project / "metrics", tmp_path / "metrics")
    path = metrics / "digits" / "comparisons.csv"
    tables.write(path, tables.read(path).assign(verdict=verdict))
    assert f"digits: {expected}" in succeed(show, project / "params", metrics)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.0])
def test_show_says_whether_the_dense_networks_guess(project, tmp_path, share):
    metrics = shutil.copytree(project / "metrics", tmp_path / "metrics")
    path = metrics / "digits" / "summary.csv"
    tables.write(path, tables.read(path).assign(guesses=share))
    output = succeed(show, project / "params", metrics)
    assert ("warning: study digits: 2 of 2 dense networks guess: on test" in output) == (share == 1)
    assert ("warning: study digits: 1 of 2 dense networks guess: on test" in output) == (share == 0.5)
    assert "warning: study faces" not in output


def test_without_a_round_that_prunes_there_is_no_verdict(project, tmp_path):
    shutil.copytree(project / "params", tmp_path / "params")
    path = tmp_path / "params" / "digits" / "summarize.json"
    files.write_json(path, files.read_json(path) | {"rounds": ["00"]})
    assert "whether a ticket wins" not in succeed(show, tmp_path / "params", project / "metrics")


def test_show_says_what_is_missing(project, tmp_path):
    for params, message in ((tmp_path, "has no study"), (project / "params", "summary.csv does not exist")):
        done = invoke(show, params, tmp_path)
        assert done.exit_code == 2
        assert message in done.stderr
