"""Shrinking of networks with branches, norms and shortcuts."""

import numpy as np
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from prunet.models.resnets import Shortcut
from prunet.shrinking.shrinking import shrink
from tests.test_shrinking import LAWS
from tests.toy_networks import Model, Net, chain, count, fill, prune, rows, shrunk, single_weights


def test_a_norm_is_cut_with_its_layer_and_its_constants_are_folded():
    first, norm, output = nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4, eps=0), nn.Linear(4, 2)
    values = {"weight": [1, 2, 3, 0], "bias": [0, 1, 2, 5], "running_mean": [1, 2, 3, 4]}
    values |= {"running_var": [1, 4, 9, 16], "num_batches_tracked": 0}
    norm.load_state_dict({name: torch.tensor(value) for name, value in values.items()})
    model = chain(first, norm, nn.Flatten(), output)
    masks = {
        # Map 1 is always 4, normalised (4 - 2) / 2 * 2 + 1 = 3. Map 3 is always 5. Nothing reads map 2.
        "0.weight": fill(first, [1.0, 0, 1, 1], [0.0, 4, 0, 0]),
        "3.weight": fill(output, [[7.0, 2, 0, 0], [0, 1, 0, 10]], [0.0, 1]),
    }
    smaller = shrunk(model, masks, (1, 1, 1))
    left = {"weight": [1], "bias": [0], "running_mean": [1], "running_var": [1], "num_batches_tracked": 0}
    assert {name: values.tolist() for name, values in smaller[1].state_dict().items()} == left
    assert smaller[1].num_features == 1
    assert (smaller[3].weight.tolist(), smaller[3].bias.tolist()) == ([[7], [0]], [6, 54])


def added(model, images):
    seen = model.stem(images)
    return model.output((seen + model.branch(seen)).flatten(1))


def adding(stem, stem_bias, branch, branch_bias, output):
    layers = {"stem": nn.Conv2d(1, 3, 1), "branch": nn.Conv2d(3, 3, 1), "output": nn.Linear(3, 2)}
    model = Model(added, **layers).double().eval()
    masks = {
        "stem.weight": fill(model.stem, stem, stem_bias),
        "branch.weight": fill(model.branch, branch, branch_bias),
        "output.weight": fill(model.output, output, [0.0, 0.0]),
    }
    return model, masks


def test_a_sum_of_constants_is_constant_and_removed():
    model, masks = adding(
        [1.0, 0, 2], [0.0, 2, 0], [[1.0, 0, 1], [0, 1, 0], [0, 0, 1]], [0.0, 3, 0], [[1.0, 1, 1], [0, 1, 0]]
    )
    smaller = shrunk(model, masks, (1, 1, 1))
    # Map 1 is 2 in the stem and 1 * 2 + 3 in the branch.
    assert smaller.stem.weight.flatten().tolist() == [1, 2]
    assert smaller.branch.weight.flatten(1).tolist() == [[1, 1], [0, 1]]
    assert (smaller.output.weight.tolist(), smaller.output.bias.tolist()) == ([[1, 1], [0, 0]], [7, 7])


def test_a_constant_that_is_added_to_a_varying_feature_has_a_row_of_zeros():
    model, masks = adding(
        [1.0, 2, 3], [0.0, 0, 0], [[0.0, 0, 0], [0, 1, 0], [0, 0, 1]], [4.0, 0, 0], [[1.0, 1, 0], [0, 1, 0]]
    )
    smaller = shrunk(model, masks, (1, 1, 1))
    assert smaller.stem.weight.flatten().tolist() == [1, 2]  # nothing reads map 2 of the sum
    assert smaller.branch.select.indices.tolist() == [1]
    assert smaller.branch.layer.weight.flatten(1).tolist() == [[0], [1]]
    assert smaller.branch.layer.bias.tolist() == [4, 0]


def test_a_branch_may_need_a_feature_that_the_sum_does_not():
    model, masks = adding(
        [1.0, 2, 3], [0.0, 0, 0], [[1.0, 0, 5], [0, 1, 0], [7, 7, 7]], [0.0, 0, 6], [[1.0, 0, 0], [1, 0, 0]]
    )
    smaller = shrunk(model, masks, (1, 1, 1))
    assert smaller.stem.weight.flatten().tolist() == [1, 3]
    assert smaller.branch.weight.flatten(1).tolist() == [[1, 5], [0, 0]]  # map 2 is for the sum alone
    assert smaller.branch.bias.tolist() == [0, 0]
    assert smaller.output.layer.weight.tolist() == [[1], [1]]


def shortened(model, images):
    seen = model.stem(images)
    return model.output((model.shortcut(seen) + model.branch(seen)).mean((2, 3)))


def shortening(branch, read):
    layers = {"stem": nn.Conv2d(1, 3, 1), "branch": nn.Conv2d(3, 5, 1, 2), "output": nn.Linear(5, 2)}
    model = Model(shortened, shortcut=Shortcut(2), **layers).double().eval()
    masks = {
        "stem.weight": fill(model.stem, [1.0, 0, 1], [0.0, 9, 0]),
        "branch.weight": np.array(branch, bool)[:, None, None, None] & np.ones((5, 3, 1, 1), bool),
        "output.weight": np.array([read, read], bool),
    }
    model.branch.bias.data.zero_()
    return model, masks


def test_a_shortcut_passes_remaining_maps_and_inserts_constants():
    model, masks = shortening([1, 1, 0, 1, 0], [1, 1, 1, 1, 1])
    smaller = shrunk(model, masks, (1, 4, 4))
    interleave, _, select = smaller.shortcut
    assert (interleave.order.tolist(), interleave.constants.flatten().tolist()) == ([0, 2, 1], [9])
    assert select.indices.tolist() == [0, 1, 2, 3]  # map 4 is zero in both branches
    assert smaller.branch.weight.shape == (4, 2, 1, 1)


def test_a_shortcut_that_keeps_all_maps_is_not_changed():
    model, masks = shortening([1, 1, 1, 1, 1], [1, 1, 1, 1, 1])
    masks["stem.weight"][:] = True
    smaller = shrink(model, masks)
    assert isinstance(smaller.shortcut, Shortcut)
    assert count(smaller) == count(model)


def test_a_shortcut_of_which_nothing_is_read_keeps_one_map():
    model, masks = shortening([0, 0, 0, 1, 0], [0, 0, 0, 1, 0])
    masks["branch.weight"][3, 2] = False
    smaller = shrunk(model, masks, (1, 4, 4))
    assert [name for name, _ in smaller.shortcut.named_children()] == ["interleave", "move", "select"]
    assert count(smaller) == 2 + 2 + (1 * 2 + 2)


def test_maps_that_code_moves_are_all_kept():
    def padded(model, images):
        seen = model.stem(images)
        return model.output((functional.pad(seen, (0, 0, 0, 0, 1, 1)) + model.branch(seen))[:, 1:].flatten(1))

    model = Model(padded, stem=nn.Conv2d(1, 3, 1), branch=nn.Conv2d(3, 5, 1), output=nn.Linear(16, 2))
    model, masks = prune(model, single_weights, 0.4)
    masks["stem.weight"][1] = masks["branch.weight"][:3] = False
    smaller = shrunk(model, masks, (1, 2, 2), 1e-14)
    assert (len(smaller.stem.weight), len(smaller.branch.layer.weight)) == (3, 5)


@given(density=st.floats(0, 1), seed=st.integers(0, 2**32), norms=st.booleans(), whole=st.booleans())
@example(density=0.5, seed=89, norms=False, whole=True)  # a constant that a sum keeps, and then moves
@LAWS
def test_networks_with_branches_keep_their_outputs(density, seed, norms, whole):
    model, masks = prune(Net(norms), rows if whole else single_weights, density, seed=seed)
    smaller = shrunk(model, masks, (2, 7, 7), 1e-12)
    assert count(smaller) <= count(model) + 6  # biases for constants behind norms
    nonzero = sum(int(parameter.count_nonzero()) for parameter in smaller.parameters() if parameter.ndim > 1)
    assert nonzero <= sum(mask.sum() for mask in masks.values())
