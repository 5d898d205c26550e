"""Blocks of params.yaml about images: where they come from and how they are prepared."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from prunet.config.block import Block, Count, Severity, Share


class Data(Block):
    """Data set of a study."""

    set: Literal["optdigits", "mnist", "fashion-mnist", "kmnist", "cifar-10", "cifar-100", "folder", "faces"]
    source: str = Field(min_length=1)
    val: Count | Annotated[float, Field(gt=0, lt=1)]
    test: Count | Annotated[float, Field(gt=0, lt=1)]
    side: int = Field(ge=1, le=4096)
    memory: int = Field(ge=0)
    downloads: str = Field(min_length=1)
    near_duplicate_distance: int = Field(ge=0, le=64)
    min_images: int = Field(ge=0)
    doubtful: Severity

    @model_validator(mode="after")
    def _split_sizes(self) -> "Data":
        for name, size in (("val", self.val), ("test", self.test)):
            if self.set == "faces" and not isinstance(size, float):
                raise ValueError(
                    f"{name} is {size}: in the set faces it is a share of each person's images, such as 0.2"
                )
            if self.set != "faces" and not isinstance(size, int):
                raise ValueError(
                    f"{name} is {size}: in the set {self.set} it is a number of images, such as 360"
                )
        if self.set == "faces" and self.val + self.test >= 1:
            raise ValueError(f"val is {self.val} and test {self.test}: they leave no images for training")
        return self


class Sample(Block):
    photos: Count


class Ingest(Block):
    source: str = Field(min_length=1)
    min_images: int = Field(ge=0)
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


class Crop(Block):
    min_confidence: Share
    min_size: Count
    keep: Literal["largest", "surest", "only", "most-alike"]
    embedding: Literal["none", "sface"]
    margin: float = Field(ge=0, le=5)
    max_side: Count
    min_accepted: Share
    doubtful: Severity

    @model_validator(mode="after")
    def _most_alike_compares_embeddings(self) -> "Crop":
        if self.keep == "most-alike" and self.embedding == "none":
            raise ValueError("keep is most-alike, which compares embeddings: set embedding: sface")
        return self


class Resize(Block):
    size: Count
    exclude: str
