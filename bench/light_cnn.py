"""LightCNN-9 at its published size: milliseconds per training image, and the share of the peak."""

from typing import Any, NamedTuple

import numpy as np
import torch

from bench import machine, prunet_loop
from bench.machine import Found
from prunet.base.processes import cores
from prunet.models import built_in as models
from prunet.training import batches

CLASSES = 7
TRAINING = prunet_loop.PLAIN | {"lr": 0.001, "augment": "crop-flip", "channels_last": True}


class Sizes(NamedTuple):
    """Size of the measurement."""

    input_size: int = 128  # pixels a side; images are stored with 9/8 of it, for random crops
    batch_size: int = 20
    steps: int = 12
    warm_up: int = 2  # steps that do not count
    repeats: int = 3


QUICK = Sizes(input_size=16, batch_size=2, steps=4, repeats=2)


def measure(quick: bool, threads: int) -> tuple[dict[str, float], Found]:
    """Measure training in bfloat16 and float32 on all cores, and the peak of each."""
    sizes = QUICK if quick else Sizes()
    bfloat16, float32 = (job(sizes, dtype) for dtype in ("bfloat16", "float32"))
    found = machine.alternate(
        {
            "bf16_roofline_gflops": lambda: machine.roofline(torch.bfloat16),
            "lightcnn_ms_per_image": lambda: image_ms(bfloat16, sizes),
            "lightcnn_fp32_roofline_gflops": lambda: machine.roofline(torch.float32),
            "lightcnn_float32_ms_per_image": lambda: image_ms(float32, sizes),
        },
        sizes.repeats,
    )
    values = machine.medians(found)
    shape = (1, sizes.input_size, sizes.input_size)
    gflop = machine.training_gflop(bfloat16.model, shape)
    peak, peak32 = values["bf16_roofline_gflops"], values["lightcnn_fp32_roofline_gflops"]
    return values | {
        "lightcnn_gflop_per_image": gflop,
        "lightcnn_share_of_roofline": 1000 * gflop / peak / values["lightcnn_ms_per_image"],
        "lightcnn_float32_share_of_roofline": 1000 * gflop / peak32 / values["lightcnn_float32_ms_per_image"],
    }, found


def image_ms(work: prunet_loop.Job, sizes: Sizes) -> float:
    """Return milliseconds per image of one training run on all cores."""
    return prunet_loop.step_ms(work, 1, cores(), sizes.warm_up) / sizes.batch_size


def job(sizes: Sizes, dtype: str) -> prunet_loop.Job:
    """Return a training run on noise that hardly evaluates."""
    side, counts = sizes.input_size * 9 // 8, (60, CLASSES, CLASSES)
    data: dict[str, Any] = {
        "images": np.random.default_rng(0).integers(0, 256, (sum(counts), 1, side, side), np.uint8),
        "labels": np.arange(sum(counts)) % CLASSES,
        "split": np.repeat(np.arange(3, dtype=np.uint8), counts),
    }
    splits = batches.to_device(data, sizes.input_size, TRAINING["augment"], torch.device("cpu"))
    model = models.MODELS["light-cnn-9"](batches.input_shape(splits, TRAINING["augment"]), CLASSES)
    settings = {"batch_size": sizes.batch_size, "steps": sizes.steps, "eval_every": sizes.steps}
    return prunet_loop.job(model, splits, TRAINING | settings | {"dtype": dtype})
