"""Units of a network: rows and columns of its tensors that can only be removed together."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from prunet.base.errors import InputError
from prunet.structure.labels import ATTENTION, KEPT, compact
from prunet.structure.program import Example, write_program
from prunet.structure.resizing import misplaced
from prunet.structure.tensors import Activation, Constant
from prunet.structure.walk import Walk, parts, tensors_of


class Slice(NamedTuple):
    """Units along a dimension of a tensor.

    Attributes:
        tensor: the parameter, buffer or computed tensor.
        dim: its dimension.
        units: (size,) the unit of each index, -1 for those of other groups or that stay.
    """

    tensor: Constant
    dim: int
    units: NDArray[np.int64]


class Group(NamedTuple):
    """Units that lie in the same tensors.

    Attributes:
        name: of the first weight whose rows they are.
        units: their number.
        slices: every tensor that loses something with a unit.
    """

    name: str
    units: int
    slices: list[Slice]

    @property
    def rows(self) -> list[Slice]:
        """The weights that compute these units, and along which dimension."""
        return [part for part in self.slices if part.tensor.rows == part.dim]


class Units:
    """Units of a network, in groups.

    Attributes:
        walk: labels of the program.
        parameters: names of the parameters and buffers, in the order of their use.
        groups: in the order of the program.
        reasons: {why: number of times} units stay whole.
    """

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.parameters = [tensor.name for tensor in tensors_of(walk) if tensor.name]
        self._units = walk.labels.resolve()
        self.groups, self._members = _group(walk, self._units)
        self.reasons = _reasons(walk, self._units, self._members)

    def alive(self, gone: list[NDArray[np.bool_]]) -> Tensor:
        """Return whether each label (labels,) survives, from the removed units of each group."""
        removed = torch.zeros(int(self._units.max()) + 1, dtype=torch.bool)
        for members, own in zip(self._members, gone, strict=True):
            removed[members] = torch.from_numpy(np.asarray(own, bool))
        return ~removed[self._units]


def find_units(model: nn.Module, example: Example, attention: str = "heads") -> Units:
    """Find the units of a network that can be removed without changing what the others compute.

    The network is exported by `torch.export`; every activation carries the unit that each of its elements
    belongs to through the program's operations. An operation without a rule keeps the units that it takes.

    Args:
        model: of any kind; it is not changed.
        example: inputs, each (N, ...), a tensor or several.
        attention: what a unit of attention is. `heads`: a whole head. `widths`: the same element of all heads
            of the query and key, or of the value, so that all heads stay and get narrower. Where there are no
            separate heads, the units are these elements in any case.

    Raises:
        InputError: the model cannot be exported.
    """
    return units_of(write_program(model, example), attention)


def units_of(program: fx.GraphModule, attention: str) -> Units:
    """Find the units of a program of `write_program`; `attention` as in `find_units`.

    Raises:
        InputError: `attention` is neither of the two.
    """
    if attention not in ATTENTION:
        raise InputError(f"attention is {attention!r}; choose {' or '.join(ATTENTION)}.")
    walk = Walk(program, attention)
    while True:
        units = Units(walk)
        wrong = [move for gone in _trials(units.groups) for move in misplaced(walk, units.alive(gone))[:1]]
        if not wrong:
            break
        for node, labels in wrong:
            walk.labels.keep(labels, f"{node.name} moves it")
        walk.settle()
    return units


def _trials(groups: list[Group]) -> Iterator[list[NDArray[np.bool_]]]:
    """Yield removals that reveal a move that cannot be written with fewer units: halves, and unequal shares.

    A group whose layers have other units too goes as a whole in one of them.
    """
    generator = np.random.default_rng(0)
    halves = [np.arange(group.units) % 2 == 1 for group in groups]
    shares = [generator.random(group.units) < generator.random() for group in groups]
    for trial, gone in enumerate((halves, shares)):
        for number, (group, own) in enumerate(zip(groups, gone, strict=True)):
            partial = all((part.units < 0).any() for part in group.slices)
            if partial and number % 2 == trial:
                own[:] = True
            elif own.all():
                own[0] = False
        yield gone


def nothing_to_remove(units: Units) -> InputError:
    """Return the error for a network without a unit that can be removed."""
    reasons = "; ".join(units.reasons) or "no layer lies between its inputs and outputs"
    return InputError(
        f"no unit of the network can be removed ({reasons}); prune single weights, e.g. by magnitude."
    )


def _group(walk: Walk, units: Tensor) -> tuple[list[Group], list[Tensor]]:
    """Return the groups, and the units of each, ascending."""
    tensors = tensors_of(walk)
    places: dict[int, list[tuple[int, int]]] = {}
    whole = {KEPT}
    for number, tensor in enumerate(tensors):
        for dim, labels in enumerate(tensor.dims):
            own = np.unique(units[labels].numpy()).tolist()
            whole |= set(own) if len(own) == 1 else set()
            for unit in own:
                places.setdefault(unit, []).append((number, dim))
    groups: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for unit in sorted(places.keys() - whole - _alone(walk, units)):
        groups.setdefault(tuple(places[unit]), []).append(unit)
    found = []
    for where, members in groups.items():
        slices = [_slice(tensors[number], dim, units, members) for number, dim in where]
        group = Group("", len(members), slices)
        if group.rows:
            found.append((group._replace(name=group.rows[0].tensor.name), torch.tensor(members)))
    return [group for group, _ in found], [members for _, members in found]


def _alone(walk: Walk, units: Tensor) -> set[int]:
    """Return the units without which nothing would be left of an activation."""
    activations = [value for value in parts(list(walk.found.values())) if isinstance(value, Activation)]
    own = [units[compact(value.labels)].flatten() for value in activations]
    return {int(line[0]) for line in own if len(line) and (line == line[0]).all()}


def _slice(tensor: Constant, dim: int, units: Tensor, members: list[int]) -> Slice:
    own, known = units[tensor.dims[dim]], torch.tensor(members)
    place = torch.searchsorted(known, own).clamp(max=len(known) - 1)
    return Slice(tensor, dim, torch.where(known[place] == own, place, -1).numpy())


def _reasons(walk: Walk, units: Tensor, members: list[Tensor]) -> dict[str, int]:
    removable = {unit for own in members for unit in own.tolist()}
    return dict(Counter(why for label, why in walk.labels.notes if int(units[label]) not in removable))
