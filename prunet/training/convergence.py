"""Warn of a training that was too short or taught nothing: its loss still falls, or the network guesses."""

from collections.abc import Mapping, Sequence
from typing import Any

from scipy.special import bdtrc

LEAST = 3  # evaluations that a verdict needs
LATE = 0.1  # last share of the steps
FALL = 0.01  # of the loss: what falls less has flattened, as with a cosine schedule


def still_falling(steps: Sequence[int], losses: Sequence[float]) -> bool | None:
    """Return whether the last loss is the lowest, by at least `FALL` of the lowest before the last tenth.

    Args:
        steps: of the evaluations, in ascending order.
        losses: on the validation split, one for each step.

    Returns:
        None with fewer than `LEAST` evaluations.
    """
    if len(steps) < LEAST:
        return None
    late = steps[-1] - LATE * (steps[-1] - steps[0])
    before = min(loss for step, loss in zip(steps, losses, strict=True) if step <= late)
    return losses[-1] == min(losses) and losses[-1] <= (1 - FALL) * before


def guesses(accuracy: float, images: int, largest_class: float) -> bool:
    """Return whether an accuracy may be that of always answering with the largest class.

    That is so unless an exact one-sided binomial test at a level of 2.5% rejects it.

    Args:
        accuracy: on the test split, 0 to 1.
        images: in the test split.
        largest_class: share of the images that are in it, 0 to 1.
    """
    right = round(accuracy * images)
    return right == 0 or bool(bdtrc(right - 1, images, largest_class) > 0.025)


def warnings(study: str, steps: int, results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence if most networks were trained too briefly, and one if most of the dense ones guess.

    Args:
        study: its name.
        steps: of one training.
        results: of cells (result.json).
    """
    networks = [network for result in results for network in result["networks"]]
    dense = [
        network["guesses"] for result in results if result["density"] == 1 for network in result["networks"]
    ]
    found = warning(study, steps, networks), guessing_warning(study, sum(dense), len(dense))
    return [sentence for sentence in found if sentence]


def guessing_warning(study: str, count: int, networks: int) -> str | None:
    """Return a sentence if at least half of the dense networks of a study guess: `count` of `networks`."""
    if not networks or 2 * count < networks:
        return None
    return (
        f"warning: study {study}: {count} of {networks} dense networks guess: on test images they are "
        "not clearly better than always answering with the largest class, and pruning them shows nothing; "
        f"train longer, change studies.{study}.training.lr, or give more images."
    )


def warning(study: str, steps: int, networks: Sequence[Mapping[str, Any]]) -> str | None:
    """Return a sentence if the loss of at least half of the networks still falls at the last step.

    Args:
        study: its name.
        steps: of one training.
        networks: results, each with `still_falling`; those without a verdict do not count.
    """
    verdicts = [verdict for network in networks if (verdict := network["still_falling"]) is not None]
    if not verdicts or 2 * sum(verdicts) < len(verdicts):
        return None
    return (
        f"warning: study {study}: the validation loss still falls at the last step ({steps}) in "
        f"{sum(verdicts)} of {len(verdicts)} networks: raise studies.{study}.training.steps."
    )
