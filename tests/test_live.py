"""Learning curves while networks train."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from prunet.base.errors import InputError
from prunet.base.files import write_rows
from prunet.base.tables import read
from prunet.training import live, trackers

NAMES = [[("dense", 0), ("dense", 1)], [("original/01", 0)]]


class Bar:
    """Stands for tqdm's."""

    def __init__(self):
        self.initial = self.n = 0
        self.lines = []

    def set_description_str(self, line, refresh):
        self.lines.append(line)

    def update(self, more):
        self.n += more


@pytest.fixture
def curves(tmp_path):
    write_rows(tmp_path / "live.csv", live.COLUMNS, [])
    return live.Curves(tmp_path / "live.csv", Bar(), None, "toy", NAMES, 20)


def test_the_table_has_every_evaluation_at_once(curves, tmp_path):
    curves.hear(0, [(0, [2.0, 2.5], [0.25, 0.5])])
    table = read(tmp_path / "live.csv")
    assert list(table.columns) == list(live.COLUMNS)
    assert table.values.tolist() == [["dense", 0, 0, 2.0, 0.25], ["dense", 1, 0, 2.5, 0.5]]
    curves.hear(1, [(0, [1.0], [0.0]), (10, [0.5], [1.0])])
    assert read(tmp_path / "live.csv")["step"].tolist() == [0, 0, 0, 10]


def test_a_table_that_cannot_be_written_is_one_sentence(curves, tmp_path):
    (tmp_path / "live.csv").unlink()
    (tmp_path / "live.csv").mkdir()
    with pytest.raises(InputError, match=r"live.csv cannot be written \(Is a directory\)"):
        curves.hear(1, [(0, [1.0], [0.5])])


def test_the_bar_counts_the_steps_of_all_networks_and_names_the_slowest(curves):
    curves.hear(0, [(0, [1.0, 1.0], [0.0, 0.0])])
    curves.hear(1, [(0, [1.0], [0.0])])
    curves.hear(0, [(10, [1.0, 1.0], [0.0, 0.0])])
    bar = curves._bar
    assert (bar.n, bar.initial) == (20, 0)
    assert bar.lines[-1] == "train toy (0 of 3 networks finished, slowest at step 0), steps"
    curves.finish(1)
    assert bar.n == 40
    assert bar.lines[-1] == "train toy (1 of 3 networks finished, slowest at step 10), steps"
    curves.hear(0, [(20, [1.0, 1.0], [0.0, 0.0])])
    curves.finish(0)
    assert bar.n == 60
    assert bar.lines[-1] == "train toy (3 of 3 networks finished), steps"


def test_steps_of_an_earlier_run_do_not_count_as_work_of_this_one(curves):
    """The time left would be far too short."""
    curves.hear(1, [(0, [1.0], [0.0]), (10, [1.0], [0.0])])  # resumed
    curves.finish(0)  # had finished
    assert (curves._bar.n, curves._bar.initial) == (50, 50)
    curves.hear(1, [(15, [1.0], [0.0])])
    assert (curves._bar.n, curves._bar.initial) == (55, 50)


def test_a_tracker_that_fails_is_named_once_and_ends_no_training(curves, capsys):
    calls = []

    def fail(**row):
        calls.append(row)
        raise OSError("no network")

    curves._track = fail
    for step in (0, 10):
        curves.hear(1, [(step, [1.0], [0.5])])
    assert calls == [
        {"study": "toy", "cell": "original/01", "network": 0, "step": 0, "val_loss": 1.0, "val_accuracy": 0.5}
    ]
    assert capsys.readouterr().err.count("no network") == 1


def test_a_function_of_yours_is_the_tracker(monkeypatch):
    monkeypatch.setenv(trackers.NAMED, "builtins:print")
    with trackers.tracker() as track:
        assert track is print


@pytest.mark.parametrize("named", ["nowhere:log", "builtins:nothing", "builtins", ":"])
def test_a_tracker_that_is_not_there_is_refused(monkeypatch, named):
    monkeypatch.setenv(trackers.NAMED, named)
    expected = r"PRUNET_TRACKER=.* names no function .*MODULE:FUNCTION"
    with pytest.raises(InputError, match=expected), trackers.tracker():
        pass


def test_nothing_is_tracked_unless_asked_for_or_run_by_dvc(monkeypatch):
    for name in (trackers.NAMED, trackers.DVC):
        monkeypatch.delenv(name, raising=False)
    with trackers.tracker() as track:
        assert track is None


TRACK = """
import subprocess, sys
from prunet.training import trackers

trackers.DELAY, trackers.INTERVAL = 0, float(sys.argv[1])
with trackers.tracker() as track:
    for step in (0, 10):
        row = {"study": "toy", "cell": "original/01", "network": 0, "step": step}
        track(**row, val_loss=2 - step / 10, val_accuracy=step / 10)
    subprocess.run([sys.executable, "-m", "dvc", "plots", "show", "--json"], check=True)
"""


@pytest.mark.parametrize(
    ("interval", "shown"), [("0", [("0", "0.0"), ("10", "1.0")]), ("3600", [("0", "0.0")])]
)
def test_dvc_plots_show_draws_the_curves_while_networks_train(tmp_path, interval, shown):
    """In a process of its own: DVCLive sets up logging and threads."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], cwd=tmp_path, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=tmp_path, check=True)
    root = str(Path(__file__).parents[1])
    own = {"PYTHONPATH": root, "DVC_ROOT": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", TRACK, interval],
        cwd=tmp_path,
        env=own,
        capture_output=True,
        text=True,
        check=True,
    )
    plots = json.loads(done.stdout)["data"]
    folder = "live/plots/metrics/toy/original/01"
    assert set(plots) == {f"{folder}/val_accuracy/0.tsv", f"{folder}/val_loss/0.tsv"}
    (drawn,) = plots[f"{folder}/val_accuracy/0.tsv"]
    points = [(row["step"], row["0"]) for row in drawn["content"]["data"]["values"]]
    assert points == shown
    assert not (tmp_path / "live").exists()
