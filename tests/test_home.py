"""Files that the stages write outside the checkout: in the home folder, the list of fonts alone."""

import json
import os
import subprocess
import sys

import pytest

from prunet.data.images import dataset
from tests import toys
from tests.conftest import CHECKOUT

pytestmark = pytest.mark.field

# Runs stages, given as names with arguments, in one process that ends without Python's shutdown, as they do.
SCRIPT = """
import json, os, sys
from importlib import import_module
for name, *arguments in json.loads(sys.argv[1]):
    import_module(f"stages.{name}").main(arguments, standalone_mode=False)
print(os.environ["ORT_DISABLE_TELEMETRY"], flush=True)
os._exit(0)
"""


def stages(folder):
    """Return the commands of a toy study, from the parameters to the figures."""
    params, models, metrics, plots = (str(folder / name) for name in ("params", "models", "metrics", "plots"))
    data, dense, cells = str(folder / "data"), f"{models}/dense", f"{models}/cells"
    starts = [f"{models}/init.safetensors", f"{models}/rewind.safetensors"]
    return [
        ["check", str(toys.PARAMS), f"{folder}/none", f"{folder}/checked"],
        ["images", f"{folder}/checked/digits/images.json", f"{folder}/digits"],
        ["train", f"{params}/train.json", data, *starts, dense],
        ["prune", f"{params}/prune.json", "00", data, models, dense],
        ["prune", f"{params}/prune.json", "01", data, models, dense],
        ["retrain", f"{params}/retrain-original.json", data, models, f"{cells}/original"],
        ["footprint", f"{params}/footprint.json", data, dense, f"{cells}/original", metrics],
        ["export", f"{params}/export.json", data, dense, f"{cells}/original", "none", f"{folder}/export"],
        ["summarize", f"{params}/summarize.json", data, models, metrics, plots],
        ["plot", f"{params}/plot.json", metrics, plots, f"{plots}/figures"],
        ["report_page", f"{params}/report.json", metrics, plots, data, "none", f"{plots}/report.html"],
    ]


@pytest.mark.slow
def test_the_stages_write_nothing_to_the_home_folder_but_the_list_of_fonts(tmp_path):
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    footprint = {"rounds": 2, "batches": [1], "seconds": 0.001, "bits": [4]}
    toys.write_stage_params(work / "all", toys.params_values(training={"steps": 2}, footprint=footprint))
    (work / "all" / "toy").rename(work / "params")
    dataset.save(work / "data", **toys.data())
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MPL"))}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(stages(work))],
        cwd=work,
        env=environment | {"HOME": str(home), "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("1\n")  # the telemetry of ONNX Runtime is off
    assert (work / "plots/figures/speedups.png").exists()
    assert (work / "plots/report.html").exists()
    written = [path for path in home.rglob("*") if path.is_file()]
    assert [path.parent.relative_to(home).as_posix() for path in written] == [".cache/matplotlib"]
    assert written[0].name.startswith("fontlist")
