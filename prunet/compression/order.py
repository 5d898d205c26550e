"""Names of the steps of compression (`steps.STEPS`), and the orders in which they can be taken."""

from collections.abc import Sequence

ANYWHERE = ("low-rank", "train", "distill")
# These leave weights of few bits: nothing follows.
LAST = ("shared-values", "int8", "int8-train", "int4", "binary")
NAMES = ("prune", *ANYWHERE, *LAST)


def fault(steps: Sequence[str]) -> str | None:
    """Return why steps cannot be taken in this order, or None if they can."""
    if "prune" in steps[1:]:
        return "prune takes the study's pruned networks, so it is the first step or none"
    if steps.count("low-rank") > 1:
        return "low-rank divides a layer once"
    for step in steps[:-1]:
        if step in LAST:
            return f"{step} leaves weights of few bits, so it is the last step or none"
    return None
