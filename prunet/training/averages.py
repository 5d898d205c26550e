"""Averages in place of a network's last values: a moving average of its weights."""

from torch.optim.swa_utils import get_ema_multi_avg_fn

from prunet.training.vectors import Stack


def follow(average: Stack, weights: Stack, decay: float, step: int) -> None:
    """Move an exponential moving average towards the weights after a step: a <- d a + (1 - d) w.

    d is the smaller of `decay` and (1 + step) / (10 + step), as in TensorFlow's `ExponentialMovingAverage`:
    otherwise the start values would dominate the average of a short training. The running statistics of norms
    are averaged too, and whole numbers copied.

    Args:
        average: (N, *shape) of every tensor, changed in place.
        weights: (N, *shape) of every tensor.
        decay: 0 to 1.
        step: number of steps since the average was a copy of the weights, at least 1.
    """
    moving = [name for name, tensor in average.items() if tensor.is_floating_point()]
    update = get_ema_multi_avg_fn(min(decay, (1 + step) / (10 + step)))  # type: ignore[no-untyped-call]
    update([average[name] for name in moving], [weights[name] for name in moving], step)
    for name in average.keys() - set(moving):
        average[name].copy_(weights[name])


def hold_zeros(average: Stack, weights: Stack) -> None:
    """Set an average to zero where the weights are exactly zero.

    A moving average of weights that become zero only approaches zero, so that what a penalty has emptied
    would be tiny in it, and no longer count as empty. A weight that leaves zero is averaged from there.

    Args:
        average: (N, *shape) of every tensor, changed in place.
        weights: (N, *shape) of tensors of the average.
    """
    for name, tensor in weights.items():
        average[name].mul_(tensor != 0)
