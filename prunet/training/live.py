"""Learning curves while networks train: one bar, a table that `stages.show --watch` draws, and a tracker."""

import csv
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click

from prunet.base import files
from prunet.base.progress import progress
from prunet.training import trackers
from prunet.training.state import Point

COLUMNS = ("cell", "network", "step", "val_loss", "val_accuracy")

Names = Sequence[Sequence[tuple[str, int]]]  # cell and number of each network, by task


@contextmanager
def watching(path: Path, study: str, names: Names, steps: int) -> Iterator["Curves"]:
    """Show the curves of a study's trainings while they run.

    Args:
        path: CSV file with `COLUMNS`, replaced at the start. No output depends on it.
        study: its name.
        names: the networks of each task.
        steps: the last step of a training.

    Raises:
        InputError: the tracker cannot be imported, or the file cannot be written.
    """
    files.write_rows(path, COLUMNS, [])
    total = steps * sum(map(len, names))
    with trackers.tracker() as track, progress(total=total, unit="step", unit_scale=True) as bar:
        yield Curves(path, bar, track, study, names, steps)


class Curves:
    """Watches tasks (`workers.run`) that train networks and yield their evaluations."""

    def __init__(
        self, path: Path, bar: Any, track: trackers.Track | None, study: str, names: Names, steps: int
    ) -> None:
        self._path, self._bar, self._track = path, bar, track
        self._study, self._names, self._steps = study, names, steps
        self._reached: dict[int, int] = {}  # last step by task
        self._finished = 0  # networks

    def follow(self, events: Generator[tuple[int, Sequence[Point] | None]]) -> None:
        """Show what tasks yield as it comes: their networks' evaluations, and None at the end of each."""
        with closing(events):
            for task, points in events:
                if points is None:
                    self.finish(task)
                else:
                    self.hear(task, points)

    def hear(self, task: int, points: Sequence[Point]) -> None:
        """Take in evaluations of a task's networks."""
        rows = [
            dict(zip(COLUMNS, (cell, network, step, loss, accuracy), strict=True))
            for step, losses, accuracies in points
            for (cell, network), loss, accuracy in zip(self._names[task], losses, accuracies, strict=True)
        ]
        with files.writing(self._path), self._path.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS, lineterminator="\n").writerows(rows)
        self._advance(task, points[-1][0])
        for row in rows:
            self._hand_on(row)

    def finish(self, task: int) -> None:
        """Note that a task's networks have finished."""
        self._finished += len(self._names[task])
        self._advance(task, self._steps)

    def _advance(self, task: int, step: int) -> None:
        taken = len(self._names[task]) * (step - self._reached.get(task, 0))
        if task not in self._reached:  # steps of an earlier run, or that a rewound network does not take
            self._bar.initial += taken
        self._reached[task] = step
        running = [reached for reached in self._reached.values() if reached < self._steps]
        slowest = f", slowest at step {min(running)}" if running else ""
        networks = f"{self._finished} of {sum(map(len, self._names))} networks finished"
        self._bar.set_description_str(f"train {self._study} ({networks}{slowest}), steps", refresh=False)
        self._bar.update(taken)

    def _hand_on(self, row: dict[str, Any]) -> None:
        """Give the tracker a row. Its failure must not end a training."""
        if self._track is None:
            return
        try:
            self._track(study=self._study, **row)
        except Exception as error:
            self._track = None
            click.echo(f"warning: the tracker failed and gets no more curves: {error!r}", err=True)
