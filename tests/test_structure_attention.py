"""Width within the heads of attention: equal networks, and the units of each kind of attention."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import prunet
from prunet.base.errors import InputError
from prunet.pruning.unit_criteria import UNIT_CRITERIA
from prunet.structure.costs import count
from prunet.structure.cutting import cut
from prunet.structure.finding import find_units
from prunet.structure.masks import coupled, unit_masks
from prunet.structure.proof import difference, random_inputs
from prunet.structure.shrinking import apply_masks, shrink
from tests import toys  # noqa: F401 (one thread)
from tests.toy_networks import Model
from tests.toy_programs import structure

HEADS, WIDTH = 3, 4  # of each head
INSIDE = HEADS * WIDTH
TOKENS = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
ANGLES = torch.arange(5)[:, None] * torch.tensor([1.0, 0.1])


def network(forward, **sizes: int) -> Model:
    """Return layers for the query, key, value (of these sizes, or of all heads) and the output."""
    torch.manual_seed(0)
    rows = {"query": INSIDE, "key": INSIDE, "value": INSIDE} | sizes
    layers = {name: nn.Linear(6, size) for name, size in rows.items()}
    return Model(forward, **layers, output=nn.Linear(INSIDE, 3)).eval()


def heads(layer, tokens: Tensor, count: int = HEADS) -> Tensor:
    return layer(tokens).unflatten(-1, (count, -1)).transpose(1, 2)


def parts(model, tokens: Tensor) -> list[Tensor]:
    return [heads(layer, tokens) for layer in (model.query, model.key, model.value)]


def attend(model, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = query @ key.transpose(-1, -2) / 2.0
    return model.output((scores.softmax(-1) @ value).transpose(1, 2).flatten(2))


def separate(model, tokens):
    return attend(model, *parts(model, tokens))


def fused(model, tokens):
    qkv = model.all(tokens).reshape(len(tokens), 5, 3, HEADS, WIDTH).permute(2, 0, 3, 1, 4)
    return attend(model, *qkv.unbind(0))


def turned(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate pairs (d, d + half) by the angle of their position."""
    one, other = x.chunk(2, -1)
    angles = torch.cat([angles, angles], -1)
    return x * angles.cos() + torch.cat([-other, one], -1) * angles.sin()


def interleaved(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate pairs (2d, 2d + 1) by the angle of their position."""
    swapped = torch.stack([-x[..., 1::2], x[..., ::2]], -1).reshape(x.shape)
    angles = angles.repeat_interleave(2, -1)
    return x * angles.cos() + swapped * angles.sin()


def rotary(rotate):
    def forward(model, tokens):
        query, key, value = parts(model, tokens)
        return attend(model, rotate(query, ANGLES), rotate(key, ANGLES), value)

    return forward


def flattened(model, tokens):
    query, key, value = (part.flatten(0, 1) for part in parts(model, tokens))
    attended = torch.bmm(torch.bmm(query, key.mT).softmax(-1), value).unflatten(0, (-1, HEADS))
    return model.output(attended.transpose(1, 2).flatten(2))


def fast(**options):
    def forward(model, tokens):
        attended = functional.scaled_dot_product_attention(*parts(model, tokens), **options)
        return model.output(attended.transpose(1, 2).flatten(2))

    return forward


def grouped(model, tokens):
    query = heads(model.query, tokens, 6)
    key, value = heads(model.key, tokens, 3), heads(model.value, tokens, 3)
    attended = functional.scaled_dot_product_attention(query, key, value, enable_gqa=True)
    return model.output(attended.transpose(1, 2).flatten(2))


def one_key(model, tokens):
    query, key, value = heads(model.query, tokens), heads(model.key, tokens, 1), heads(model.value, tokens, 1)
    attended = functional.scaled_dot_product_attention(query, key, value, enable_gqa=True)
    return model.output(attended.transpose(1, 2).flatten(2))


def einsum(model, tokens):
    query, key, value = (part.transpose(1, 2) for part in parts(model, tokens))
    scores = torch.einsum("nihd,njhd->nhij", query, key).softmax(-1)
    return model.output(torch.einsum("nhij,njhd->nihd", scores, value).flatten(2))


def with_table(model, tokens):
    query, key, value = parts(model, tokens)
    scores = query @ key.mT + model.table
    return model.output((scores.softmax(-1) @ value).transpose(1, 2).flatten(2))


def biased():
    model = network(with_table)
    model.table = nn.Parameter(torch.randn(HEADS, 1, 5))
    return model


def built_in(need_weights):
    def forward(model, tokens):
        return model.output(model.attend(tokens, tokens, tokens, need_weights=need_weights)[0])

    attend = nn.MultiheadAttention(6, 3, batch_first=True)
    nn.init.normal_(attend.in_proj_bias)
    return Model(forward, attend=attend, output=nn.Linear(6, 3)).eval()


def by_maps(model, tokens):
    split = (layer(tokens.mT).mT.unflatten(-1, (HEADS, WIDTH)) for layer in model.layers)
    return attend(model, *(part.transpose(1, 2) for part in split))


def convolutions():
    layers = [nn.Sequential(nn.Conv1d(6, INSIDE, 1), nn.BatchNorm1d(INSIDE)) for _ in range(3)]
    for _, norm in layers:
        for values in (norm.weight, norm.bias, norm.running_mean):
            nn.init.uniform_(values, 0.5, 1.5)
    return Model(by_maps, layers=nn.ModuleList(layers), output=nn.Linear(INSIDE, 3)).eval()


def encoder():
    return nn.Sequential(nn.TransformerEncoderLayer(6, 3, 8, batch_first=True), nn.Linear(6, 3)).eval()


# A network, the numbers of its units of attention if these are heads, and if they are widths.
NETWORKS = {
    "separate": (lambda: network(separate), [3], [4, 4]),
    "fused": (lambda: Model(fused, all=nn.Linear(6, 3 * INSIDE), output=nn.Linear(INSIDE, 3)), [3], [4]),
    "rotary, halves": (lambda: network(rotary(turned)), [3], [2, 4]),
    "rotary, interleaved": (lambda: network(rotary(interleaved)), [3], [2, 4]),
    "batch and heads flattened": (lambda: network(flattened), [3], [4, 4]),
    "fast": (lambda: network(fast()), [3], [4, 4]),
    "fast, with a scale": (lambda: network(fast(scale=0.7)), [3], [4, 4]),
    "grouped queries": (lambda: network(grouped, key=6, value=6), [3], [2, 2]),
    "one key": (lambda: network(one_key, key=4, value=4), [4, 4], [4, 4]),
    "einsum": (lambda: network(einsum), [3], [4, 4]),
    "table of positions": (biased, [3], [4, 4]),
    "convolutions with norms": (convolutions, [3], [4, 4]),
    "nn.MultiheadAttention": (lambda: built_in(False), [3], [2]),
    "nn.MultiheadAttention with weights": (lambda: built_in(True), [3], [2]),
    "nn.TransformerEncoderLayer": (encoder, [3], [2]),
}


def attention_units(units) -> list[int]:
    return [group.units for group in units.groups if group.units <= WIDTH]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("attention", ["heads", "widths"])
def test_heads_go_or_get_narrower_and_the_outputs_stay(name, attention):
    torch.manual_seed(0)
    build, *expected = NETWORKS[name]
    model = build().eval()
    units = find_units(model, TOKENS, attention)
    assert attention_units(units) == expected[attention == "widths"]
    gone = [np.arange(group.units) % 2 == 1 for group in units.groups]
    masked, smaller = cut(units, gone)
    inputs = random_inputs([TOKENS], 3)
    assert difference(masked, smaller, inputs) < 1e-12
    assert difference(model, masked, inputs) > 1e-3
    own = copy.deepcopy(model)
    apply_masks(own, unit_masks(units, gone))
    assert difference(masked, own, inputs) < 1e-12
    assert count(units, gone)["parameters"] == sum(value.numel() for value in smaller.parameters())


def test_a_unit_is_the_same_element_of_each_head():
    inside, units = [0, 1, 2, 3] * HEADS, find_units(network(separate), TOKENS, "widths")
    assert structure(units) == [
        dict.fromkeys(("query.weight:0", "query.bias:0", "key.weight:0", "key.bias:0"), inside),
        dict.fromkeys(("value.weight:0", "value.bias:0", "output.weight:1"), inside),
    ]
    groups, _ = coupled(units)  # of criteria and of group lasso
    assert {name: sorted(own) for name, own in groups.items()} == {
        "query.weight": ["key.weight", "query.weight"],
        "value.weight": ["value.weight"],
    }
    assert all(ids.tolist() == inside for own in groups.values() for ids in own.values())


def changed(*names, change):
    """Return attention whose query or key, or both, an operation changes."""

    def forward(model, tokens):
        query, key, value = parts(model, tokens)
        query = change(query) if "query" in names else query
        return attend(model, query, change(key) if "key" in names else key, value)

    return network(forward)


SUMMED = "matmul sums over it, and may not read zeros there"
NORMED = "a LayerNorm normalises over it"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (torch.sigmoid, SUMMED),
        (torch.cos, SUMMED),
        (lambda part: part + 1, SUMMED),
        (lambda part: part + torch.linspace(0, 1, WIDTH), SUMMED),
        (lambda part: functional.layer_norm(part, [WIDTH]), NORMED),
        (lambda part: functional.rms_norm(part, [WIDTH]), NORMED),
    ],
    ids=["sigmoid", "cosine", "number", "constant", "LayerNorm", "RMSNorm"],
)
def test_query_and_key_keep_their_width_where_neither_is_zero_without_it(change, reason):
    units = find_units(changed("query", "key", change=change), TOKENS, "widths")
    assert [group.name for group in units.groups] == ["value.weight"]
    assert reason in units.reasons


@pytest.mark.parametrize("changed_part", ["query", "key"])
@pytest.mark.parametrize(
    "change", [torch.sigmoid, lambda part: part + torch.linspace(0, 1, WIDTH)], ids=["sigmoid", "constant"]
)
def test_one_of_query_and_key_need_not_be_zero(changed_part, change):
    model = changed(changed_part, change=change)
    units = find_units(model, TOKENS, "widths")
    assert [group.units for group in units.groups] == [4, 4]
    masked, smaller = cut(units, [np.arange(4) == 1, np.arange(4) == 2])
    assert difference(masked, smaller, [TOKENS]) < 1e-12


@pytest.mark.parametrize(("attention", "left"), [("heads", 2 / 3), ("widths", 3 / 4)])
def test_shrink_reads_from_the_masks_whether_heads_go_or_get_narrower(attention, left):
    model = network(fast())
    masks = prunet.prune(model, TOKENS, criterion="unit-l2", rate=0.3, attention=attention)
    smaller = shrink(model, TOKENS, masks)
    whole, less = (sum(value.numel() for value in net.parameters()) - 3 for net in (model, smaller))
    assert less == left * whole  # without the biases of the outputs
    apply_masks(model, masks)
    assert difference(model, smaller, [TOKENS]) < 1e-12


@pytest.mark.parametrize("criterion", UNIT_CRITERIA)
def test_criteria_of_units_score_widths(criterion):
    model = convolutions()
    how = {"criterion": criterion, "rate": 0.5, "loss": lambda: model(TOKENS).square().flatten(1).sum(1)}
    masks = prunet.prune(model, TOKENS, **how, attention="widths")
    for number in range(3):
        rows = masks[f"layers.{number}.0.weight"].flatten(1).any(1).view(HEADS, WIDTH)
        assert rows.sum(1).tolist() == [2, 2, 2]
        assert (rows == rows[0]).all()
        assert (masks[f"layers.{number}.1.bias"] == rows.flatten()).all()


def test_the_norm_of_a_unit_decides_which_goes():
    model = network(separate)
    with torch.no_grad():
        for layer in (model.query, model.key):
            layer.weight.view(HEADS, WIDTH, -1)[:, 2] *= 0.01
    masks = prunet.prune(model, TOKENS, criterion="unit-l2", rate=0.25, attention="widths")
    assert masks["key.weight"].any(1).tolist() == [True, True, False, True] * HEADS


def test_attention_of_channels_has_no_other_units_than_heads():
    def forward(model, tokens):
        query, key, value = parts(model, tokens)
        mixed = value @ (key.mT @ query).softmax(-1)
        return model.output(mixed.transpose(1, 2).flatten(2))

    for attention in ("heads", "widths"):
        (group,) = find_units(network(forward), TOKENS, attention).groups
        assert group.units == HEADS


def test_an_unknown_kind_of_units_is_refused():
    with pytest.raises(InputError, match="attention is 'width'; choose heads or widths"):
        find_units(network(separate), TOKENS, "width")
