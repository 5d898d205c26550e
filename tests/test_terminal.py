"""Learning curves on a terminal."""

import os

import pandas as pd
import pytest
from click.testing import CliRunner

from prunet.analysis import terminal
from stages import show

ROWS = [
    ("original/01", 0, 0, 2.0, 0.1),
    ("original/01", 1, 0, 2.0, 0.3),
    ("original/01", 0, 10, 1.0, 0.6),
    ("random/01", 0, 0, 3.0, 0.25),
]
COLUMNS = ["cell", "network", "step", "val_loss", "val_accuracy"]


def table(rows=ROWS):
    return pd.DataFrame(rows, columns=COLUMNS)


def test_every_cell_has_a_line_with_the_steps_and_means_of_its_networks():
    drawn = terminal.draw(table(), "toy", 80, 20)
    assert drawn.splitlines()[-2:] == [
        "original/01: 2 networks, steps 0 to 10, validation accuracy 45.0%, loss 1.5000",
        "random/01: 1 network, step 0, validation accuracy 25.0%, loss 3.0000",
    ]
    assert "toy" in drawn
    assert "60.0┤" in drawn  # percent: the mean at step 10


def test_the_cells_that_were_evaluated_last_are_drawn():
    rows = [(f"original/{number:02}", 0, 0, 1.0, 0.5) for number in range(10)]
    drawn = terminal.draw(table([*rows, rows[0]]), "toy", 80, 20)
    assert [line.split(":")[0] for line in drawn.splitlines()[-terminal.MOST :]] == [
        "original/05", "original/06", "original/07", "original/08", "original/09", "original/00",
    ]  # fmt: skip


def test_nothing_is_drawn_before_the_first_evaluation():
    assert "network" not in terminal.draw(table([]), "toy", 80, 20)


def test_show_draws_the_curves_that_were_written_last(tmp_path):
    for study, time in (("first", 2), ("second", 1)):
        (tmp_path / study).mkdir()
        table().to_csv(tmp_path / study / "live.csv", index=False)
        os.utime(tmp_path / study / "live.csv", (time, time))
    result = CliRunner().invoke(show.main, ["--watch", "--checkpoints", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "first: validation accuracy" in result.output
    assert "original/01: 2 networks" in result.output


def test_a_row_that_is_being_written_is_left_out(tmp_path):
    path = tmp_path / "live.csv"
    table().to_csv(path, index=False)
    path.write_text(path.read_text() + "random/01,0,10")
    pd.testing.assert_frame_equal(terminal.read(path), table(), check_dtype=False)


@pytest.mark.parametrize("folder", [".", "missing"])
def test_nothing_to_watch_is_one_sentence(tmp_path, folder):
    result = CliRunner().invoke(show.main, ["--watch", "--checkpoints", str(tmp_path / folder)])
    assert result.exit_code == 2
    assert "nothing has trained yet" in result.output
    assert "run `dvc repro` in another terminal" in result.output
