"""Rules of layers, norms, attention and constants: exact units on tiny programs."""

import pytest
import torch
from torch import Tensor

from prunet.structure.cutting import cut
from prunet.structure.resizing import misplaced
from prunet.structure.walk import Walk, tensors_of
from tests.toy_operations import aten
from tests.toy_programs import Structure, program, structure, units_of

VALUES = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))


def weight(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def found(forward, inputs: list[Tensor], **weights: Tensor) -> Structure:
    return structure(units_of(program(forward, inputs, **weights)))


def line(count: int) -> list[int]:
    return list(range(count))


@pytest.mark.parametrize(
    ("call", "shape", "rows"),
    [
        (lambda x, w, b: aten.linear.default(x, w, b), (4, 3), 0),
        (lambda x, w, b: aten.addmm.default(b, x, w), (3, 4), 1),
        (lambda x, w, b: aten.add.Tensor(aten.matmul.default(x, w), b), (3, 4), 1),
        (lambda x, w, b: aten.add.Tensor(aten.mm.default(x, w), b), (3, 4), 1),
        (lambda x, w, b: aten.linear.default(x, aten.t.default(w), b), (3, 4), 1),
    ],
    ids=["linear", "addmm", "matmul", "mm", "transposed parameter"],
)
def test_a_layer_computes_a_unit_for_each_row_and_the_next_reads_it(call, shape, rows):
    def forward(x, w, b, v):
        return aten.linear.default(aten.relu.default(call(x, w, b)), v)

    assert found(forward, [VALUES], w=weight(*shape), b=weight(4), v=weight(2, 4)) == [
        {f"w:{rows}": line(4), "b:0": line(4), "v:1": line(4)}
    ]


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("transposed", [False, True])
def test_convolutions_compute_a_map_for_each_filter(dims, transposed):
    operation = getattr(aten, f"conv_transpose{dims}d" if transposed else f"conv{dims}d")
    operation = getattr(operation, "input" if transposed and dims > 1 else "default")
    ones = (1,) * dims
    filters = weight(3, 4, *ones) if transposed else weight(4, 3, *ones)

    def forward(x, w, b, v):
        return getattr(aten, f"conv{dims}d").default(operation(x, w, b), v)

    images = torch.randn(2, 3, *(3,) * dims)
    assert found(forward, [images], w=filters, b=weight(4), v=weight(2, 4, *ones)) == [
        {f"w:{int(transposed)}": line(4), "b:0": line(4), "v:1": line(4)}
    ]


@pytest.mark.parametrize(
    ("filters", "groups", "expected"),
    [
        ((4, 1), 4, [{"a:0": line(4), "w:0": line(4), "v:1": line(4)}]),
        ((8, 1), 4, [{"a:0": line(4), "w:0": [0, 0, 1, 1, 2, 2, 3, 3], "v:1": [0, 0, 1, 1, 2, 2, 3, 3]}]),
        (
            (6, 2),
            2,
            [{"a:0": [0, 1, 0, 1], "w:1": [0, 1]}, {"w:0": [0, 1, 2, 0, 1, 2], "v:1": [0, 1, 2, 0, 1, 2]}],
        ),
    ],
    ids=["depthwise", "depthwise with a multiplier", "two groups"],
)
def test_maps_of_grouped_convolutions_keep_their_groups(filters, groups, expected):
    def forward(x, a, w, v):
        maps = aten.conv1d.default(aten.conv1d.default(x, a), w, None, [1], [0], [1], groups)
        return aten.conv1d.default(maps, v)

    weights = {"a": weight(4, 3, 1), "w": weight(*filters, 1), "v": weight(2, filters[0], 1)}
    assert found(forward, [torch.randn(2, 3, 5)], **weights) == expected


@pytest.mark.parametrize(
    ("norm", "labels", "extra"),
    [
        (lambda h, s: aten.batch_norm.default(h, s, s, s, s, False, 0.1, 1e-5, False), line(4), "s:0"),
        (
            lambda h, s: aten.instance_norm.default(h, s, s, None, None, True, 0.1, 1e-5, False),
            line(4),
            "s:0",
        ),
        (lambda h, s: aten.group_norm.default(h, 2, s, s), [0, 0, 1, 1], "s:0"),
        (lambda h, s: aten.layer_norm.default(h, [5]), line(4), ""),
        (lambda h, s: aten.mul.Tensor(h, aten.unsqueeze.default(s, 1)), line(4), "s:0"),
    ],
    ids=["batch", "instance", "group", "layer, over positions", "scale"],
)
def test_norms_of_maps_share_their_units(norm, labels, extra):
    def forward(x, w, s, v):
        return aten.conv1d.default(norm(aten.conv1d.default(x, w), s), v)

    weights = {"w": weight(4, 3, 1), "s": torch.rand(4) + 0.5, "v": weight(2, 4, 1)}
    expected = {"w:0": labels, "v:1": labels} | ({extra: labels} if extra else {})
    assert found(forward, [torch.randn(2, 3, 5)], **weights) == [expected]


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_a_norm_over_units_keeps_them(name):
    def forward(x, w, s, v):
        return aten.linear.default(getattr(aten, name).default(aten.linear.default(x, w), [4], s), v)

    units = units_of(program(forward, [VALUES], w=weight(4, 3), s=weight(4), v=weight(2, 4)))
    assert (units.groups, units.reasons) == ([], {"a LayerNorm normalises over it": 1})


def test_rows_of_a_table_stay_and_its_columns_join_what_they_are_added_to():
    def forward(x, words, t, w, v):
        return aten.linear.default(
            aten.add.Tensor(aten.embedding.default(t, words), aten.linear.default(x, w)), v
        )

    words = torch.tensor([0, 5])
    weights = {"t": weight(6, 4), "w": weight(4, 3), "v": weight(2, 4)}
    assert found(forward, [VALUES, words], **weights) == [{"t:1": line(4), "w:0": line(4), "v:1": line(4)}]


def _heads(x, w):
    split = aten.view.default(aten.linear.default(x, w), [2, 5, 2, 2])
    return aten.transpose.int(split, 1, 2)


def _attention(kind: str, q, k, v, table):
    if kind == "scaled_dot_product_attention":
        return aten.scaled_dot_product_attention.default(q, k, v, table)
    if kind == "matmul":
        scores = aten.add.Tensor(aten.matmul.default(q, aten.transpose.int(k, -1, -2)), table)
        return aten.matmul.default(aten.softmax.int(scores, -1), v)
    q, k, v = (aten.reshape.default(part, [4, 5, 2]) for part in (q, k, v))
    bias = aten.repeat.default(table, [2, 1, 1])
    scores = aten.baddbmm.default(bias, q, aten.transpose.int(k, -1, -2))
    return aten.view.default(aten.bmm.default(aten.softmax.int(scores, -1), v), [2, 2, 5, 2])


@pytest.mark.parametrize("kind", ["scaled_dot_product_attention", "matmul", "bmm and baddbmm"])
def test_a_head_is_one_unit_of_query_key_value_and_output(kind):
    def forward(x, q, k, v, table, o):
        heads = _attention(kind, _heads(x, q), _heads(x, k), _heads(x, v), table)
        return aten.linear.default(aten.reshape.default(aten.transpose.int(heads, 1, 2), [2, 5, 4]), o)

    weights = {name: weight(4, 3) for name in ("q", "k", "v")} | {"table": weight(2, 5, 5), "o": weight(3, 4)}
    (group,) = found(forward, [torch.randn(2, 5, 3)], **weights)
    assert group == {name: [0, 0, 1, 1] for name in ("q:0", "k:0", "v:0", "o:1")} | {"table:0": [0, 1]}


def test_without_heads_the_width_of_query_and_key_is_one_kind_of_units_and_that_of_the_value_another():
    def forward(x, q, k, v, o):
        q, k, v = (aten.linear.default(x, part) for part in (q, k, v))
        scores = aten.matmul.default(q, aten.transpose.int(k, 1, 2))
        return aten.linear.default(aten.matmul.default(aten.softmax.int(scores, -1), v), o)

    weights = {name: weight(4, 3) for name in ("q", "k", "v")} | {"o": weight(3, 4)}
    units = units_of(program(forward, [torch.randn(2, 5, 3)], **weights))
    assert structure(units) == [{"q:0": line(4), "k:0": line(4)}, {"v:0": line(4), "o:1": line(4)}]


def test_an_operation_without_a_rule_keeps_its_units_with_the_reason():
    def forward(x, w, u, v):
        first, second = aten.linear.default(x, w), aten.linear.default(x, u)
        return aten.linear.default(aten.cat.default([aten.cumprod.default(first, 0), second], 1), v)

    weights = {"w": weight(4, 3), "u": weight(2, 3), "v": weight(2, 6)}
    units = units_of(program(forward, [VALUES], **weights))
    assert structure(units) == [{"u:0": [0, 1], "v:1": [-1, -1, -1, -1, 0, 1]}]
    assert (units.reasons, units.walk.unknown) == ({"cumprod has no rule": 1}, ["cumprod"])


def test_random_numbers_are_drawn_at_each_call():
    def forward(x, w, s, v):
        noise = aten.rand_like.default(s)
        return aten.linear.default(aten.add.Tensor(aten.linear.default(x, w), noise), v)

    units = units_of(program(forward, [VALUES], w=weight(4, 3), s=weight(4), v=weight(2, 4)))
    for written in cut(units, [torch.zeros(group.units, dtype=torch.bool).numpy() for group in units.groups]):
        assert not torch.equal(written(VALUES), written(VALUES))


def test_a_weight_with_two_uses_is_one():
    def tied(x, w):
        return aten.linear.default(aten.relu.default(aten.linear.default(x, w)), aten.t.default(w))

    def twice(x, w, u, v):
        hidden = aten.linear.default(x, w)
        return aten.linear.default(aten.linear.default(aten.linear.default(hidden, u), v), aten.t.default(w))

    assert found(tied, [VALUES], w=weight(4, 3)) == [{"w:0": line(4)}]
    shared = weight(4, 4)  # two names of one tensor
    assert found(twice, [VALUES], w=weight(4, 3), u=shared, v=shared) == [
        {"w:0": line(4), "u:0": line(4), "u:1": line(4)}
    ]


def test_the_chunks_of_a_parameter_remain_its_rows():
    def forward(x, w, v):
        parts = aten.chunk.default(w, 2)
        gate, value = aten.linear.default(x, parts[0]), aten.linear.default(x, parts[1])
        return aten.linear.default(aten.mul.Tensor(aten.sigmoid.default(gate), value), v)

    labels = [*line(4), *line(4)]
    assert found(forward, [VALUES], w=weight(8, 3), v=weight(2, 4)) == [{"w:0": labels, "v:1": line(4)}]


def test_a_unit_that_is_spread_over_others_stays():
    def forward(x, w, u, v):
        gate = aten.slice.Tensor(aten.linear.default(x, u), 1, 0, 1)
        return aten.linear.default(aten.mul.Tensor(aten.linear.default(x, w), gate), v)

    units = units_of(program(forward, [VALUES], w=weight(4, 3), u=weight(3, 3), v=weight(2, 4)))
    assert structure(units) == [{"w:0": line(4), "v:1": line(4)}, {"u:0": [-1, 0, 1]}]


def test_the_units_of_an_activation_lie_along_one_of_its_dimensions():
    def forward(x, w, v):
        blocks = aten.view.default(aten.linear.default(x, w), [2, 2, 3])
        return aten.linear.default(aten.flatten.using_ints(aten.relu.default(blocks), 1), v)

    labels = [0, 1, 2, 0, 1, 2]
    assert found(forward, [VALUES], w=weight(6, 3), v=weight(2, 6)) == [{"w:0": labels, "v:1": labels}]


def test_padding_adds_units_that_stay():
    def forward(x, w, v):
        return aten.linear.default(aten.constant_pad_nd.default(aten.linear.default(x, w), [1, 2]), v)

    assert found(forward, [VALUES], w=weight(4, 3), v=weight(2, 7)) == [
        {"w:0": line(4), "v:1": [-1, 0, 1, 2, 3, -1, -1]}
    ]


@pytest.mark.parametrize(
    ("move", "gone", "right"),
    [
        (lambda h: aten.roll.default(h, [1], [1]), 3, True),
        (lambda h: aten.slice.Tensor(h, 1, 0, 4, 2), 1, False),
        (lambda h: aten.flip.default(h, [1]), 0, True),
        (lambda h: aten.slice.Tensor(h, 1, 1, 4), 3, True),
    ],
    ids=["roll", "every second", "flip", "slice"],
)
def test_a_move_that_fewer_units_cannot_make_is_found(move, gone, right):
    def forward(x, w, v):
        return aten.linear.default(move(aten.linear.default(x, w)), v)

    width = move(torch.randn(2, 4)).shape[1]
    written = program(forward, [VALUES], w=weight(4, 3), v=weight(2, width))
    assert bool(units_of(written).groups) == right
    walk = Walk(written)
    (rows, _), *_ = (tensor.dims for tensor in tensors_of(walk) if tensor.name == "w")
    alive = torch.ones(len(walk.labels.resolve()), dtype=torch.bool)
    alive[rows[gone]] = False
    assert (misplaced(walk, alive) == []) == right
