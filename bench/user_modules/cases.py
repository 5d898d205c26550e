"""All of these networks, their inputs, and what is expected of each."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.user_modules import attention, gates, interfaces, joins, layers, sequences

BATCH = 2
IMAGES, TOKENS, VALUES, SERIES = (3, 16, 16), (10, 32), (12,), (4, 20)  # shapes without the batch


class Case(NamedTuple):
    """A network of the zoo.

    Attributes:
        build: returns it.
        shapes: of its inputs, without the batch; () stands for twelve words.
        refused: a part of the message that tells why it cannot be pruned; empty if it can.
    """

    build: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...] = (IMAGES,)
    refused: str = ""


WORDS: tuple[int, ...] = ()
CASES = {
    "functional calls": Case(layers.FunctionalCalls),
    "flatten by view": Case(layers.FlattenByView),
    "weight standardisation": Case(layers.weight_standardisation),
    "weight norm": Case(layers.weight_norm),
    "group norm": Case(layers.group_norm),
    "instance norm": Case(layers.instance_norm),
    "transposed convolution": Case(layers.transposed),
    "convolution in one dimension": Case(layers.one_dimension, (SERIES,)),
    "convolution in three dimensions": Case(layers.three_dimensions, ((3, 6, 16, 16),)),
    "depthwise convolution": Case(layers.depthwise),
    "grouped convolution": Case(layers.grouped),
    "PReLU": Case(layers.prelu),
    "sigmoid and softplus before a layer": Case(layers.constants_after_removal),
    "layer used twice": Case(joins.LayerUsedTwice),
    "concatenation": Case(joins.Concatenation),
    "dense connection": Case(joins.DenseConnection),
    "tied weights": Case(joins.TiedWeights, ((20,),)),
    "residual with projection": Case(joins.Residual),
    "padded shortcut": Case(joins.PaddedShortcut),
    "U-Net": Case(joins.UNet),
    "feature pyramid": Case(joins.FeaturePyramid),
    "slices of channels": Case(joins.Slices),
    "channel shuffle": Case(joins.ChannelShuffle),
    "pixel shuffle": Case(joins.PixelShuffle),
    "maxout": Case(joins.Maxout),
    "squeeze-and-excitation": Case(gates.SqueezeAndExcitation),
    "spatial attention": Case(gates.SpatialAttention),
    "gated maps": Case(gates.GatedMaps),
    "gated linear unit": Case(gates.GatedLinear, ((10, 24),)),
    "layer scale": Case(gates.LayerScale),
    "changes in place": Case(gates.InPlace),
    "buffers in arithmetic": Case(gates.BuffersInArithmetic),
    "roll": Case(gates.Roll),
    "einsum": Case(gates.Einsum, ((10, 12),)),
    "multi-head attention": Case(attention.MultiheadAttention, (TOKENS,)),
    "query, key and value in one layer": Case(attention.QkvInOneLayer, (TOKENS,)),
    "scaled dot-product attention": Case(attention.ScaledDotProductAttention, (TOKENS,)),
    "transformer encoder": Case(partial(attention.TransformerEncoder, norm_first=False), ((10, 12),)),
    "transformer encoder, norm first": Case(
        partial(attention.TransformerEncoder, norm_first=True), ((10, 12),)
    ),
    "cross attention": Case(attention.CrossAttention, (TOKENS, (6, 12))),
    "vision transformer": Case(attention.VisionTransformer),
    "attention with a bias of heads": Case(attention.BiasOfHeads, (TOKENS,)),
    "mixer": Case(attention.Mixer, (TOKENS,)),
    "LSTM": Case(sequences.Lstm, (SERIES,)),
    "GRU": Case(sequences.Gru, ((10, 8),)),
    "bag of words": Case(sequences.BagOfWords, (WORDS,)),
    "language model": Case(sequences.LanguageModel, (WORDS,)),
    "mean over positions": Case(sequences.PositionsInMean, ((10, 12),)),
    "dictionary as output": Case(interfaces.DictionaryAsOutput),
    "tuple as output": Case(interfaces.TupleAsOutput, (VALUES,)),
    "two inputs": Case(interfaces.TwoInputs, (IMAGES, (5,))),
    "images changed in place": Case(interfaces.ImagesChangedInPlace),
    "branch on values": Case(interfaces.BranchOnValues, refused="values"),
    "one layer": Case(interfaces.one_layer, (VALUES,), refused="no unit"),
    "normalised stream": Case(interfaces.NormalisedStream, (VALUES,), refused="no unit"),
    "without layers": Case(interfaces.WithoutLayers, (VALUES,), refused="no unit"),
}


def build(name: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """Return a network of the zoo in evaluation mode and an example of its inputs, the same at every call."""
    case = CASES[name]
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return case.build().eval(), tuple(_example(shape) for shape in case.shapes)


def _example(shape: tuple[int, ...]) -> Tensor:
    if shape == WORDS:
        return torch.randint(sequences.ENTRIES, (BATCH, 12))
    return torch.randn(BATCH, *shape)
