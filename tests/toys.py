"""A data set and settings that train in milliseconds."""

import numpy as np
import torch

torch.set_num_threads(1)  # as the settings below have it: the bits depend on it

SETTINGS = {
    "optimizer": "adam",
    "lr": 0.01,
    "schedule": "constant",
    "milestones": [],
    "decay": 0.1,
    "warmup": 0,
    "momentum": 0.9,
    "nesterov": False,
    "weight_decay": 0.1,
    "label_smoothing": 0.0,
    "group_lasso": 0.0,
    "scale_l1": 0.0,
    "batch_size": 8,
    "steps": 30,
    "eval_every": 10,
    "augment": "none",
    "dtype": "float32",
    "channels_last": False,
    "threads": 1,
}


def block(**training):
    return {
        "model": "lenet-300-100",
        "init": "glorot",
        "input_size": None,
        "replicates": 2,
        "reinits": 1,
        "rewind": 0,
        "training": SETTINGS | training,
    }


def data(side=6, count=120, classes=3):
    """Noise with a bright row whose place is the class."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % classes
    images = rng.integers(0, 120, (count, 1, side, side), np.uint8)
    images[np.arange(count), 0, labels] += 100
    split = np.repeat([0, 1, 2], [count // 2, count // 4, count - count // 2 - count // 4]).astype(np.uint8)
    return {"images": images, "labels": labels, "split": split, "class_names": list("abcdefgh"[:classes])}
