"""Share of a layer that a round removes, where layers have their own rates."""

from collections.abc import Collection, Iterable, Mapping

from prunet.base.errors import InputError


def own_rates(leave_out: Iterable[str], own_rate: Iterable[str], layers: Collection[str]) -> dict[str, float]:
    """Return {layer: rate} for the layers that do not use the common rate; layers left out have rate 0.

    Args:
        leave_out: layers that keep all weights.
        own_rate: `NAME=RATE` each, the rate from 0 to 1.
        layers: all layers of the model.

    Raises:
        InputError: a layer does not exist, a rate is not a number from 0 to 1, or a layer has two rates.
    """
    rates = dict.fromkeys(leave_out, 0.0)
    for entry in own_rate:
        name, _, text = entry.rpartition("=")
        rate = _number(text)
        if not name or not 0 <= rate <= 1:
            raise InputError(
                f"prune.layers.own_rate has {entry!r}: write NAME=RATE with a rate from 0 to 1, as in "
                "conv1.weight=0.1."
            )
        if rates.setdefault(name, rate) != rate:
            raise InputError(
                f"prune.layers gives {name} two rates, {rates[name]:g} and {rate:g}: remove one."
            )
    for name in rates:
        if name not in layers:
            raise InputError(f"prune.layers names {name!r}, and the layers are {', '.join(layers)}.")
    return rates


def group_rates(groups: Mapping[str, Iterable[str]], own: Mapping[str, float]) -> dict[str, float]:
    """Return {group: rate} for the groups in which a layer has its own rate.

    Raises:
        InputError: layers whose units go together have different rates.
    """
    rates = {}
    for group, layers in groups.items():
        asked = {name: own[name] for name in layers if name in own}
        if len(set(asked.values())) > 1:
            raise InputError(
                "prune.layers gives different rates to layers whose units go together: "
                f"{', '.join(f'{name}={rate:g}' for name, rate in asked.items())}: give them one rate."
            )
        if asked:
            rates[group] = next(iter(asked.values()))
    return rates


def compounded(rate: float, rounds: int) -> float:
    """Return the share that `rounds` rounds at this rate remove: 1 - (1 - rate)^rounds."""
    gone = 0.0
    for _ in range(rounds):  # the formula is not exact for one round
        gone += (1 - gone) * rate
    return gone


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0
