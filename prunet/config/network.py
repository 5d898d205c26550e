"""Checks that need a study's network, which is built without memory for its weights."""

from typing import Any

import click
import torch
from torch import nn

from prunet.base.errors import InputError
from prunet.config import unit_rules
from prunet.models import built_in, libraries, loading, weights
from prunet.models.inputs import Shape
from prunet.pruning import patterns, rates
from prunet.pruning.criteria import CRITERIA
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
            penalty or a criterion asks for what the model does not have; or a layer would be empty.
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
    if rules["pattern"]:
        whole = patterns.whole_layers(model, rules["pattern"], own)
        own |= dict.fromkeys(whole, 0.0)
        if whole:
            pattern, left = rules["pattern"], ", ".join(whole)
            click.echo(
                f"studies.{name}: stay whole, since pattern {pattern} does not fit their inputs: {left}."
            )
    if rules["output_rate_factor"] != 1 and rules["scope"] == "layer":
        own.setdefault(built_in.output_layer(model, shape), rules["rate"] * rules["output_rate_factor"])
    unit_rules.check(name, values, model, shape, own)
    if rules["target"] and rules["criterion"] in CRITERIA:
        _check_density(model, rules, own)
    return own


def _check_density(model: nn.Module, rules: dict[str, Any], own: dict[str, float]) -> None:
    """Refuse a target of single weights below what is left when every layer has lost all that it may."""
    sizes = {name: model.get_parameter(name).numel() for name in built_in.prunable(model)}
    rounds = max(1, len(rules["rounds"]) - 1)
    kept = {name: 1 - rates.compounded(share, rounds) for name, share in own.items()}
    left = sum(max(1, kept.get(name, 0) * size) for name, size in sizes.items()) / sum(sizes.values())
    if left > rules["target"]["parameters"]:
        raise InputError(
            f"prune.target.parameters is {rules['target']['parameters']:.4g}, and {left:.4g} is left when "
            "every layer has lost all that it may: give a larger share, or let more layers be pruned"
        )


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
    if isinstance(moments, dict) and {len(moments["mean"]), len(moments["std"])} != {channels}:
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
