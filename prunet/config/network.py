"""Checks that need a study's network, which is built without memory for its weights."""

from typing import Any

import numpy as np
import torch
from torch import nn

from prunet.base.errors import InputError
from prunet.models import built_in, libraries, loading, weights
from prunet.models.inputs import Shape
from prunet.pruning import budgets, rates
from prunet.pruning.rounds import ModelQueries, TrainedNetworks, prune
from prunet.pruning.unit_criteria import UNIT_CRITERIA
from prunet.structure.finding import find_units, nothing_to_remove
from prunet.structure.masks import coupled
from prunet.structure.rounding import multiples
from prunet.training.pixels import resized_side, visible_side

# Channels, and pixels a side, of the images of a set; and its classes.
IMAGES = {
    **{"optdigits": (1, 8), "mnist": (1, 28), "fashion-mnist": (1, 28), "kmnist": (1, 28)},
    **{"cifar-10": (3, 32), "cifar-100": (3, 32)},
}
CLASSES = dict.fromkeys(IMAGES, 10) | {"cifar-100": 100}
NEED_NORMS = {"scale_l1": "penalises the scales", "recalibrate": "measures the running statistics"}
SOME = 2  # stands for the number of classes that faces and folders have: names of layers do not depend on it


def own_rates(name: str, values: dict[str, Any]) -> dict[str, float]:
    """Return {layer: rate} of the layers that a round does not prune at `prune.rate`.

    Args:
        name: of the study.
        values: of params.yaml, valid by themselves.

    Raises:
        InputError: the study's images or weights do not fit its model; its `layers` are not the model's; a
            criterion, of `prune` or `sweep`, or a penalty asks for what the model does not have; or a layer
            would be empty.
    """
    block, rules = values["studies"][name], values["prune"]
    shape = input_shape(block, values["resize"]["size"])
    model = build(block, shape)
    normed = any("running_var" in key for key in model.state_dict())
    for setting, does in NEED_NORMS.items():
        if block["training"][setting] and not normed:
            raise InputError(
                f"training.{setting} {does} of norms, and {block['model']} has no norms: set it to 0, or "
                "choose a model with norms, such as resnet-20"
            )
    try:
        own = rates.own_rates(**block["layers"], layers=built_in.prunable(model))
    except InputError as error:
        raise InputError(f"layers {error.message}") from None
    if rules["output_rate_factor"] != 1 and rules["scope"] == "layer":
        own.setdefault(built_in.output_layer(model, shape), rules["rate"] * rules["output_rate_factor"])
    swept = values["sweep"]["criteria"] if name in values["sweep"]["studies"] else []
    for criterion in {rules["criterion"], *swept} & UNIT_CRITERIA.keys():
        check_units(model, shape, rules | {"criterion": criterion, "own": own})
    return own


def build(block: dict[str, Any], shape: Shape) -> nn.Module:
    """Build a study's model, a built-in one without memory, and check it with the study's weights.

    Args:
        block: of the study.
        shape: (C, H, W) of an image.

    Raises:
        InputError: the model cannot be built, or images, classes or weights do not fit it.
    """
    classes = CLASSES.get(block["data"]["set"])
    if block["model"] in built_in.MODELS:  # it fits all images that it can be built for
        with torch.device("meta"):
            model = loading.build_for(block, shape, classes or SOME)
    else:
        model = loading.build_for(block, shape, classes or SOME)
        loading.check(block["model"], model, shape, classes)
    # Without the number of classes, whether the head's weights fit is not known before the training.
    weights.load(block if classes else block | {"head": "replace"}, model, shape)
    return model


def filled(block: dict[str, Any]) -> dict[str, Any]:
    """Return a study's block with the images that its pretrained weights expect, where it does not say.

    Args:
        block: of the study: `input_size`, `interpolation` and `normalise` are None where it does not say.

    Raises:
        InputError: the model is of no library, or moments are not of the images' channels.
    """
    channels, _ = _stored(block["data"], face=0)
    expected: dict[str, Any] = {"interpolation": "bilinear"}
    if block["weights"] == "pretrained":
        expected = libraries.images(block["model"], channels)
    moments = block["normalise"]
    if moments and {len(moments["mean"]), len(moments["std"])} != {channels}:
        raise InputError(f"normalise needs a mean and a std for each of the images' {channels} channels")
    return block | {name: value for name, value in expected.items() if block[name] is None}


def input_shape(block: dict[str, Any], face: int) -> Shape:
    """Return the shape (C, H, W) of the images that a study's model sees.

    Args:
        block: of the study.
        face: `resize.size`, pixels a side of the faces.
    """
    augment = block["training"]["augment"]
    channels, stored = _stored(block["data"], face)
    side = visible_side(resized_side(stored, block["input_size"], augment), augment)
    return channels, side, side


def _stored(data: dict[str, Any], face: int) -> tuple[int, int]:
    """Return the channels, and pixels a side, of the images in a dataset file."""
    return {**IMAGES, "faces": (1, face), "folder": (3, data["side"])}[data["set"]]


def check_units(model: nn.Module, shape: Shape, rules: dict[str, Any]) -> None:
    """Prune the units of a network of zeros, which fails where pruning the trained networks would.

    Args:
        model: on any device.
        shape: (C, H, W) of an image.
        rules: the arguments of `rounds.prune` that are in the block `prune`, and `own`.
    """
    shapes = {name: model.get_parameter(name).shape for name in built_in.prunable(model)}
    # One weight a row, with the dimensions of the layer: the scores of units need no more.
    masks = {name: np.ones((1, size[0], *[1] * (len(size) - 1)), bool) for name, size in shapes.items()}
    device = next(model.parameters()).device
    units = find_units(model, torch.zeros(2, *shape, device=device), rules["attention"])
    groups, norms = coupled(units)
    if not groups:
        raise nothing_to_remove(units)
    ones = {name: mask.astype(np.float32) for name, mask in masks.items()}
    ones |= {f"{norm}.weight": ones[name].reshape(1, -1) for name, norm in norms.items()}
    counted = {cost: share for cost, share in rules["target"].items() if cost != "milliseconds"}
    queries = ModelQueries(_not_asked, _not_asked, groups, norms, unread=lambda found: found)
    prune(
        TrainedNetworks(ones, masks, lambda: ones, lambda: queries),
        number=max(1, len(rules["rounds"]) - 1),
        seed=0,
        **{key: rules[key] for key in ("schedule", "rate", "own", "scope", "criterion", "empty_layers")},
        budget=budgets.budget(counted, rules["criterion"], lambda: units, ()),
        multiples=multiples(units, groups, rules["round_to"]),
    )


def _not_asked(*_: Any) -> Any:
    raise NotImplementedError("criteria of units use neither gradients nor synaptic flow")
