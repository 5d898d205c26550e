"""Find when the masks that dense networks would get have settled (You et al. 2020, algorithm 1)."""

import torch
from torch import Tensor

from prunet.training.plan import SETTLED_AFTER, FlatMasks
from prunet.training.vectors import Stack

NEAR = 0.1  # distance below which two masks in a row are alike


class Settling:
    """The masks that N dense networks would have got at the last update, and how long they have been alike.

    Args:
        masks: {layer: (N, *shape)}, whose values are not used.
        count: N.

    Attributes:
        tensors: everything that changes, for a checkpoint.
        pruned_at: (N,), the step after which each network got its masks; 0 before.
    """

    def __init__(self, masks: Stack, count: int) -> None:
        self._last = {name: torch.zeros(mask.shape, dtype=torch.bool) for name, mask in masks.items()}
        self._alike = torch.full((count,), -1)  # the first masks have no predecessor
        self.pruned_at = torch.zeros(count, dtype=torch.int64)
        self.tensors: dict[str, Tensor] = {"alike": self._alike, "pruned_at": self.pruned_at}
        self.tensors |= {f"last/{name}": mask for name, mask in self._last.items()}

    def settled(self, number: int, masks: FlatMasks) -> bool:
        """Compare the masks that a network would get now with the last ones, and note them.

        The distance is the share of the survivors that are others than in the last masks. The paper's is the
        share of all elements that differ: the same at a density of one half, and always small at low ones.
        """
        survivors = changed = 0
        for name, mask in masks.items():
            last, now = self._last[name][number].view(-1), torch.from_numpy(mask)
            survivors, changed = survivors + int(now.sum()), changed + int((now & ~last).sum())
            last.copy_(now)
        alike = self._alike[number] < 0 or changed < NEAR * survivors
        self._alike[number] = self._alike[number] + 1 if alike else 0
        return bool(self._alike[number] >= SETTLED_AFTER - 1)
