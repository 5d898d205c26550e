"""Block `studies` of params.yaml: data set, model, training."""

import re
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, PlainValidator, Tag, model_validator

from prunet.config.block import Block, Count, Share
from prunet.config.data import Data
from prunet.models.built_in import MODELS


def _step_or_epochs(value: Any) -> int | str:
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)? epochs?", value):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"is {value!r}: must be a step, such as 500, or a time such as '2 epochs'")


StepOrEpochs = Annotated[int | str, PlainValidator(_step_or_epochs)]


def _model_name(value: Any) -> str:
    own = r"(torchvision|timm):\S+|[\w.]+:[^\W\d]\w*|.+\.py:[^\W\d]\w*"
    if isinstance(value, str) and (value in MODELS or re.fullmatch(own, value)):
        return value
    raise ValueError(
        f"is {value!r}: must be one of {', '.join(MODELS)}, or torchvision:NAME, timm:NAME, "
        "PACKAGE.MODULE:FUNCTION, path/to/file.py:FUNCTION"
    )


ModelName = Annotated[str, PlainValidator(_model_name)]


class Normalise(Block):
    """Moments of each channel of the images that weights were trained with, on a scale of 0 to 1."""

    mean: list[Share] = Field(min_length=1)
    std: list[Annotated[float, Field(gt=0, le=1)]] = Field(min_length=1)


# Moments, or one of `pixels.NAMED`. Told apart by type, so that an error names the wrong value alone.
Scaling = Annotated[
    Annotated[Literal["unit-norm", "none"], Tag("[name]")] | Annotated[Normalise, Tag("[moments]")],
    Discriminator(lambda value: "[name]" if isinstance(value, str) else "[moments]"),
]


class Distillation(Block):
    share: float = Field(ge=0, le=1)
    temperature: float = Field(gt=0)


class Training(Block):
    optimizer: Literal["adam", "adamw", "sgd"]
    lr: float = Field(gt=0)
    schedule: Literal["constant", "cosine", "step"]
    milestones: list[Count]
    decay: float = Field(gt=0, le=1)
    warmup: int = Field(ge=0)
    momentum: float = Field(ge=0, lt=1)
    nesterov: bool
    weight_decay: float = Field(ge=0)
    clip_norm: float = Field(ge=0)
    ema: float = Field(ge=0, lt=1)
    recalibrate: int = Field(ge=0)
    freeze: int = Field(ge=0)
    distill: Distillation
    label_smoothing: float = Field(ge=0, lt=1)
    mixup: float = Field(ge=0)
    cutmix: float = Field(ge=0)
    group_lasso: float = Field(ge=0)
    scale_l1: float = Field(ge=0)
    batch_size: Count
    steps: Count
    eval_every: Count
    augment: Literal["none", "crop-flip", "pad-crop-flip", "resized-crop-flip", "rand-augment"]
    dtype: Literal["float32", "bfloat16"]
    channels_last: bool
    threads: Count | None
    ranks: Count

    @model_validator(mode="after")
    def _consistent(self) -> "Training":
        if self.nesterov and not (self.optimizer == "sgd" and self.momentum):
            raise ValueError("nesterov: true needs optimizer sgd and a momentum: set both")
        if self.schedule == "step" and not self.milestones:
            raise ValueError("schedule: step needs milestones, the steps after which the rate falls")
        if self.schedule == "step" and max(self.milestones) >= self.steps:
            raise ValueError(f"milestones has {max(self.milestones)}, and the training {self.steps} steps")
        if 0 < self.recalibrate < self.batch_size:
            raise ValueError(
                f"recalibrate is {self.recalibrate} images, and a batch has {self.batch_size}: give 0, or at "
                "least one batch"
            )
        if self.batch_size % self.ranks:
            raise ValueError(
                f"batch_size is {self.batch_size}, which {self.ranks} ranks cannot share: give a multiple"
            )
        if (self.mixup or self.cutmix) and self.batch_size == self.ranks:
            raise ValueError(
                "mixup and cutmix mix the images of a batch: set batch_size to at least twice the ranks"
            )
        if self.freeze >= self.steps:
            raise ValueError(
                f"freeze is {self.freeze}, and the training has {self.steps} steps: freeze fewer"
            )
        return self


class Layers(Block):
    leave_out: list[str]
    own_rate: dict[str, Annotated[float, Field(ge=0, lt=1)]]


class Study(Block):
    data: Data
    model: ModelName
    weights: str = Field(min_length=1)
    head: Literal["keep", "replace"]
    init: Literal["own", "glorot", "glorot-truncated", "he"]
    input_size: Count | None
    interpolation: Literal["bilinear", "bicubic"] | None
    normalise: Scaling | None
    layers: Layers
    replicates: Count
    reinits: Count
    rewind: StepOrEpochs
    training: Training

    @model_validator(mode="after")
    def _rewinds_into_the_training(self) -> "Study":
        if isinstance(self.rewind, int) and self.rewind >= self.training.steps:
            raise ValueError(
                f"rewind is {self.rewind}, and the training has {self.training.steps} steps: rewind to an "
                "earlier one"
            )
        return self

    @model_validator(mode="after")
    def _distorts_pixels_that_it_knows(self) -> "Study":
        if self.normalise == "unit-norm" and self.training.augment == "rand-augment":
            raise ValueError(
                "augment: rand-augment distorts pixels from 0 to 255, which images of unit norm no longer "
                "have: choose another augment, or normalise: none"
            )
        return self
