"""Re-initialisation schemes: the values that the surviving weights are trained from."""

from collections.abc import Callable

from prunet.pruning.masks import Weights

Source = Callable[[], Weights]


def original(initial: Source, trained: Source, fresh: Source) -> Weights:
    """The values before training: the lottery ticket (Frankle & Carbin 2019)."""
    return initial()


def trained(initial: Source, trained: Source, fresh: Source) -> Weights:
    """The values after training: prune and fine-tune (Han et al. 2015)."""
    return trained()


def random(initial: Source, trained: Source, fresh: Source) -> Weights:
    """New values from the distribution of the original ones: what the ticket must beat."""
    return fresh()


SCHEMES = {"original": original, "trained": trained, "random": random}
