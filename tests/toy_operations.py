"""Calls of every operation that has a rule, on two layers' maps (8, 6, 4, 4).

A call takes the maps, those of a second layer, a constant of each map (6, 1, 1) and a constant index.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from prunet.structure.rules.table import ELEMENTWISE

aten = torch.ops.aten


class Call(NamedTuple):
    """A call, and the numbers of units of the groups that are found."""

    apply: Callable[..., Any]
    groups: tuple[int, ...] = (6,)


def _plain(name: str) -> Call:
    """Return the call of an operation that takes a tensor alone."""
    packet = getattr(aten, name)
    overloads = [getattr(packet, overload) for overload in packet.overloads()]
    needed = {
        overload: [argument for argument in overload._schema.arguments if not argument.has_default_value()]
        for overload in overloads
    }
    found = next(overload for overload in overloads if [a.name for a in needed[overload]] == ["self"])
    return Call(lambda h, g, c, i: found(h))


def _two(name: str) -> Call:
    overload = getattr(getattr(aten, name), "Tensor", None) or getattr(aten, name).default
    return Call(lambda h, g, c, i: overload(h, g))


def _tokens(h: Any) -> Any:
    return aten.flatten.using_ints(h, 2)


def _deep(h: Any) -> Any:
    return aten.unsqueeze.default(h, 2)


def _means(h: Any) -> Any:
    return aten.mean.dim(h, [2, 3])


def _large(h: Any) -> Any:
    return aten.add.Scalar(aten.abs.default(h), 0.1)


_PAIRS = "add add_ sub sub_ rsub mul mul_ div div_ maximum minimum lt le gt ge eq ne type_as copy_"
ARGUMENTS = {
    **{name: _two(name) for name in _PAIRS.split()},
    "pow": Call(lambda h, g, c, i: aten.pow.Tensor_Scalar(h, 2)),
    "clamp": Call(lambda h, g, c, i: aten.clamp.default(h, -0.5, 0.5)),
    "clamp_": Call(lambda h, g, c, i: aten.clamp_.default(h, -0.5, 0.5)),
    "clamp_min": Call(lambda h, g, c, i: aten.clamp_min.default(h, 0.1)),
    "clamp_min_": Call(lambda h, g, c, i: aten.clamp_min_.default(h, 0.1)),
    "clamp_max": Call(lambda h, g, c, i: aten.clamp_max.default(h, 0.1)),
    "log": Call(lambda h, g, c, i: aten.log.default(_large(h))),
    "sqrt": Call(lambda h, g, c, i: aten.sqrt.default(_large(h))),
    "rsqrt": Call(lambda h, g, c, i: aten.rsqrt.default(_large(h))),
    "reciprocal": Call(lambda h, g, c, i: aten.reciprocal.default(_large(h))),
    "div": Call(lambda h, g, c, i: aten.div.Tensor(h, _large(g))),
    "div_": Call(lambda h, g, c, i: aten.div_.Tensor(h, _large(g))),
    "to": Call(lambda h, g, c, i: aten.to.dtype(h, torch.float32)),
    "bitwise_not": Call(lambda h, g, c, i: aten.bitwise_not.default(aten.gt.Scalar(h, 0))),
    "dropout": Call(lambda h, g, c, i: aten.dropout.default(h, 0.5, False)),
    "dropout_": Call(lambda h, g, c, i: aten.dropout_.default(h, 0.5, False)),
    "feature_dropout": Call(lambda h, g, c, i: aten.feature_dropout.default(h, 0.5, False)),
    "alpha_dropout": Call(lambda h, g, c, i: aten.alpha_dropout.default(h, 0.5, False)),
    "where": Call(lambda h, g, c, i: aten.where.self(aten.gt.Scalar(h, 0), g, h)),
    "masked_fill": Call(lambda h, g, c, i: aten.masked_fill.Scalar(h, aten.gt.Scalar(g, 0), 1.0)),
    "masked_fill_": Call(lambda h, g, c, i: aten.masked_fill_.Scalar(h, aten.gt.Scalar(g, 0), 1.0)),
    "lerp": Call(lambda h, g, c, i: aten.lerp.Scalar(h, g, 0.3)),
    "addcmul": Call(lambda h, g, c, i: aten.addcmul.default(h, g, c)),
    "fill_": Call(lambda h, g, c, i: aten.fill_.Scalar(h, 1.0)),
    "full_like": Call(lambda h, g, c, i: aten.full_like.default(h, 2.0)),
    "empty_like": Call(lambda h, g, c, i: aten.copy_.default(aten.empty_like.default(h), g)),
    "threshold": Call(lambda h, g, c, i: aten.threshold.default(h, 0.1, 0.2)),
    "max": Call(lambda h, g, c, i: aten.max.other(h, g)),
    "min": Call(lambda h, g, c, i: aten.min.other(h, g)),
    "detach_": Call(lambda h, g, c, i: aten.detach_.default(aten.relu.default(h))),
    "glu": Call(lambda h, g, c, i: aten.glu.default(h, 1), (3,)),
    "expand_as": Call(lambda h, g, c, i: aten.expand_as.default(aten.mean.dim(h, [2], True), h)),
    "view_as": Call(lambda h, g, c, i: aten.view_as.default(_tokens(h), aten.flatten.using_ints(h, 2, 3))),
    "reshape_as": Call(
        lambda h, g, c, i: aten.reshape_as.default(_tokens(h), aten.flatten.using_ints(h, 2, 3))
    ),
    "einsum": Call(lambda h, g, c, i: aten.einsum.default("nchw,nchv->ncwv", [h, g])),
    "prelu": Call(lambda h, g, c, i: aten.prelu.default(h, aten.flatten.using_ints(c))),
}
POOLS = {
    "max_pool1d": Call(lambda h, g, c, i: aten.max_pool1d.default(_tokens(h), [2])),
    "max_pool2d": Call(lambda h, g, c, i: aten.max_pool2d.default(h, [3, 3], [1, 1], [1, 1])),
    "max_pool3d": Call(lambda h, g, c, i: aten.max_pool3d.default(_deep(h), [1, 2, 2])),
    "avg_pool1d": Call(lambda h, g, c, i: aten.avg_pool1d.default(_tokens(h), [2])),
    "avg_pool2d": Call(lambda h, g, c, i: aten.avg_pool2d.default(h, [2, 2])),
    "avg_pool3d": Call(lambda h, g, c, i: aten.avg_pool3d.default(_deep(h), [1, 2, 2])),
    "adaptive_avg_pool1d": Call(lambda h, g, c, i: aten.adaptive_avg_pool1d.default(_tokens(h), [3])),
    "adaptive_avg_pool2d": Call(lambda h, g, c, i: aten.adaptive_avg_pool2d.default(h, [1, 1])),
    "adaptive_avg_pool3d": Call(lambda h, g, c, i: aten.adaptive_avg_pool3d.default(_deep(h), [1, 2, 2])),
    "_adaptive_avg_pool2d": Call(lambda h, g, c, i: aten._adaptive_avg_pool2d.default(h, [3, 3])),
    "adaptive_max_pool1d": Call(lambda h, g, c, i: aten.adaptive_max_pool1d.default(_tokens(h), [3])[0]),
    "adaptive_max_pool2d": Call(lambda h, g, c, i: aten.adaptive_max_pool2d.default(h, [2, 2])[0]),
    "max_pool2d_with_indices": Call(lambda h, g, c, i: aten.max_pool2d_with_indices.default(h, [2, 2])[0]),
    "upsample_nearest1d": Call(lambda h, g, c, i: aten.upsample_nearest1d.default(_tokens(h), [5])),
    "upsample_nearest2d": Call(lambda h, g, c, i: aten.upsample_nearest2d.default(h, [5, 5])),
    "upsample_nearest3d": Call(lambda h, g, c, i: aten.upsample_nearest3d.default(_deep(h), [2, 5, 5])),
    "upsample_linear1d": Call(lambda h, g, c, i: aten.upsample_linear1d.default(_tokens(h), [5], False)),
    "upsample_bilinear2d": Call(lambda h, g, c, i: aten.upsample_bilinear2d.default(h, [5, 5], False)),
    "upsample_bicubic2d": Call(lambda h, g, c, i: aten.upsample_bicubic2d.default(h, [5, 5], False)),
    "upsample_trilinear3d": Call(
        lambda h, g, c, i: aten.upsample_trilinear3d.default(_deep(h), [2, 5, 5], False)
    ),
}
MOVES = {
    "permute": Call(lambda h, g, c, i: aten.permute.default(h, [0, 2, 3, 1])),
    "transpose": Call(lambda h, g, c, i: aten.transpose.int(h, 1, 2)),
    "t": Call(lambda h, g, c, i: aten.t.default(aten.relu.default(aten.t.default(_means(h))))),
    "numpy_T": Call(lambda h, g, c, i: aten.t.default(aten.numpy_T.default(_means(h)))),
    "mT": Call(lambda h, g, c, i: aten.mT.default(_tokens(h))),
    "flatten": Call(lambda h, g, c, i: aten.flatten.using_ints(h, 1)),
    "unflatten": Call(lambda h, g, c, i: aten.unflatten.int(h, 1, [2, 3]), (3,)),
    "slice": Call(lambda h, g, c, i: aten.slice.Tensor(h, 1, 1, 5), (2, 4)),
    "select": Call(lambda h, g, c, i: aten.select.int(h, 1, 2), (5,)),
    "chunk": Call(lambda h, g, c, i: aten.chunk.default(h, 2, 1)[1], (3, 3)),
    "split": Call(lambda h, g, c, i: aten.split.Tensor(h, 4, 1)[0], (4, 2)),
    "split_with_sizes": Call(lambda h, g, c, i: aten.split_with_sizes.default(h, [1, 5], 1)[1], (5,)),
    "tensor_split": Call(lambda h, g, c, i: aten.tensor_split.sections(h, 2, 1)[0], (3, 3)),
    "hsplit": Call(lambda h, g, c, i: aten.hsplit.int(h, 2)[0], (3, 3)),
    "unbind": Call(lambda h, g, c, i: aten.unbind.int(h, 2)[0]),
    "expand": Call(lambda h, g, c, i: aten.expand.default(aten.mean.dim(h, [2], True), [-1, -1, 3, -1])),
    "squeeze": Call(lambda h, g, c, i: aten.squeeze.dim(aten.mean.dim(h, [2], True), 2)),
    "unsqueeze": Call(lambda h, g, c, i: aten.unsqueeze.default(h, 1)),
    "roll": Call(lambda h, g, c, i: aten.roll.default(h, [1, 1], [2, 3])),
    "stack": Call(lambda h, g, c, i: aten.stack.default([h, g], 1)),
    "cat": Call(lambda h, g, c, i: aten.cat.default([h, g], 1), (6, 6)),
    "concat": Call(lambda h, g, c, i: aten.concat.default([h, g], 1), (6, 6)),
    "concatenate": Call(lambda h, g, c, i: aten.concatenate.default([h, g], 1), (6, 6)),
    "index": Call(lambda h, g, c, i: aten.index.Tensor(h, [None, None, i])),
    "index_select": Call(lambda h, g, c, i: aten.index_select.default(h, 2, i)),
    "repeat": Call(lambda h, g, c, i: aten.repeat.default(h, [1, 2, 1, 1])),
    "tile": Call(lambda h, g, c, i: aten.tile.default(h, [1, 2, 1, 1])),
    "repeat_interleave": Call(lambda h, g, c, i: aten.repeat_interleave.self_int(h, 2, 1)),
    "movedim": Call(lambda h, g, c, i: aten.movedim.int(h, 1, 3)),
    "swapaxes": Call(lambda h, g, c, i: aten.swapaxes.default(h, 1, 3)),
    "flip": Call(lambda h, g, c, i: aten.flip.default(h, [1])),
    "unfold": Call(lambda h, g, c, i: aten.unfold.default(h, 2, 2, 1)),
    "narrow": Call(lambda h, g, c, i: aten.narrow.default(h, 1, 2, 3), (3, 3)),
    "channel_shuffle": Call(lambda h, g, c, i: aten.channel_shuffle.default(h, 2), (3,)),
    "pixel_shuffle": Call(
        lambda h, g, c, i: aten.pixel_shuffle.default(aten.repeat_interleave.self_int(h, 4, 1), 2)
    ),
    "pixel_unshuffle": Call(lambda h, g, c, i: aten.pixel_unshuffle.default(h, 2)),
    "reshape": Call(lambda h, g, c, i: aten.reshape.default(h, [-1, 6, 16])),
    "view": Call(lambda h, g, c, i: aten.view.default(h, [-1, 6, 2, 8])),
    "_unsafe_view": Call(lambda h, g, c, i: aten._unsafe_view.default(h, [8, 6, 16])),
    "pad": Call(lambda h, g, c, i: aten.pad.default(h, [1, 2, 0, 1])),
    "constant_pad_nd": Call(lambda h, g, c, i: aten.constant_pad_nd.default(h, [0, 0, 0, 0, 1, 2])),
}
REDUCTIONS = {
    **{
        name: lambda h, dims, name=name: getattr(aten, name).dim(h, dims, True)
        for name in ("mean", "var", "std")
    },
    "sum": lambda h, dims: aten.sum.dim_IntList(h, dims, True),
    "amax": lambda h, dims: aten.amax.default(h, dims, True),
    "amin": lambda h, dims: aten.amin.default(h, dims, True),
    "var_mean": lambda h, dims: aten.var_mean.dim(h, dims)[1],
    "logsumexp": lambda h, dims: aten.logsumexp.default(h, dims),
    "linalg_vector_norm": lambda h, dims: aten.linalg_vector_norm.default(h, 2, dims),
    "norm": lambda h, dims: aten.norm.ScalarOpt_dim(h, 2, dims),
    "softmax": lambda h, dims: aten.softmax.int(h, dims[0]),
    "_softmax": lambda h, dims: aten._softmax.default(h, dims[0], False),
    "log_softmax": lambda h, dims: aten.log_softmax.int(h, dims[0]),
    "prod": lambda h, dims: aten.prod.dim_int(h, dims[0]),
    "cumsum": lambda h, dims: aten.cumsum.default(h, dims[0]),
    "max": lambda h, dims: aten.max.dim(h, dims[0])[0],
    "min": lambda h, dims: aten.min.dim(h, dims[0])[0],
}
CALLS = (
    {name: _plain(name) for name in ELEMENTWISE.split() if name not in ARGUMENTS} | ARGUMENTS | POOLS | MOVES
)
