"""A data set and a study that train in milliseconds, and parameters for the stages."""

import json
from pathlib import Path

import numpy as np
import torch

torch.set_num_threads(1)  # as in SETTINGS: the bits depend on it

PARAMS = Path(__file__).parent.parent / "params.yaml"
SETTINGS = {
    **{"optimizer": "adam", "momentum": 0.9, "nesterov": False, "weight_decay": 0.1},
    **{"lr": 0.01, "schedule": "constant", "milestones": [], "decay": 0.1, "warmup": 0},
    **{"clip_norm": 0.0, "ema": 0.0, "recalibrate": 0, "freeze": 0, "mixup": 0.0, "cutmix": 0.0},
    **{"label_smoothing": 0.0, "group_lasso": 0.0, "scale_l1": 0.0},
    **{"batch_size": 8, "steps": 30, "eval_every": 10, "augment": "none"},
    **{
        "dtype": "float32",
        "channels_last": False,
        "threads": 1,
        "ranks": 1,
        "distill": {"share": 0.0, "temperature": 4.0},
    },
}


def block(**training):
    """Return a study's block of params.yaml without `data`, as the stages get it."""
    model = {"model": "lenet-300-100", "weights": "none", "head": "keep", "init": "glorot"}
    model |= {"input_size": None, "interpolation": "bilinear", "normalise": None}
    return model | {"replicates": 2, "rewind": 0, "training": SETTINGS | training}


def study(**training):
    """Return the study that a `Trainer` takes."""
    return {"name": "toy", "seed": 0, "attention": "heads"} | block(**training)


def data(side=6, count=120, classes=3):
    """Return a dataset of noise with a bright row whose position is the class."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % classes
    images = rng.integers(0, 120, (count, 1, side, side), np.uint8)
    images[np.arange(count), 0, labels] += 100
    split = np.repeat([0, 1, 2], [count // 2, count // 4, count - count // 2 - count // 4]).astype(np.uint8)
    return {"images": images, "labels": labels, "split": split, "class_names": list("abcdefgh"[:classes])}


def params_values(*, schemes=("original",), last_round=1, study=None, training=None, **blocks):
    """Return the values of the committed params.yaml with the study `toy` alone, validated.

    Args:
        schemes: of `prune`.
        last_round: the last of its rounds.
        study: what differs in the study.
        training: what differs in its block `training`.
        blocks: what differs in other blocks, by name.
    """
    from prunet.config import params  # needs pydantic, and few tests call this
    from prunet.config.pruning import rounds

    values = params.load(PARAMS)
    number = f"{last_round:02}"
    common = values["studies"]["digits"]
    values["studies"] = {"toy": {**common, **block(**training or {}), **(study or {})}}
    changes = {
        "prune": {"schemes": list(schemes)},
        "report": {"scheme": schemes[0], "round": number},
        "export": {"scheme": schemes[0], "round": number},
        "stability": {"rounds": ["00"]},
    }
    for name, block_ in changes.items():
        values[name] |= block_
    for name, change in blocks.items():
        values[name] = values[name] | change if isinstance(change, dict) else change
    values["prune"]["rounds"] = rounds(last_round + 1, values["prune"]["schedule"])
    return params.Params.model_validate(values).model_dump(by_alias=True)


def write_stage_params(folder, values):
    """Write the parameters of every stage below a folder, as the stage `check` does."""
    from prunet.config import params

    for name, found in params.stage_params(values).items():
        path = folder / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
