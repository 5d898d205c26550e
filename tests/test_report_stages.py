"""The stages that a person looks at: gallery, and the table at the end of a run."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from prunet.analysis import summary
from prunet.base import files
from stages import gallery, show
from tests.test_summary import RESULTS, cell

PARAMS = Path(__file__).parent.parent / "params.yaml"


def run(command, *arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def save(path, *shape):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, 100, np.uint8)).save(path)


@pytest.mark.parametrize("status", ["ok", "excluded"])
def test_the_gallery_draws_kept_images_and_refuses_an_empty_folder(tmp_path, status):
    photos, crops, grays, output = (tmp_path / name for name in ("photos", "crops", "grays", "out"))
    save(photos / "ada" / "1.jpg", 40, 60, 3)
    save(crops / "ada" / "1.png", 30, 30, 3)
    save(grays / "ada" / "1.png", 20, 20)
    files.write_rows(
        crops / "manifest.csv", ["image", "photo"], [{"image": "ada/1.png", "photo": "ada/1.jpg"}]
    )
    row = {"label": "ada", "image": "ada/1.png", "status": status}
    files.write_rows(grays / "manifest.csv", list(row), [row])
    done = run(gallery.main, crops, photos, grays, output)
    if status == "ok":
        assert done.exit_code == 0, done.output
        assert sorted(path.name for path in output.iterdir()) == ["people.png", "strip.png"]
    else:
        assert done.exit_code == 2
        assert "holds no image" in done.stderr
        assert not output.exists()


def test_the_table_shows_the_dense_network_and_every_scheme_of_the_reported_round(tmp_path):
    results = {
        (scheme, "08" if number == "01" else number): result for (scheme, number), result in RESULTS.items()
    }
    single = {("dense", "00"): cell(1.0, 0.9), ("original", "08"): cell(0.2, 0.8)}
    summary.write(tmp_path / "digits" / "summary.csv", summary.summarize(results))
    summary.write(tmp_path / "faces" / "summary.csv", summary.summarize(single))
    for study, density in (("digits", 0.5), ("faces", None)):
        files.write_json(tmp_path / study / "report.json", {"winning_density": density})
        times = [(1.0, "dense", 2.0), (1.0, "sparse", 9.0), (0.5, "dense", 2.0), (0.5, "sparse", 1.0)]
        rows = [
            {"device": "cpu", "batch": 1, "density": density, "form": form}
            | dict.fromkeys(("ms_low", "ms_median", "ms_high"), ms)
            for density, form, ms in times
        ]
        summary.write(tmp_path / study / "latency.csv", pd.DataFrame(rows))
    done = run(show.main, "--params", PARAMS, tmp_path)
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[1] == ["digits", "dense", "100.0%", "85.0%", "±", "63.5%", "75.0%", "15"]
    assert lines[2] == ["digits", "original", "50.0%", "70.0%", "±", "0.0%", "60.0%", "15"]
    assert lines[3] == ["digits", "random", "50.0%", "30.0%", "±", "254.1%", "20.0%", "15"]
    assert lines[4] == ["faces", "dense", "100.0%", "90.0%", "80.0%", "10"]
    assert lines[5][:4] == ["faces", "original", "20.0%", "80.0%"]
    assert "Sparsest winning ticket of digits: 50.0% of the weights" in done.stdout
    assert "Sparsest winning ticket of faces: none" in done.stdout
    assert (
        "digits: At batch 1 sparse execution is faster than dense from 50% of the weights on" in done.stdout
    )

    values = yaml.safe_load(Path(PARAMS).read_text())
    values["prune"] |= {"schemes": ["trained"], "chain": "trained"}
    values["report"]["scheme"] = values["export"]["scheme"] = "trained"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    done = run(show.main, "--params", tmp_path / "params.yaml", tmp_path)
    assert done.exit_code == 0, done.output
    assert "winning ticket" not in done.stdout  # without the tickets there is none to look for


def test_the_table_of_a_run_that_has_not_ended_says_what_is_missing(tmp_path):
    done = run(show.main, "--params", PARAMS, tmp_path)
    assert done.exit_code == 2
    assert "summary.csv does not exist" in done.stderr
