"""Share of a layer that a round removes, where layers have their own rates."""

import math
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from prunet.base.errors import InputError


def own_rates(
    leave_out: Iterable[str], own_rate: Mapping[str, float], layers: Sequence[str]
) -> dict[str, float]:
    """Return {layer: rate} for the layers that do not use the common rate; layers left out have rate 0.

    Args:
        leave_out: layers that keep all weights, by any name that `find_layer` knows.
        own_rate: rate of other layers, by the same names, 0 to 1.
        layers: all layers of the model.

    Raises:
        InputError: a layer does not exist, its name is ambiguous, or it has two rates.
    """
    rates: dict[str, float] = {}
    for name, rate in [*((name, 0.0) for name in leave_out), *own_rate.items()]:
        layer = find_layer(name, layers)
        if rates.setdefault(layer, rate) != rate:
            raise InputError(f"gives {layer} two rates, {rates[layer]:g} and {rate:g}: remove one")
    return rates


def find_layer(name: str, layers: Sequence[str]) -> str:
    """Return the layer that a name means.

    That is the layer of this name, or of the name and `.weight`; or else the only one whose name has it as a
    part: `conv4a` is `features.conv4a.conv.weight`.

    Raises:
        InputError: no layer or more than one fits.
    """
    for exact in (name, f"{name}.weight"):
        if exact in layers:
            return exact
    fitting = [layer for layer in layers if f".{name}." in f".{layer}."]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise InputError(f"names {name!r}, which fits several layers: write one of {', '.join(fitting)}")
    short = {layer.removesuffix(".weight"): layer for layer in layers}
    close = get_close_matches(name, [*layers, *short], n=3)
    meant = dict.fromkeys(short.get(layer, layer) for layer in close)
    hint = f": did you mean {' or '.join(meant)}?" if meant else "."
    raise InputError(f"names {name!r}, which is not a layer{hint} The layers are {', '.join(layers)}")


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
                "layers.own_rate or leave_out gives different rates to layers whose units go together: "
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


def partway(rate: float, part: float) -> float:
    """Return the share that is gone after a part (0 to 1) of many equal steps that together remove `rate`."""
    return rate if part == 1 else 1 - (1 - rate) ** part  # the formula is not exact for all of them


def pace(own: float, common: float) -> float:
    """Return how many rounds at the common rate remove the share that one round at a layer's own rate does.

    When the common rate has left a share x of other layers, the layer has kept x to the power of this.

    Args:
        own: 0 to below 1.
        common: above 0, below 1.
    """
    return math.log1p(-own) / math.log1p(-common)
