"""Memory of a network in bytes: its parameters, and the peak of a forward pass."""

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def parameter_bytes(model: nn.Module) -> int:
    """Return the bytes of a model's parameters and buffers in memory; a shared tensor counts once."""
    return sum(tensor.numel() * tensor.element_size() for tensor in (*model.parameters(), *model.buffers()))


@torch.no_grad()
def forward_peak_bytes(model: nn.Module, images: Tensor) -> int:
    """Return the peak memory of a forward pass in bytes, beyond what was allocated before it.

    It counts feature maps, other intermediate tensors and the outputs, not weights and images.

    On a CPU it is the largest sum of the tensors returned by PyTorch's operations that exist at the same
    time, which is the same in every run. It does not include memory inside an operation (such as reordered
    copies in a convolution), memory that PyTorch does not allocate, and the allocator's rounding. On a GPU it
    is the peak of PyTorch's allocator, with rounding and workspaces, in a second pass; the first one makes
    allocations that happen once.

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
    """Sum of the live storages that operations have allocated, and its peak."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live: WeakKeyDictionary[torch.UntypedStorage, int] = WeakKeyDictionary()
        self.peak = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and importing PyTorch's compiler takes seconds

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = _storages((args, kwargs))  # the result of a view or an in-place operation is not new
        result = function(*args, **(kwargs or {}))
        self.live.update((storage, storage.nbytes()) for storage in _storages(result) - given)
        self.peak = max(self.peak, sum(self.live.values()))
        return result


def _storages(tree: Any) -> set[torch.UntypedStorage]:
    return {leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)}
