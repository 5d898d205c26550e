"""How many bytes of memory a network takes: standing, and at the peak of a forward pass."""

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def parameter_bytes(model: nn.Module) -> int:
    """Return the bytes of a model's parameters and buffers in memory, each tensor once."""
    return sum(tensor.numel() * tensor.element_size() for tensor in (*model.parameters(), *model.buffers()))


@torch.no_grad()
def forward_peak_bytes(model: nn.Module, images: Tensor) -> int:
    """Return the most bytes that a forward pass holds at any moment beyond what was there before it.

    These are feature maps, other intermediate tensors and the outputs, but neither weights nor images.

    On a CPU it is the sum of the tensors that PyTorch's operations return, each from its making until it is
    freed. That is the same in every run. It leaves out what an operation uses within itself (reordered copies
    in a convolution, say), what does not come from PyTorch, and the allocator's rounding. On a GPU it is the
    peak of PyTorch's allocator, rounding and scratch memory included, in a second pass: the first one makes
    what is made once.

    Args:
        model: in evaluation mode.
        images: (N, C, H, W) as the model takes them, on the model's device.
    """
    if images.device.type == "cuda":
        return _peak_on_gpu(model, images)
    allocations = _Allocations()
    with allocations:
        model(images)
    return allocations.peak


def _peak_on_gpu(model: nn.Module, images: Tensor) -> int:
    model(images)
    torch.cuda.synchronize(images.device)
    torch.cuda.reset_peak_memory_stats(images.device)
    before = torch.cuda.memory_allocated(images.device)
    model(images)
    torch.cuda.synchronize(images.device)
    return int(torch.cuda.max_memory_allocated(images.device) - before)


class _Allocations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the storages that operations newly return, for as long as they live."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live: WeakKeyDictionary[torch.UntypedStorage, int] = WeakKeyDictionary()
        self.peak = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and PyTorch's compiler takes seconds to import

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = _storages((args, kwargs))  # what a view or an operation in place returns is not new
        result = function(*args, **(kwargs or {}))
        self.live.update((storage, storage.nbytes()) for storage in _storages(result) - given)
        self.peak = max(self.peak, sum(self.live.values()))
        return result


def _storages(tree: Any) -> set[torch.UntypedStorage]:
    return {leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)}
