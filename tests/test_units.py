import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.half_units import without_half
from prunet.base.errors import InputError
from prunet.cells.masks import density
from prunet.deployment.operations import LAYERS
from prunet.models.built_in import MODELS, prunable
from prunet.models.light_cnn import MaxFeatureMap
from prunet.models.resnets import Shortcut
from prunet.shrinking.features import components
from prunet.shrinking.shrinking import shrink
from prunet.structure import masks as unit_masks
from prunet.structure.finding import find_units
from tests import toys  # noqa: F401 (one thread)
from tests.toy_networks import Model, count

slow = pytest.mark.slow
SHAPES = [
    ("lenet-300-100", (1, 8, 8)),
    ("mlp-1000-1000-500-200", (1, 4, 4)),
    ("lenet-5", (1, 16, 16)),
    ("light-cnn-9", (1, 16, 16)),
    pytest.param("light-cnn-29", (1, 16, 16), marks=slow),
    ("resnet-20", (3, 8, 8)),
    pytest.param("resnet-56", (3, 8, 8), marks=slow),
    pytest.param("vgg-16", (3, 32, 32), marks=slow),
    pytest.param("resnet-50", (3, 64, 64), marks=slow),
]


def test_components_are_labelled_with_their_lowest_node():
    first, second = np.array([4, 6, 2, 3, 3]), np.array([6, 2, 5, 1, 3])
    assert components(8, first, second).tolist() == [0, 1, 2, 1, 2, 2, 2, 7]
    path = np.random.default_rng(0).permutation(1000)
    assert not components(1000, path[1:], path[:-1]).any()


def units_of(model, shape):
    return find_units(model, torch.zeros(2, *shape))


def coupled(model, shape):
    return unit_masks.coupled(units_of(model, shape))


def plain(found):
    groups, norms = found
    lists = {first: {name: own.tolist() for name, own in group.items()} for first, group in groups.items()}
    return lists, norms


def test_every_row_of_a_chain_is_a_unit_except_the_outputs():
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(12, 2),
        nn.Dropout(),
        nn.ReLU(),
        nn.BatchNorm1d(2),
        nn.Linear(2, 4),
    )
    assert plain(coupled(model, (1, 6, 6))) == (
        {"0.weight": {"0.weight": [0, 1, 2]}, "5.weight": {"5.weight": [0, 1]}},
        {"0.weight": "1", "5.weight": "8"},
    )


def test_a_pair_of_a_max_feature_map_is_one_unit():
    model = nn.Sequential(
        nn.Conv2d(1, 6, 1), MaxFeatureMap(), nn.Flatten(), nn.Linear(12, 4), MaxFeatureMap(), nn.Linear(2, 2)
    )
    groups, norms = plain(coupled(model, (1, 2, 2)))
    assert groups == {"0.weight": {"0.weight": [0, 1, 2, 0, 1, 2]}, "3.weight": {"3.weight": [0, 1, 0, 1]}}
    assert norms == {}


def residual(model, images):
    seen = model.stem(images)
    return model.output((seen + model.after(model.mfm(model.middle(seen)))).mean((2, 3)))


def test_features_that_are_added_are_one_unit():
    model = Model(
        residual,
        stem=nn.Conv2d(1, 3, 1),
        middle=nn.Conv2d(3, 4, 1),
        mfm=MaxFeatureMap(),
        after=nn.Sequential(nn.Conv2d(2, 6, 1), MaxFeatureMap(), nn.BatchNorm2d(3)),
        output=nn.Linear(3, 2),
    )
    groups, norms = plain(coupled(model, (1, 4, 4)))
    assert groups == {
        "stem.weight": {"stem.weight": [0, 1, 2], "after.0.weight": [0, 1, 2, 0, 1, 2]},
        "middle.weight": {"middle.weight": [0, 1, 0, 1]},
    }
    assert norms == {}  # the norm is after the pairs, not after the layer


def shortened(model, images):
    seen = model.stem(images)
    return model.output((model.shortcut(seen) + model.middle(seen)).flatten(1))


def test_padding_maps_of_a_shortcut_are_not_coupled():
    model = Model(
        shortened,
        stem=nn.Conv2d(1, 2, 1),
        shortcut=Shortcut(1),
        middle=nn.Conv2d(2, 3, 3, 2, padding=1),
        output=nn.Linear(12, 2),
    )
    groups, _ = plain(coupled(model, (1, 4, 4)))
    assert groups == {"stem.weight": {"stem.weight": [0, 1], "middle.weight": [0, 1, 2]}}


def padded(model, images):
    seen = model.stem(images)
    return model.output((functional.pad(seen, (0, 0, 0, 0, 1, 1)) + model.middle(seen))[:, :3].flatten(1))


def test_units_keep_their_numbers_when_their_maps_are_moved():
    model = Model(padded, stem=nn.Conv2d(1, 2, 1), middle=nn.Conv2d(2, 4, 1), output=nn.Linear(48, 2))
    groups, _ = plain(coupled(model, (1, 4, 4)))
    assert groups == {"stem.weight": {"stem.weight": [0, 1], "middle.weight": [2, 0, 1, 3]}}


def test_rows_that_are_outputs_cannot_be_removed():
    model = Model(lambda model, images: model.stem(images)[:, :2], stem=nn.Conv2d(1, 3, 1))
    assert plain(coupled(model, (1, 4, 4))) == ({"stem.weight": {"stem.weight": [-1, -1, 0]}}, {})
    model = Model(lambda model, images: images + model.stem(images), stem=nn.Conv2d(2, 2, 1))
    assert plain(coupled(model, (2, 4, 4))) == ({}, {})


def test_resnet_20_has_one_residual_stream_and_a_group_inside_every_block():
    groups, norms = plain(coupled(MODELS["resnet-20"]((3, 8, 8), 10), (3, 8, 8)))
    stream = groups.pop("conv1.weight")
    assert {name: len(rows) for name, rows in stream.items()} == {"conv1.weight": 16} | {
        f"block{stage}_{number}.conv2.weight": 8 * 2**stage for stage in (1, 2, 3) for number in (1, 2, 3)
    }
    assert all(rows == list(range(len(rows))) for rows in stream.values())
    insides = {
        f"block{stage}_{number}.conv1.weight": 8 * 2**stage for stage in (1, 2, 3) for number in (1, 2, 3)
    }
    assert groups == {name: {name: list(range(maps))} for name, maps in insides.items()}
    assert norms["block2_1.conv1.weight"] == "block2_1.norm1"
    assert len(norms) == 19


def test_bias_and_norm_are_removed_with_their_row():
    model = nn.Sequential(
        nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1, bias=False), nn.Flatten(), nn.Linear(2, 2)
    )
    units = units_of(model, (1, 1, 1))
    masks = {
        "0.weight": np.array([[True, False, True], [True, True, False]]).reshape(2, 3, 1, 1, 1),
        "2.weight": np.ones((2, 2, 3, 1, 1), bool),
    }
    found = unit_masks.dependents(units, masks)
    assert {name: mask.tolist() for name, mask in found.items()} == {
        name: [[True, False, True], [True, True, False]] for name in ("0.bias", "1.weight", "1.bias")
    }
    masks["4.weight"] = np.zeros((2, 2, 2), bool)
    masks["4.weight"][:, :, 1] = True  # every row keeps a weight
    assert "4.bias" not in unit_masks.dependents(units, masks)


def half_removed(name, shape):
    """Return a random model without half of the units of every group, its masks, and the units kept."""
    model = MODELS[name](shape, 4).eval()
    generator = torch.Generator().manual_seed(0)
    for tensor, values in model.state_dict().items():
        if tensor.endswith("running_var") or (values.ndim == 1 and tensor.endswith("weight")):
            values.uniform_(0.5, 1.5, generator=generator)
        elif values.is_floating_point():
            fan_in = max(1, values[0].numel()) if values.ndim > 1 else 10
            values.normal_(std=2 * fan_in**-0.5, generator=generator)
    units = units_of(model, shape)
    groups, _ = unit_masks.coupled(units)
    masks = {layer: np.ones((1, *model.get_parameter(layer).shape), bool) for layer in prunable(model)}
    rng = np.random.default_rng(0)
    kept = {}
    for first, group in groups.items():
        count = max(own.max() for own in group.values()) + 1
        kept[first] = rng.permutation(count) < count // 2
        for layer, own in group.items():
            masks[layer][0, (own >= 0) & ~kept[first][own]] = False
    for tensor, mask in (masks | unit_masks.dependents(units, masks)).items():
        model.state_dict()[tensor].mul_(torch.from_numpy(mask[0]))
    return model, {layer: mask[0] for layer, mask in masks.items()}, kept


def prunable_weights(model):
    return sum(values.numel() for values in model.parameters() if values.ndim > 1)


def test_only_the_columns_of_removed_units_are_removed():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten(), nn.Linear(8, 3), nn.ReLU(), nn.Linear(3, 2))
    masks = {name: np.ones((2, *model.get_parameter(name).shape), bool) for name in prunable(model)}
    masks["0.weight"][0, 1] = masks["2.weight"][1, [0, 2]] = False
    left = unit_masks.unread(units_of(model, (1, 2, 2)), masks)
    assert left["2.weight"][0].tolist() == [[True] * 4 + [False] * 4] * 3  # a map of 2x2 positions
    assert left["4.weight"][0].all()
    assert left["2.weight"][1].tolist() == [[False] * 8, [True] * 8, [False] * 8]
    assert left["4.weight"][1].tolist() == [[False, True, False]] * 2


@torch.no_grad()
@pytest.mark.parametrize(("name", "shape"), SHAPES)
def test_a_network_without_half_of_its_units_has_the_outputs_and_the_density_of_the_masked_one(name, shape):
    model, masks, _ = half_removed(name, shape)
    smaller = shrink(model, masks)
    images = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    expected = model(images)
    assert expected.std(0).max() > 1e-3 * expected.abs().max()
    assert (smaller(images) - expected).abs().max() < 1e-4 * expected.abs().max()
    left = unit_masks.unread(units_of(model, shape), {layer: mask[None] for layer, mask in masks.items()})
    assert not any((mask[0] & ~masks[layer]).any() for layer, mask in left.items())
    assert density(left) == pytest.approx(prunable_weights(smaller) / prunable_weights(model))
    assert 0.2 * count(model) < count(smaller) < 0.55 * count(model)
    assert all(
        module.weight.flatten(1).any(1).all() for module in smaller.modules() if isinstance(module, LAYERS)
    )


def pre_activation(affine):
    """Return a residual network whose norms lie behind its sums (He et al. 2016, "Identity mappings")."""

    def follow(net, images):
        features = net.stem(images)
        inside = net.conv1(functional.relu(net.norm1(features)))
        features = features + net.conv2(functional.relu(net.norm2(inside)))
        return net.output(functional.relu(net.norm3(features)).mean((2, 3)))

    names = ("norm1", "norm2", "norm3")
    layers = {"stem": nn.Conv2d(2, 8, 3), "conv1": nn.Conv2d(8, 8, 1), "conv2": nn.Conv2d(8, 8, 1)}
    layers |= {name: nn.BatchNorm2d(8, affine=affine) for name in names} | {"output": nn.Linear(8, 3)}
    model, generator = Model(follow, **layers).double().eval(), torch.Generator().manual_seed(0)
    for name, values in model.state_dict().items():
        if name.endswith("running_var"):
            values.uniform_(0.5, 1.5, generator=generator)
        elif values.is_floating_point():
            values.normal_(std=0.5, generator=generator)
    return model


def masked_by(model, masks):
    masked = copy.deepcopy(model)
    for name, mask in masks.items():
        masked.state_dict()[name].mul_(torch.from_numpy(mask[0]))
    return masked


@torch.no_grad()
@pytest.mark.parametrize("affine", [True, False])
def test_a_removed_unit_is_not_read_through_a_norm_behind_a_sum(affine):
    """With scale and shift such a norm passes zeros on, whoever reads them; without, a constant."""
    model = pre_activation(affine)
    given = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    units = find_units(model, given)
    rows = {layer: np.ones((1, *model.get_parameter(layer).shape), bool) for layer in prunable(model)}
    for group in units.groups:
        for part in group.rows:
            rows[part.tensor.name][0, part.units % 2 == 1] = False
    unread = unit_masks.unread(units, rows)
    assert not unread["conv1.weight"][0, :, 1::2].any()
    masked = masked_by(model, unread | unit_masks.dependents(units, unread))
    smaller = shrink(masked, {layer: mask[0] for layer, mask in unread.items()})
    assert smaller.conv1.weight.shape == (4, 4, 1, 1)
    torch.testing.assert_close(smaller(given), masked(given), rtol=0, atol=1e-12)
    read = masked_by(model, rows | unit_masks.dependents(units, rows))
    assert torch.allclose(read(given), masked(given), rtol=0, atol=1e-12) == affine


def test_the_smaller_chain_has_the_parameters_that_its_units_imply():
    model, masks, _ = half_removed("lenet-300-100", (1, 8, 8))
    assert count(shrink(model, masks)) == 65 * 150 + 151 * 50 + 51 * 4
    assert count(without_half(MODELS["lenet-300-100"]((1, 28, 28), 10), (1, 28, 28))) == (
        785 * 150 + 151 * 50 + 51 * 10
    )
    model, masks, _ = half_removed("light-cnn-9", (1, 16, 16))
    convolutions = [(1, 24, 5), (24, 24, 1), (24, 48, 3), (48, 48, 1), (48, 96, 3), (96, 96, 1), (96, 64, 3)]
    convolutions += [(64, 64, 1), (64, 64, 3)]
    expected = sum(2 * maps * (channels * side**2 + 1) for channels, maps, side in convolutions)
    assert count(shrink(model, masks)) == expected + 2 * 128 * (64 + 1) + 4 * (128 + 1)


def test_the_smaller_residual_network_has_the_parameters_that_its_units_imply():
    model, masks, kept = half_removed("resnet-20", (3, 8, 8))
    stream = [int(kept["conv1.weight"][:maps].sum()) for maps in (16, 32, 64)]
    expected = (9 * 3 + 2) * stream[0] + 4 * (stream[2] + 1)
    before = stream[0]
    for maps, inside in zip(stream, (8, 16, 32), strict=True):
        for _ in range(3):
            expected += 9 * before * inside + 2 * inside + 9 * inside * maps + 2 * maps
            before = maps
    assert count(shrink(model, masks)) == expected


def test_the_output_of_a_removed_unit_is_exactly_zero_in_training_mode():
    model, _, kept = half_removed("resnet-20", (3, 8, 8))
    stem = nn.Sequential(model.conv1, model.norm1).train()
    features = stem(torch.randn(4, 3, 8, 8))
    gone = torch.from_numpy(~kept["conv1.weight"][:16])
    assert features[:, gone].count_nonzero() == 0
    assert features[:, ~gone].count_nonzero() == features[:, ~gone].numel()


def test_the_model_is_not_changed():
    model = MODELS["resnet-20"]((3, 8, 8), 4).train()
    before = {name: values.clone() for name, values in model.state_dict().items()}
    coupled(model, (3, 8, 8))
    assert model.training
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())


@pytest.mark.parametrize(
    ("follow", "message"),
    [
        (lambda model, images: model.output(images.sigmoid()), r"sigmoid \(at sigmoid\)"),
        (lambda model, images: model.output(images + 1), "add of an input that is not features"),
        (lambda model, images: model.output(images) + images[:, :1], "branches with different features"),
        (
            lambda model, images: model.output(functional.pad(images, (1, 1))),
            "moves something other than maps",
        ),
        (lambda model, images: model.output(images[:, :, 1:]), "moves something other than maps"),
        (lambda model, images: model.output(images).flatten(1)[:, :1], "moves something other than maps"),
        (lambda model, images: model.output(images).mean(1), "an operation that mixes features"),
        (lambda model, images: model.norm(model.output(images).flatten(1)), "a norm of something other"),
    ],
)
def test_unsupported_operations_are_refused(follow, message):
    model = Model(follow, output=nn.Conv2d(2, 3, 1), norm=nn.BatchNorm1d(12))
    with pytest.raises(InputError, match=f"^cannot remove units of [^;]*{message}[^;]*; keep all units, or"):
        shrink(model, {})
