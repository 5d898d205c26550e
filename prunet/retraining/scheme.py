"""Schemes: the values that a round's survivors start from, and how they are trained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from prunet.cells.masks import Masks, Weights
from prunet.structure.finding import Units
from prunet.training.plan import TrainingPlan

FOLDER = Path(__file__).parent.parent / "schemes"


class Sources(NamedTuple):
    """Values that a scheme may use; weights are read or drawn only if it asks for them.

    Attributes:
        initial: returns the weights before training, (R, *shape).
        early: returns the weights of the dense training after step `rewind`, (R, *shape).
        trained: returns the trained weights that the masks were made from, (R, *shape).
        fresh: returns new random weights (N, *shape), N a multiple of R; draws of a replicate are adjacent.
        masks: masks of the round, (R, *shape).
        units: returns the units of the model; None if the masks are of single weights.
        rng: returns the random generator of a replicate.
        rewind: the step of `early`.
        dynamic: the block `dynamic` of params.yaml.
    """

    initial: Callable[[], Weights]
    early: Callable[[], Weights]
    trained: Callable[[], Weights]
    fresh: Callable[[], Weights]
    masks: Masks
    units: Callable[[], Units] | None
    rng: Callable[[int], np.random.Generator]
    rewind: int
    dynamic: Mapping[str, Any]


class Ticket(NamedTuple):
    """Start values (N, *shape), masks (N, *shape) and the plan of their training."""

    weights: Weights
    masks: Masks
    plan: TrainingPlan = TrainingPlan()


@dataclass(frozen=True)
class Scheme:
    """One way to train a round's survivors.

    Attributes:
        ticket: makes the ticket of a round.
        label: name in the figures' legends.
        color: of its line in the figures.
        marker: Matplotlib's.
        linestyle: Matplotlib's.
        dense_at_round_0: whether it changes nothing at density 1, where it is the dense training itself.
        keeps_mask: whether it trains under the round's own mask: only then can the next round prune its
            networks (`prune.chain`).
        redraws: whether it draws new start values, `reinits` times for each mask.
        dynamic: whether it reads the block `dynamic` of params.yaml, and has masks of single weights.
        updates_masks: whether masks change during its training.
        needs_momentum: whether it reads the optimizer's momentum.
        seed: name of its random draws; schemes with the same one draw the same mask.
    """

    ticket: Callable[[Sources], Ticket]
    label: str
    color: str
    marker: str
    linestyle: Any
    dense_at_round_0: bool = False
    keeps_mask: bool = True
    redraws: bool = False
    dynamic: bool = False
    updates_masks: bool = False
    needs_momentum: bool = False
    seed: str = ""


def names() -> list[str]:
    """Return the names of all schemes, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("[!_]*.py"))


def load(name: str) -> Scheme:
    """Return the scheme of the file `name`.py; one of `names`."""
    scheme: Scheme = import_module(f"prunet.schemes.{name}").SCHEME
    return scheme


def summary(name: str) -> str:
    """Return the first line of a scheme's documentation."""
    return (import_module(f"prunet.schemes.{name}").__doc__ or "").splitlines()[0]
