"""Pruning in one's own training loop: exact shares, zeros that stay, and a smaller network that is equal."""

import re

import pytest
import torch
from torch import Tensor, nn

import prunet
from prunet.base.errors import InputError
from prunet.models import loading
from prunet.pruning.unit_criteria import UNIT_CRITERIA
from prunet.structure.proof import difference
from tests.toy_networks import Model

IMAGES = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))
TOKENS = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(0))
SIZES = {"0.weight": 8 * 27, "3.weight": 12 * 72, "8.weight": 12 * 4}


class Block(nn.Module):
    """Attention with the width written into the code."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = nn.Linear(12, 36)
        self.output = nn.Linear(12, 12)

    def forward(self, tokens: Tensor) -> Tensor:
        shape = (tokens.shape[0], tokens.shape[1], 3, 4, 3)
        query, key, value = self.queries(tokens).view(shape).permute(2, 0, 3, 1, 4).unbind(0)
        heads = nn.functional.scaled_dot_product_attention(query, key, value)
        return tokens + self.output(heads.transpose(1, 2).reshape(tokens.shape))


class Outside(nn.Module):
    """An index that the inputs do not have."""

    def forward(self, values: Tensor) -> Tensor:
        return values[:, 7]


class Branches(nn.Module):
    """A branch on the values of the inputs."""

    def forward(self, values: Tensor) -> Tensor:
        return values if values.sum() > 0 else -values


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 12, 3), nn.BatchNorm2d(12)]
    model = nn.Sequential(*layers, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4))
    model(IMAGES)  # statistics that are not trivial
    for norm in (model[1], model[4]):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
    return model.train()


def kept(masks: dict[str, Tensor]) -> dict[str, int]:
    return {name: int(mask.sum()) for name, mask in masks.items()}


@pytest.mark.parametrize("criterion", ["magnitude", "random", "taylor"])
def test_each_layer_loses_exactly_the_rounded_share_of_its_weights_in_each_round(network, criterion):
    def loss() -> Tensor:
        return network(IMAGES).square().sum()

    first = prunet.prune(network, IMAGES, criterion=criterion, rate=0.3, loss=loss)
    assert kept(first) == {name: size - round(0.3 * size) for name, size in SIZES.items()}
    second = prunet.prune(network, IMAGES, criterion=criterion, rate=0.3, loss=loss, masks=first)
    assert kept(second) == {name: size - round(0.3 * size) for name, size in kept(first).items()}
    assert all((second[name] <= first[name]).all() for name in first)


def test_fisher_squares_the_gradients_of_single_examples():
    """The means of the gradients (3, -3) and (1, 2) are 2 and -0.5, those of their squares 5 and 6.5."""
    model = nn.Linear(2, 1, bias=False)
    model.weight.data.fill_(1)
    examples = torch.tensor([[3.0, -3.0], [1.0, 2.0]])
    by_mean = prunet.prune(model, examples, criterion="taylor", rate=0.5, loss=lambda: model(examples).mean())
    same = prunet.prune(model, examples, criterion="taylor", rate=0.5, loss=lambda: model(examples)[:, 0])
    assert torch.equal(by_mean["weight"], same["weight"])
    each = prunet.prune(model, examples, criterion="fisher", rate=0.5, loss=lambda: model(examples)[:, 0])
    assert (by_mean["weight"].tolist(), each["weight"].tolist()) == ([[True, False]], [[False, True]])
    with pytest.raises(InputError, match=r"`loss` returned 0 dimensions; return the loss of each example"):
        prunet.prune(model, examples, criterion="fisher", loss=lambda: model(examples).mean())


def test_taylor_and_fisher_of_units_are_of_their_weights_alone_and_need_a_loss():
    """The slopes of both units are 3, -3 and 1, 1 by example: their means are 0 and 1, their squares 9 and 1.

    The layer is transposed: its rows lie along its second dimension.
    """
    model = nn.Sequential(nn.ConvTranspose1d(1, 2, 1), nn.Conv1d(2, 1, 1, bias=False))
    model[0].weight.data = torch.tensor([[[1.0], [1.0]]])
    model[0].bias.data.fill_(5)
    model[1].weight.data.fill_(1)
    examples = torch.ones(2, 1, 1)

    def loss() -> Tensor:
        units = model[0].weight[0, :, 0] * torch.tensor([[3.0, 1.0], [-3.0, 1.0]])
        return units.sum(1) + 100 * model[0].bias.sum()

    for criterion, left in (("unit-taylor", [False, True]), ("unit-fisher", [True, False])):
        masks = prunet.prune(model, examples, criterion=criterion, rate=0.5, loss=loss, own={"1.weight": 0})
        assert masks["0.bias"].tolist() == left
        assert masks["0.weight"].flatten().tolist() == left
        with pytest.raises(InputError, match="this criterion needs gradients; pass `loss`"):
            prunet.prune(model, examples, criterion=criterion)
    with pytest.raises(InputError, match=r"`loss` returned 0 dimensions; return the loss of each example"):
        prunet.prune(model, examples, criterion="unit-fisher", loss=lambda: loss().mean())
    with pytest.raises(InputError, match="ranks units without a loss, and unit-fisher needs one"):
        prunet.sensitivity(model, examples, lambda _: 1.0, criterion="unit-fisher")


def test_magnitude_removes_the_smallest_weights(network):
    masks = prunet.prune(network, IMAGES, rate=0.5)
    weight = network[8].weight.abs()
    assert weight[~masks["8.weight"]].max() < weight[masks["8.weight"]].min()


@pytest.mark.parametrize("criterion", UNIT_CRITERIA)
def test_each_group_loses_exactly_the_rounded_share_of_its_units_in_each_round(network, criterion):
    def loss() -> Tensor:
        return network(IMAGES).square().sum(1)

    masks: dict[str, Tensor] = {}
    for filters, maps in ((6, 9), (4, 7)):  # round(0.25 * 6) = 2 of 6, and round(0.25 * 9) = 2 of 9
        masks = prunet.prune(network, IMAGES, criterion=criterion, rate=0.25, masks=masks, loss=loss)
        rows = {name: int(mask.flatten(1).any(1).sum()) for name, mask in masks.items() if mask.ndim > 1}
        assert rows == {"0.weight": filters, "3.weight": maps, "8.weight": 4}
        columns = [
            int(masks[name].transpose(0, 1).flatten(1).any(1).sum()) for name in ("3.weight", "8.weight")
        ]
        assert columns == [filters, maps]
        for number, layer in ((0, 1), (3, 4)):
            alive = masks[f"{number}.weight"].flatten(1).any(1)
            for name in (f"{number}.bias", f"{layer}.weight", f"{layer}.bias"):
                assert torch.equal(masks[name], alive)


def test_the_filters_with_the_lowest_norm_go(network):
    masks = prunet.prune(network, IMAGES, criterion="filter-l2", rate=0.5)
    norms, alive = network[0].weight.flatten(1).norm(dim=1), masks["0.bias"]
    assert norms[~alive].max() < norms[alive].min()


def test_a_layer_with_its_own_rate_and_one_ranking_of_all_layers(network):
    masks = prunet.prune(network, IMAGES, rate=0.5, own={"0.weight": 0, "8.weight": 0.25})
    assert kept(masks) == {"0.weight": 216, "3.weight": 432, "8.weight": 36}
    network[0].weight.data *= 100
    masks = prunet.prune(network, IMAGES, rate=0.5, scope="global")
    assert sum(kept(masks).values()) == round(0.5 * sum(SIZES.values()))
    assert masks["0.weight"].float().mean() > 0.9


def test_pruning_changes_nothing_in_the_model(network):
    network[2].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    masks = prunet.prune(network, IMAGES, criterion="filter-l2", rate=0.5)
    prunet.shrink(network, IMAGES, masks)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda weights: torch.optim.SGD(weights, 0.1, momentum=0.9, weight_decay=0.1),
        lambda weights: torch.optim.AdamW(weights, 0.01, weight_decay=0.5),
    ],
    ids=["SGD", "AdamW"],
)
def test_removed_weights_are_exactly_zero_after_each_step(network, optimizer):
    masks = prunet.prune(network, IMAGES, criterion="filter-l2", rate=0.5)
    steps = optimizer(network.parameters())
    network(IMAGES).square().sum().backward()
    steps.step()  # momentum that would move them
    with prunet.masked(network, masks):
        for _ in range(3):
            removed = [network.get_parameter(name)[~mask] for name, mask in masks.items()]
            assert all((weights == 0).all() for weights in removed)
            steps.zero_grad()
            network(IMAGES).square().sum().backward()
            steps.step()
    assert all((network.get_parameter(name)[~mask] == 0).all() for name, mask in masks.items())
    assert (network[0].weight[masks["0.weight"]] != 0).all()


def test_weights_are_free_after_the_block_and_after_an_error_in_it(network):
    masks = prunet.prune(network, IMAGES, rate=0.5)
    steps = torch.optim.SGD(network.parameters(), 0.1)
    with pytest.raises(KeyboardInterrupt), prunet.masked(network, masks):
        raise KeyboardInterrupt
    network(IMAGES).square().sum().backward()
    steps.step()
    assert (network[8].weight[~masks["8.weight"]] != 0).any()


def test_a_convolutional_network_shrinks_to_its_own_class_and_its_weights_load_again(network):
    masks = prunet.prune(network, IMAGES, criterion="filter-l2", rate=0.5)
    smaller = prunet.shrink(network, IMAGES, masks)
    assert type(smaller) is type(network)
    assert (smaller[0].out_channels, smaller[3].in_channels, smaller[4].num_features) == (4, 4, 6)
    assert smaller[8].in_features == 6
    prunet.apply_masks(network, masks)
    more = torch.randn(7, 3, 9, 9)
    assert difference(network, smaller, [more]) < 1e-10
    fresh = prunet.shrink(network, IMAGES, masks)
    nn.init.zeros_(fresh[0].weight)
    assert difference(smaller, fresh, [more]) > 1e-3
    fresh.load_state_dict(smaller.state_dict())
    assert difference(smaller, fresh, [more]) == 0


def test_attention_shrinks_to_a_program_that_takes_batches_of_other_sizes():
    torch.manual_seed(0)
    model = Block()
    masks = prunet.prune(model, TOKENS, criterion="unit-l2", rate=0.5)
    smaller = prunet.shrink(model, TOKENS, masks)
    assert isinstance(smaller, torch.fx.GraphModule)
    counts = [sum(value.numel() for value in net.parameters()) for net in (model, smaller)]
    assert counts[1] < 0.6 * counts[0]
    prunet.apply_masks(model, masks)
    assert difference(model, smaller, [torch.randn(3, 5, 12)]) < 1e-10
    smaller.load_state_dict(smaller.state_dict())
    smaller.get_parameter("output.weight").data[:, 0] = 0
    assert difference(model, smaller, [torch.randn(3, 5, 12)]) > 1e-3


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA device")
@pytest.mark.parametrize(
    "follow",
    [lambda model, x: model.layer(x.cuda()), lambda model, x: model.layer(x) + torch.ones(2, device="cuda")],
    ids=["a tensor that is moved", "a new tensor"],
)
def test_code_that_needs_a_gpu_is_refused_with_its_line(follow):
    model, line = Model(follow, layer=nn.Linear(3, 2)), follow.__code__.co_firstlineno
    told = f"Model asks for a CUDA device at line {line} of {re.escape(__file__)}, .* device=x.device"
    with pytest.raises(InputError, match=told):
        prunet.prune(model, torch.randn(2, 3), criterion="unit-l2")
    with pytest.raises(InputError, match=told):
        loading.check("Model", model, (1, 1, 3), 2)


@pytest.mark.parametrize(
    ("model", "example", "options", "message"),
    [
        (
            nn.Linear(3, 2),
            torch.randn(2, 3),
            {"criterion": "size"},
            "'size' is unknown; choose one of magnitude",
        ),
        (nn.Linear(3, 2), torch.randn(2, 3), {"criterion": "taylor"}, "needs gradients; pass `loss`"),
        (nn.Linear(3, 2), torch.randn(2, 3), {"criterion": "lamp"}, "scope layer it would be magnitude; set"),
        (nn.Linear(3, 2), torch.randn(2, 3), {"criterion": "unit-l2"}, "no unit .* can be removed"),
        (nn.Linear(3, 2), torch.randn(2, 5), {"criterion": "unit-l2"}, r"Linear does not run .*\(2, 5\)"),
        (
            Outside(),
            torch.randn(2, 3),
            {"criterion": "unit-l2"},
            r"size 3 at line \d+ of .*test_library.py\); pass",
        ),
        (Branches(), torch.randn(2, 3), {"criterion": "unit-l2"}, "Branches .*values"),
    ],
    ids=["criterion", "loss", "lamp", "nothing", "shape", "index", "branch"],
)
def test_what_cannot_be_pruned_is_refused_in_one_sentence(model, example, options, message):
    with pytest.raises(InputError, match=message) as refused:
        prunet.prune(model, example, **options)
    assert "\n" not in str(refused.value)


def test_masks_of_another_model_are_refused(network):
    masks = prunet.prune(network, IMAGES)
    other = nn.Sequential(nn.Conv2d(3, 5, 3))
    for use in (prunet.apply_masks, lambda model, found: prunet.shrink(model, IMAGES, found)):
        with pytest.raises(InputError, match=r"mask 0\.weight \(8, 3, 3, 3\) fits no parameter"):
            use(other, masks)
