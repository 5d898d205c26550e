"""The table of how long each stage took, as DVC's runs and experiments write it."""

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from prunet.base import files, times
from tests.test_layout import PIPELINE
from tests.toy_pipeline import commit, ran, sh

ROOT = Path(__file__).parents[1]
STAGE = """
import sys
from pathlib import Path
import click
from prunet.base.processes import run_and_exit

@click.command()
@click.argument("output")
@click.argument("value")
def main(output, value):
    if value == "wrong":
        sys.exit(3)
    Path(output).write_text(value)

run_and_exit(main)
"""
TOY = """
stages:
  early:
    cmd: python toy.py early.txt ${early}
    outs: [early.txt]
  late:
    foreach: [one, two]
    do:
      cmd: python toy.py ${item}.txt ${late}
      deps: [early.txt]
      outs: ["${item}.txt"]
"""


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Return the path of the table of an empty working folder, in which DVC runs `train@digits`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(times.STAGE, "train@digits")
    return tmp_path / times.TABLE


def names(path):
    return [row["stage"] for row in files.read_rows(path, times.COLUMNS)]


def test_a_stage_that_runs_again_replaces_its_own_row_alone(table):
    times.replace_row("train@digits", 12.345, "2026-01-02T03:04:05Z")
    times.replace_row("check", 0.5, "2026-01-02T03:04:06Z")
    times.replace_row("train@digits", 7, "2026-01-02T03:04:07Z")
    assert table.read_text() == (
        "stage,seconds,ended\ncheck,0.50,2026-01-02T03:04:06Z\ntrain@digits,7.00,2026-01-02T03:04:07Z\n"
    )
    assert list(table.parent.iterdir()) == [table]


def test_a_stage_is_recorded_by_its_name_without_the_path_of_its_file(table, monkeypatch):
    times.record()
    monkeypatch.setenv(times.STAGE, "../dvc.yaml:check")
    times.record()
    assert names(table) == ["check", "train@digits"]
    (row,) = [row for row in files.read_rows(table, times.COLUMNS) if row["stage"] == "check"]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["ended"])


def test_the_time_counts_from_the_start_of_the_process():
    code = "import time; time.sleep(0.3); from prunet.base import times; print(times.elapsed())"
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 0.3 <= float(done.stdout) <= time.monotonic() - start + 0.02  # clock ticks are 10 ms


def test_where_the_clock_since_the_systems_start_is_missing_the_time_of_day_serves(monkeypatch):
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: time.time() - 60)
    assert times.elapsed() == pytest.approx(60, abs=1)


def test_nothing_is_recorded_without_dvc(table, monkeypatch):
    monkeypatch.delenv(times.STAGE)
    times.record()
    assert not table.parent.exists()


def damage(table):
    table.parent.mkdir()
    table.write_text("<<<<<<< HEAD\n")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (damage, r"metrics/times\.csv has no column 'stage'"),
        (lambda table: table.mkdir(parents=True), r"metrics/times\.csv cannot be read \(Is a directory\)"),
        (lambda table: table.parent.write_text(""), "File exists"),
    ],
)
def test_a_table_that_cannot_be_written_is_a_warning_of_one_line(table, capsys, spoil, reason):
    spoil(table)
    times.record()
    printed = capsys.readouterr().err
    assert re.match(f"warning: the time of train@digits was not recorded: .*{reason}", printed)
    assert printed.count("\n") == 1


def test_a_stage_that_ends_waits_until_another_has_written_its_row(table):
    table.parent.mkdir()
    late = threading.Thread(target=times.replace_row, args=("late", 1, ""))
    with times._locked(table.parent):
        late.start()
        late.join(0.2)
        assert late.is_alive()
    late.join()
    assert names(table) == ["late"]


@pytest.mark.parametrize("name", PIPELINE)
def test_every_stage_of_the_pipeline_records_its_time(name):
    command = PIPELINE[name].get("do", PIPELINE[name])["cmd"].split()[2]
    source = (ROOT / f"{command.replace('.', '/')}.py").read_text()
    assert source.endswith('if __name__ == "__main__":\n    run_and_exit(main)\n')


@pytest.mark.slow
def test_dvc_records_the_stages_that_it_runs_also_in_experiments_and_none_that_fails(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "toy.py").write_text(STAGE)
    (tmp_path / "dvc.yaml").write_text(TOY)
    (tmp_path / "params.yaml").write_text("early: 1\nlate: wrong\n")
    sh(tmp_path, "git", "init", "-q")
    sh(tmp_path, "git", "config", "user.name", "test")
    sh(tmp_path, "git", "config", "user.email", "test@example.org")
    sh(tmp_path, "dvc", "init", "-q")
    sh(tmp_path, "dvc", "repro", "--keep-going", fails=True)
    table = tmp_path / times.TABLE
    assert names(table) == ["early"]

    (tmp_path / "params.yaml").write_text("early: 1\nlate: 2\n")
    sh(tmp_path, "dvc", "repro")
    assert names(table) == ["early", "late@one", "late@two"]
    commit(tmp_path)
    committed = table.read_text()
    assert ran(sh(tmp_path, "dvc", "repro")) == set()
    assert table.read_text() == committed

    sh(tmp_path, "dvc", "exp", "run", "--temp", "-n", "copy", "-S", "late=3")
    assert table.read_text() == committed
    experiment = sh(tmp_path, "git", "for-each-ref", "--format=%(objectname)", "refs/exps/*/*/copy").strip()
    own = sh(tmp_path, "git", "show", f"{experiment}:{times.TABLE}").splitlines()
    changed = set(own) - set(committed.splitlines())
    assert {row.split(",")[0] for row in changed} == {"late@one", "late@two"}
