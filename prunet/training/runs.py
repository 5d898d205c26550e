"""Replicates and seeds of the networks of a cell."""

from typing import Any

from prunet.base.seeds import derive

SHARED = ("order", "augment", "dropout")  # the same in every round and scheme


def initial_seeds(seed: int, study: str, purpose: tuple[str, ...], replicates: int, count: int) -> list[int]:
    """Return the seeds of the start values of N networks, for one purpose."""
    reinits = count // replicates
    return [derive(seed, study, *purpose, number // reinits, number % reinits) for number in range(count)]


def runs(
    seed: int, study: str, drawn_for: tuple[str, ...], replicates: int, count: int, changing: str | None
) -> list[dict[str, Any]]:
    """Return for each of N networks its `replicate` and the `seeds` that it is trained with.

    Args:
        seed: of the pipeline.
        study: its name.
        drawn_for: the purpose that the start values were drawn for.
        replicates: of the study; the draws of one replicate are adjacent.
        count: N, a multiple of `replicates`.
        changing: name of a cell whose masks change during training: these draws have a seed of their own in
            every cell.
    """
    purposes = {name: name for name in SHARED} | ({"masks": changing} if changing else {})
    found = []
    for number, init in enumerate(initial_seeds(seed, study, drawn_for, replicates, count)):
        replicate = number // (count // replicates)
        seeds = {name: derive(seed, study, purpose, replicate) for name, purpose in purposes.items()}
        found.append({"replicate": replicate, "seeds": {"init": init} | seeds})
    return found
