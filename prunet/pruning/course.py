"""What a training does that the study's settings do not say."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Course(NamedTuple):
    """The course of a training; the default is all of its steps, as the settings have them.

    Attributes:
        first: the step that the start values are of: steps `first + 1` to the last are trained, with the
            learning rates and the images of these steps. The optimizer begins without a memory.
        last_rate: whether every step has the learning rate of the last one.
        changes: None, or how the masks change on the way: `how`, a key of `dynamics.DYNAMICS`, `whole`, the
            layers that stay as they are, with the block `dynamic` of params.yaml.
        keep: None, or the step after which a copy of the weights is kept.
        group_lasso: strength of the penalty on units and filters (see `penalties.group_lasso`).
        scale_l1: strength of the penalty on the scales of norms (see `penalties.scale_l1`).
    """

    first: int = 0
    last_rate: bool = False
    changes: Mapping[str, Any] | None = None
    keep: int | None = None
    group_lasso: float = 0.0
    scale_l1: float = 0.0
