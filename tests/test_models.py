import operator
from functools import partial

import pytest
import torch
from torch import fx, nn
from torch.nn import functional

from prunet.base.errors import InputError
from prunet.models.built_in import DISTRIBUTIONS, MODELS, initial_weights, output_layer, prunable
from prunet.models.light_cnn import MaxFeatureMap, ResidualBlock
from prunet.models.resnets import BasicBlock, Shortcut

# The smallest images that each model takes; the images, classes and parameters that are published.
FACTS = {
    "lenet-300-100": ((1, 1, 1), (1, 28, 28), 10, 266_610),
    "mlp-1000-1000-500-200": ((1, 1, 1), (1, 28, 28), 10, 2_388_710),
    "lenet-5": ((1, 16, 16), (1, 28, 28), 10, 431_080),
    "light-cnn-9": ((1, 16, 16), (1, 128, 128), 7, 5_482_663),
    "light-cnn-29": ((1, 16, 16), (1, 128, 128), 7, 12_573_280 + 256 * 7 + 7),
    "resnet-20": ((3, 8, 8), (3, 32, 32), 10, 269_722),
    "resnet-56": ((3, 8, 8), (3, 32, 32), 10, 853_018),
    "vgg-16": ((3, 32, 32), (3, 32, 32), 10, 14_728_266),
    "resnet-50": ((3, 64, 64), (3, 224, 224), 1000, 25_557_032),
}
SMALLEST = {name: smallest for name, (smallest, *_) in FACTS.items()}
# torchvision takes seconds to import.
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name == "resnet-50" else name for name in MODELS]


def build(name, shape, classes):
    """Build a model without memory or values."""
    with torch.device("meta"):
        return MODELS[name](shape, classes)


@pytest.fixture(scope="module")
def small():
    """Build a model for its smallest images and seven classes, once."""
    models = {}

    def find(name):
        if name not in models:
            models[name] = MODELS[name](SMALLEST[name], 7)
        return models[name].train()

    return find


class Leaves(fx.Tracer):
    def is_leaf_module(self, module, name):
        return isinstance(module, MaxFeatureMap | Shortcut) or super().is_leaf_module(module, name)


def kind(node, model):
    return type(model.get_submodule(node.target)) if node.op == "call_module" else node.target


@pytest.mark.parametrize("name", NAMES)
def test_parameter_counts(name):
    _, shape, classes, published = FACTS[name]
    model = build(name, shape, classes)
    assert sum(parameter.numel() for parameter in model.parameters()) == published


def test_light_cnn_29_has_the_published_weights_of_each_row():
    model = build("light-cnn-29", (1, 128, 128), 7)
    rows = {"features.conv1": 2.4, "features.group2": 82 + 4.6 + 165, "features.group3": 662 + 18 + 331}
    rows |= {"features.group4": 3981 + 73 + 442, "features.group5": 2356 + 32 + 294, "fc1": 4194}
    assert sum(rows.values()) == pytest.approx(12_637)
    for prefix, thousands in rows.items():
        ours = sum(model.get_parameter(name).numel() for name in prunable(model) if name.startswith(prefix))
        if prefix == "features.group2":
            ours += 9 * 48 * 192  # the table counts 96 maps before conv2, of which 48 reach it
        assert ours / 1000 == pytest.approx(thousands, rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_models_take_their_smallest_images_and_batches_of_one(name, small):
    model = small(name)
    logits = model(torch.rand(1, *SMALLEST[name]))
    assert logits.shape == (1, 7)
    assert logits.isfinite().all()
    assert model.eval()(torch.rand(3, *SMALLEST[name])).shape == (3, 7)


@pytest.mark.parametrize("name", ["lenet-5", "resnet-20", "vgg-16"])
def test_images_may_be_rectangular_and_have_any_number_of_channels(name):
    channels, side, _ = SMALLEST[name]
    shape = (channels + 1, side + 5, 2 * side)
    assert build(name, shape, 3).eval()(torch.rand(2, *shape, device="meta")).shape == (2, 3)


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
def test_models_can_be_traced_and_use_few_kinds_of_operations(name, small):
    model = small(name)
    graph = Leaves().trace(model)
    kinds = {kind(node, model) for node in graph.nodes if node.op.startswith("call")}
    layers = {nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.ReLU, MaxFeatureMap, nn.MaxPool2d}
    shapes = {nn.AdaptiveAvgPool2d, nn.Flatten, "flatten", torch.flatten}
    assert kinds <= layers | shapes | {operator.add, Shortcut, functional.dropout}
    for node in graph.nodes:  # every norm directly follows one convolution
        if kind(node, model) is nn.BatchNorm2d:
            (before,) = node.all_input_nodes
            assert kind(before, model) is nn.Conv2d
            assert list(before.users) == [node]


def test_max_feature_map_pairs_feature_i_with_feature_i_plus_n():
    assert MaxFeatureMap()(torch.tensor([[1.0, 5.0, 3.0, 2.0]])).tolist() == [[3.0, 5.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(4, 6), (3, 10, 5, 7)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_max_feature_map_has_the_bits_and_gradients_of_where(dtype, shape, channels_last):
    """Also where the two features are equal, in a third of the pairs: the gradient goes to the first."""
    torch.manual_seed(0)
    features = torch.randint(-1, 2, shape).to(dtype)
    if channels_last and len(shape) == 4:
        features = features.to(memory_format=torch.channels_last)
    first, second = features.requires_grad_().chunk(2, dim=1)
    expected = torch.where(first >= second, first, second)
    assert (first == second).any()
    found = MaxFeatureMap()(features)
    assert torch.equal(found, expected)
    assert found.dtype == dtype
    incoming = torch.randn_like(found)
    ours, theirs = (torch.autograd.grad(output, features, incoming)[0] for output in (found, expected))
    assert torch.equal(ours, theirs)
    assert ours.dtype == dtype
    assert ours.stride() == features.stride()
    with torch.no_grad():
        assert torch.equal(MaxFeatureMap()(features), expected)


def test_shortcuts_keep_every_second_pixel_and_append_maps_of_zeros():
    features = torch.arange(9.0).view(1, 1, 3, 3)
    expected = [[[[0.0, 2.0], [6.0, 8.0]], [[0.0, 0.0], [0.0, 0.0]]]]
    assert Shortcut(1)(features).tolist() == expected


@pytest.mark.parametrize(("channels", "maps"), [(2, 2), (2, 4)])
def test_basic_blocks_with_a_zero_residual_return_their_shortcut(channels, maps):
    block = BasicBlock(channels, maps)
    nn.init.zeros_(block.norm2.weight)
    images = torch.randn(2, channels, 6, 5)
    shortcut = images if channels == maps else Shortcut(maps - channels)(images)
    assert torch.equal(block(images), shortcut.relu())
    assert (shortcut < 0).any()


def test_residual_blocks_add_their_convolutions_to_their_input():
    block = ResidualBlock(2)
    for parameter in block.second.parameters():
        nn.init.constant_(parameter, 0)
    nn.init.constant_(block.second.conv.bias, 3)
    images = torch.randn(1, 2, 4, 4)
    assert torch.equal(block(images), images + 3)


def test_weight_matrices_and_filters_are_prunable_but_not_biases_and_norms(small):
    assert prunable(small("lenet-300-100")) == ["fc1.weight", "fc2.weight", "output.weight"]
    assert len(prunable(small("light-cnn-9"))) == 11
    assert len(prunable(small("light-cnn-29"))) == 31
    residual = prunable(small("resnet-20"))
    assert len(residual) == 20
    assert all("conv" in name for name in residual[:-1])
    assert residual[-1] == "output.weight"


@pytest.mark.parametrize(("distribution", "variance"), [("glorot", 2 / (784 + 300)), ("he", 2 / 784)])
def test_initial_weights_are_gaussian_and_depend_on_their_seed_only(distribution, variance):
    model = partial(MODELS["lenet-300-100"], (1, 28, 28), 10)
    torch.manual_seed(99)  # the global generator has no effect
    first = initial_weights(model, 1, distribution)
    torch.manual_seed(7)
    again, other = (initial_weights(model, seed, distribution) for seed in (1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    weight = first["fc1.weight"]
    assert not torch.equal(weight, other["fc1.weight"])
    assert weight.std().item() == pytest.approx(variance**0.5, rel=0.01)
    assert weight.abs().max() > 3.5 * variance**0.5  # a uniform distribution ends at 1.73
    assert not first["fc1.bias"].any()


def test_a_truncated_gaussian_ends_at_two_standard_deviations():
    model = partial(MODELS["lenet-300-100"], (1, 28, 28), 10)
    weight = initial_weights(model, 1, "glorot-truncated")["fc1.weight"]
    nominal = (2 / (784 + 300)) ** 0.5
    assert weight.std().item() == pytest.approx(nominal, rel=0.01)
    assert weight.abs().max().item() == pytest.approx(2 * 1.3**0.5 * nominal, rel=1e-3)
    filters = initial_weights(lambda: nn.Sequential(nn.Conv2d(64, 32, 3)), 0, "glorot-truncated")["0.weight"]
    assert filters.std().item() == pytest.approx((2 / (96 * 9)) ** 0.5, rel=0.02)


def test_the_fan_in_of_filters_counts_their_positions():
    weight = initial_weights(lambda: nn.Sequential(nn.Conv2d(64, 64, 3)), 0, "he")["0.weight"]
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_initial_weights_are_the_whole_state_with_fresh_norms(distribution):
    model = partial(MODELS["resnet-20"], (3, 8, 8), 3)
    drawn = initial_weights(model, 1, distribution)
    assert list(drawn) == list(model().state_dict())
    assert (drawn["norm1.weight"] == 1).all()
    assert (drawn["norm1.running_var"] == 1).all()
    assert not any(drawn[f"norm1.{name}"].any() for name in ("bias", "running_mean", "num_batches_tracked"))
    assert drawn["norm1.num_batches_tracked"].dtype == torch.int64


def test_of_init_own_are_the_values_that_the_model_draws():
    torch.manual_seed(5)
    expected = Odd().state_dict()
    drawn = initial_weights(Odd, 5, "own")
    assert list(drawn) == list(expected)
    assert all(torch.equal(drawn[name], expected[name]) for name in expected)


class Odd(nn.Module):
    """Has every kind of parameter; the output layer is registered first, and a table is not a weight."""

    def __init__(self):
        super().__init__()
        self.output = nn.Linear(8, 3)
        self.pixels = nn.Embedding(4, 8)
        self.places = nn.Parameter(torch.full((16, 8), 0.5))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.slope = nn.PReLU()
        self.conv = nn.Conv1d(8, 8, 3)

    def forward(self, images):
        features = self.pixels(images.flatten(1).long()) + self.places
        features = self.norm(features + self.attention(features, features, features)[0])
        return self.output(self.slope(self.conv(features.transpose(1, 2))).mean(2))


@pytest.mark.field
def test_only_weights_of_linear_layers_convolutions_and_attention_are_prunable():
    layers = ["output.weight", "attention.in_proj_weight", "attention.out_proj.weight", "conv.weight"]
    assert prunable(Odd()) == layers
    assert prunable(nn.Linear(2, 2)) == ["weight"]
    apart = nn.MultiheadAttention(8, 2, kdim=4, vdim=4)
    assert prunable(apart) == ["q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"]


@pytest.mark.field
def test_the_output_layer_is_the_one_that_runs_last():
    assert output_layer(Odd(), (1, 4, 4)) == "output.weight"
    assert output_layer(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), (1, 4, 4)) == "1.weight"


@pytest.mark.parametrize("name", NAMES)
def test_the_output_layer_of_a_built_in_model_is_its_last(name):
    model = build(name, SMALLEST[name], 7)
    assert output_layer(model, SMALLEST[name]) == prunable(model)[-1]
    assert model.training


@pytest.mark.field
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_what_is_not_prunable_starts_from_its_modules_own_values(distribution):
    model = Odd()
    state = torch.get_rng_state()
    first, again, other = (initial_weights(Odd, seed, distribution) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) for name in first)
    changing = {name for name in first if not torch.equal(first[name], other[name])}
    assert changing == {*prunable(model), "pixels.weight"}
    assert first["pixels.weight"].std().item() == pytest.approx(1, abs=0.4)
    assert first["slope.weight"].tolist() == [0.25]
    assert (first["places"] == 0.5).all()
    assert (first["norm.weight"] == 1).all()
    for name in (
        "output.bias",
        "conv.bias",
        "attention.in_proj_bias",
        "attention.out_proj.bias",
        "norm.bias",
    ):
        assert not first[name].any()
