import operator

import pytest
import torch
from torch import fx, nn
from torch.nn import functional

from prunet.base.errors import InputError
from prunet.models.built_in import DISTRIBUTIONS, MODELS, initial_weights, prunable
from prunet.models.light_cnn import MaxFeatureMap, Residual
from prunet.models.resnets import Block, Shortcut

# The smallest images that each takes.
SMALLEST = {
    "lenet-300-100": (1, 1, 1),
    "mlp-1000-1000-500-200": (1, 1, 1),
    "lenet-5": (1, 16, 16),
    "light-cnn-9": (1, 16, 16),
    "light-cnn-29": (1, 16, 16),
    "resnet-20": (3, 8, 8),
    "resnet-56": (3, 8, 8),
    "vgg-16": (3, 32, 32),
    "resnet-50": (3, 64, 64),
}
# torchvision takes seconds to import.
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name == "resnet-50" else name for name in MODELS]


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


class Leaves(fx.Tracer):
    def is_leaf_module(self, module, name):
        return isinstance(module, MaxFeatureMap | Shortcut) or super().is_leaf_module(module, name)


def kind(node, model):
    return type(model.get_submodule(node.target)) if node.op == "call_module" else node.target


@pytest.mark.parametrize(
    ("name", "shape", "classes", "published"),
    [
        ("lenet-300-100", (1, 28, 28), 10, 266_610),
        ("mlp-1000-1000-500-200", (1, 28, 28), 10, 2_388_710),
        ("lenet-5", (1, 28, 28), 10, 431_080),
        ("light-cnn-9", (1, 128, 128), 7, 5_482_663),
        ("light-cnn-29", (1, 128, 128), 7, 12_573_280 + 256 * 7 + 7),
        ("resnet-20", (3, 32, 32), 10, 269_722),
        ("resnet-56", (3, 32, 32), 10, 853_018),
        ("vgg-16", (3, 32, 32), 10, 14_728_266),
        pytest.param("resnet-50", (3, 224, 224), 1000, 25_557_032, marks=pytest.mark.slow),
    ],
)
def test_parameter_counts(name, shape, classes, published):
    assert count(MODELS[name](shape, classes)) == published


def test_light_cnn_29_has_the_published_weights_of_each_row():
    model = MODELS["light-cnn-29"]((1, 128, 128), 7)
    rows = {"features.conv1": 2.4, "features.group2": 82 + 4.6 + 165, "features.group3": 662 + 18 + 331}
    rows |= {"features.group4": 3981 + 73 + 442, "features.group5": 2356 + 32 + 294, "fc1": 4194}
    assert sum(rows.values()) == pytest.approx(12_637)
    for prefix, thousands in rows.items():
        ours = sum(model.get_parameter(name).numel() for name in prunable(model) if name.startswith(prefix))
        if prefix == "features.group2":
            ours += 9 * 48 * 192  # the table counts 96 maps before conv2, of which 48 reach it
        assert ours / 1000 == pytest.approx(thousands, rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_models_map_the_smallest_image_to_logits_and_can_be_trained_on_it_alone(name):
    model = MODELS[name](SMALLEST[name], 7)
    logits = model(torch.rand(1, *SMALLEST[name]))
    assert logits.shape == (1, 7)
    assert logits.isfinite().all()
    assert model.eval()(torch.rand(3, *SMALLEST[name])).shape == (3, 7)


@pytest.mark.parametrize("name", ["lenet-5", "resnet-20", "vgg-16"])
def test_images_need_not_be_square_nor_of_one_size(name):
    channels, side, _ = SMALLEST[name]
    shape = (channels + 1, side + 5, 2 * side)
    assert MODELS[name](shape, 3).eval()(torch.rand(2, *shape)).shape == (2, 3)


@pytest.mark.parametrize("name", ["lenet-5", "resnet-20", "resnet-56", "vgg-16", "resnet-50"])
def test_smaller_images_are_refused(name):
    channels, side, _ = SMALLEST[name]
    with pytest.raises(InputError, match=f"{name} takes .*images of at least {side} pixels a side"):
        MODELS[name]((channels, side, side - 1), 7)


def test_resnet_50_refuses_gray_images():
    with pytest.raises(InputError, match="resnet-50 takes colour images"):
        MODELS["resnet-50"]((1, 224, 224), 7)


@pytest.mark.parametrize("name", ["light-cnn-9", "light-cnn-29"])
@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 64, 48), (1, 60, 60)])
def test_light_cnns_refuse_other_images(name, shape):
    with pytest.raises(InputError, match=f"{name} takes gray images whose side is a multiple of 16"):
        MODELS[name](shape, 7)


@pytest.mark.parametrize("name", NAMES)
def test_models_are_graphs_of_few_kinds_of_operations(name):
    model = MODELS[name](SMALLEST[name], 7)
    graph = Leaves().trace(model)
    kinds = {kind(node, model) for node in graph.nodes if node.op.startswith("call")}
    layers = {nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.ReLU, MaxFeatureMap, nn.MaxPool2d}
    shapes = {nn.AdaptiveAvgPool2d, nn.Flatten, "flatten", torch.flatten}
    assert kinds <= layers | shapes | {operator.add, Shortcut, functional.dropout}
    for node in graph.nodes:  # every norm is that of one convolution, directly behind it
        if kind(node, model) is nn.BatchNorm2d:
            (before,) = node.all_input_nodes
            assert kind(before, model) is nn.Conv2d
            assert list(before.users) == [node]


def test_the_max_feature_map_pairs_feature_i_with_i_plus_n():
    features = torch.tensor([[1.0, 5.0, 3.0, 2.0]])
    assert MaxFeatureMap()(features).tolist() == [[3.0, 5.0]]


def test_a_shortcut_takes_every_second_pixel_and_appends_zeros():
    features = torch.arange(9.0).view(1, 1, 3, 3)
    expected = [[[[0.0, 2.0], [6.0, 8.0]], [[0.0, 0.0], [0.0, 0.0]]]]
    assert Shortcut(1)(features).tolist() == expected


@pytest.mark.parametrize(("channels", "maps"), [(2, 2), (2, 4)])
def test_a_block_that_changes_nothing_passes_on_what_it_sees(channels, maps):
    block = Block(channels, maps)
    nn.init.zeros_(block.norm2.weight)
    images = torch.randn(2, channels, 6, 5)
    seen = images if channels == maps else Shortcut(maps - channels)(images)
    assert torch.equal(block(images), seen.relu())
    assert (seen < 0).any()


def test_a_residual_pair_is_added_to_what_it_sees():
    pair = Residual(2)
    for parameter in pair.second.parameters():
        nn.init.constant_(parameter, 0)
    nn.init.constant_(pair.second.conv.bias, 3)
    images = torch.randn(1, 2, 4, 4)
    assert torch.equal(pair(images), images + 3)


def test_light_cnn_drops_half_of_the_embedding_in_training_only():
    model = MODELS["light-cnn-9"]((1, 16, 16), 2)
    images = torch.rand(1, 1, 16, 16)
    torch.manual_seed(0)
    model.train()
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_weight_matrices_are_pruned_and_biases_and_norms_are_not():
    model = MODELS["lenet-300-100"]((1, 2, 2), 10)
    assert prunable(model) == ["fc1.weight", "fc2.weight", "output.weight"]
    assert len(prunable(MODELS["light-cnn-9"]((1, 16, 16), 7))) == 11
    assert len(prunable(MODELS["light-cnn-29"]((1, 16, 16), 7))) == 31
    residual = prunable(MODELS["resnet-20"]((3, 32, 32), 10))
    assert len(residual) == 20
    assert all("conv" in name for name in residual[:-1])
    assert residual[-1] == "output.weight"


@pytest.mark.parametrize(("distribution", "variance"), [("glorot", 2 / (784 + 300)), ("he", 2 / 784)])
def test_initial_weights_are_gaussian_and_follow_their_seed(distribution, variance):
    model = MODELS["lenet-300-100"]((1, 28, 28), 10)
    torch.manual_seed(99)  # the global generator has no say
    first = initial_weights(model, 1, distribution)
    torch.manual_seed(7)
    again, other = (initial_weights(model, seed, distribution) for seed in (1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    weight = first["fc1.weight"]
    assert not torch.equal(weight, other["fc1.weight"])
    assert weight.std().item() == pytest.approx(variance**0.5, rel=0.01)
    assert weight.abs().max() > 3.5 * variance**0.5  # a uniform distribution ends at 1.73
    assert not first["fc1.bias"].any()


def test_the_fan_in_of_filters_counts_their_positions():
    model = nn.Sequential(nn.Conv2d(64, 64, 3))
    weight = initial_weights(model, 0, "he")["0.weight"]
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_initial_weights_are_the_same_after_a_training(distribution):
    model = MODELS["resnet-20"]((3, 8, 8), 3)
    before = initial_weights(model, 1, distribution)
    assert (before["norm1.weight"] == 1).all()
    assert (before["norm1.running_var"] == 1).all()
    assert not any(before[f"norm1.{name}"].any() for name in ("bias", "running_mean", "num_batches_tracked"))
    model(torch.rand(2, 3, 8, 8))  # moves the running statistics
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.5)
    assert model.norm1.num_batches_tracked == 1
    after = initial_weights(model, 1, distribution)
    assert list(after) == list(model.state_dict())
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert after["norm1.num_batches_tracked"].dtype == torch.int64
