"""Neural-network pruning and the lottery ticket hypothesis, as a library of small functions.

`prune`, `sensitivity`, `masked`, `apply_masks` and `shrink` of `prunet.library` take any PyTorch module.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prunet.library import apply_masks, masked, prune, sensitivity, shrink

__all__ = ["apply_masks", "masked", "prune", "sensitivity", "shrink"]


def __getattr__(name: str) -> Any:
    """Import the library at its first use: it takes seconds, which the pipeline's stages would wait for."""
    if name not in __all__:
        raise AttributeError(f"module 'prunet' has no attribute {name!r}")
    from prunet import library

    return getattr(library, name)
