"""The search itself: Optuna chooses the points of the grid to try."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import TrialState

from prunet.base.progress import progress
from prunet.search.budget import Budget, Trial, excess
from prunet.search.grid import Point, settings


def search(
    points: Sequence[Point],
    values: Mapping[str, Sequence[Any]],
    measure: Callable[[Point], Trial],
    budget: Budget,
    count: int,
    seed: int,
) -> list[Trial]:
    """Try points, each once, for the highest validation accuracy within a budget.

    With as many trials as points all are tried. Otherwise Optuna's tree-structured Parzen estimator (Bergstra
    et al. 2011) chooses: the first ten at random, then those like the best so far within the budget.

    Args:
        points: of the grid.
        values: of every setting.
        measure: tries a point.
        budget: the most of each cost.
        count: of trials; no more than there are points.
        seed: of Optuna's draws. The same results lead to the same points.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    combinations = list(dict.fromkeys(point.combination for point in points))
    if count >= len(points):
        for point in points:
            study.enqueue_trial({"combination": point.combination, **dict(point.values)})
    found: dict[Point, Trial] = {}
    total = min(count, len(points))
    with progress(total=total, desc="search", unit="trial") as bar:
        while len(found) < total:
            asked = study.ask()
            point = _suggest(asked, combinations, values)
            if point in found:  # pruned trials count as poor ones, so that Optuna turns to others
                study.tell(asked, state=TrialState.PRUNED)
                continue
            bar.set_postfix_str(str(point), refresh=sys.stderr.isatty())
            trial = found[point] = measure(point)
            if trial.fault:
                study.tell(asked, state=TrialState.FAIL)
            else:
                for cost, share in excess(trial.row, budget).items():
                    asked.set_constraint(cost, share)
                study.tell(asked, trial.row["val_accuracy_mean"])
            bar.update()
    return list(found.values())


def _suggest(trial: optuna.Trial, combinations: Sequence[str], values: Mapping[str, Sequence[Any]]) -> Point:
    combination = str(trial.suggest_categorical("combination", combinations))
    chosen = [(name, trial.suggest_categorical(name, values[name])) for name in settings(combination)]
    return Point(combination, tuple(chosen))
