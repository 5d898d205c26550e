"""Blocks of params.yaml for where images come from, and how they are made ready."""

from typing import Literal

from pydantic import Field, model_validator

from prunet.config.block import Block, Count, Percent, Severity, Share


class Images(Block):
    val: Count
    test: Count
    downloads: str = Field(min_length=1)
    folder: str = Field(min_length=1)
    side: int = Field(ge=1, le=4096)
    memory: int = Field(ge=0)


class Sample(Block):
    photos: Count


class Ingest(Block):
    source: str = Field(min_length=1)
    concurrency: int = Field(ge=1, le=256)
    host_concurrency: int = Field(ge=1, le=256)
    host_delay: float = Field(ge=0)
    timeout: float = Field(gt=0)
    retries: int = Field(ge=0, le=20)
    max_bytes: Count
    max_pixels: Count
    user_agent: str = Field(min_length=1)
    store: str = Field(min_length=1)
    private_addresses: bool
    recheck: bool


class Finding(Block):
    """How faces are found and cut out: tickets keep it, so that faces in use are those of training."""

    min_confidence: Share
    min_size: Count
    keep: Literal["largest", "surest", "only"]
    margin: float = Field(ge=0, le=5)
    max_side: Count


class Crop(Finding):
    min_accepted: Share
    doubtful: Severity


class Resize(Block):
    size: Count
    exclude: str


class Split(Block):
    train: Percent
    val: Percent
    test: Percent
    near_duplicate_distance: int = Field(ge=0, le=64)
    min_faces: int = Field(ge=0)
    doubtful: Severity

    @model_validator(mode="after")
    def _whole(self) -> "Split":
        total = self.train + self.val + self.test
        if total != 100:
            raise ValueError(f"train, val and test are percent and must sum to 100, not {total}")
        return self
