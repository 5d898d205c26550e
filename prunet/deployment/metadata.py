"""Metadata of a ticket file, validated, and the tensors that follow from them."""

import json
from collections.abc import Collection
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from prunet.base.errors import InputError
from prunet.models import built_in as models
from prunet.models import loading
from prunet.models.state import state

MAX_WEIGHTS = 2**26  # of a built-in network: limits the memory that a small untrusted file can make us take


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("a name must be printable")
    return name


Mean = Annotated[float, Field(ge=0, le=255)]
Std = Annotated[float, Field(ge=1e-6, le=255)]
Pixels = Annotated[int, Field(ge=1, le=4096)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]


class _Block(BaseModel):
    model_config = ConfigDict(strict=True)


class _Preparation(_Block):
    stored: Pixels
    side: Pixels
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    shape: list[Pixels] = Field(min_length=3, max_length=3)
    mean: Mean | Annotated[list[Mean], Field(min_length=3, max_length=3)]  # or a list, one for each channel
    std: Std | Annotated[list[Std], Field(min_length=3, max_length=3)]
    unit_norm: bool = False


class _Metadata(_Block):
    model: str
    head: Literal["keep", "replace"] = "keep"
    ranks: dict[Name, Annotated[int, Field(ge=1)]] = Field({}, max_length=4096)
    preparation: _Preparation
    class_names: list[Name] = Field(min_length=2, max_length=4096)


class _Text(_Block):
    version: Literal[1]
    bits: Annotated[int, Field(ge=1, le=8)] | None
    biases: bool = False
    grid: bool = False
    whole: list[Name] = Field([], max_length=4096)
    about: _Metadata


class Untrusted(Exception):
    """Raised for a ticket whose network, the message, is not built in and was not named as trusted."""


class Storage(NamedTuple):
    """Storage format of the weights in a ticket file.

    Attributes:
        bits: of a surviving weight, 1 to 8; None: survivors are stored losslessly.
        grid: whether weights are whole numbers times a scale for each output (`grids.quantise`); otherwise
            the survivors of a layer share 2**bits values (Han et al. 2016, section 3).
        biases: whether the values of each bias share 2**bits values too; zeros stay zero. Of a network that
            is pruned to a few percent, biases stored losslessly take a fifth of the file.
        whole: names of weights, such as `fc1.weight`, that are stored losslessly in any case.
    """

    bits: int | None = None
    grid: bool = False
    biases: bool = False
    whole: tuple[str, ...] = ()


class Spec(NamedTuple):
    """Shape and type of one tensor of a network, whether it has a mask, and how a file stores its values.

    `kind` is `array` (every value losslessly), or of those that are not zero or that survive: `floats`
    (losslessly), `codebook` or `grid`.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    pruned: bool
    kind: Literal["array", "floats", "codebook", "grid"]


def is_bias(name: str, dtype: np.dtype[Any]) -> bool:
    """Return whether a tensor is a bias (or the shift of a norm), such as `fc1.bias` or `in_proj_bias`."""
    return name.endswith("bias") and dtype == np.float32


def without_defaults(preparation: dict[str, Any]) -> dict[str, Any]:
    """Return the preparation of images in a ticket's metadata without values that readers assume."""
    return _Preparation.model_validate(preparation).model_dump(exclude_defaults=True)


def to_text(metadata: dict[str, Any], storage: Storage) -> str:
    """Return the JSON text of a ticket file.

    Raises:
        ValueError: the metadata contain NaN or infinity.
    """
    chosen = {name: value for name, value in storage._asdict().items() if value}
    content = {"version": 1, "bits": None, "about": metadata} | chosen
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def parse(text: str, trusted: str | None = None) -> tuple[dict[str, Any], Storage, dict[str, Spec]]:
    """Return the metadata, the storage format of the weights, and the tensors of the network in their order.

    Args:
        text: from `to_text`.
        trusted: a model that is not built in, but may be built: its code runs.

    Raises:
        ValueError: the text is not that of a ticket file, or its network does not exist or is too large.
        Untrusted: its network is not built in and is not the trusted one.
    """
    content = json.loads(text)
    _Text.model_validate(content)
    metadata = content["about"]
    if metadata["model"] not in (*models.MODELS, trusted):
        if ":" in metadata["model"]:
            raise Untrusted(metadata["model"])
        raise ValueError(f"model {metadata['model'][:50]!r} is not one of {', '.join(models.MODELS)}")
    preparation = metadata["preparation"]
    channels, height, width = preparation["shape"]
    if height != width or width > preparation["side"]:
        raise ValueError(f"images of {preparation['side']} pixels a side have no {height}x{width} centre")
    # A built-in model, which a stranger may have chosen, has shapes without memory.
    with torch.device("meta" if metadata["model"] in models.MODELS else "cpu"):
        try:
            model = loading.build_for(metadata, (channels, height, width), len(metadata["class_names"]))
        except InputError as error:
            raise ValueError(error.message) from None
    tensors, pruned = state(model), models.prunable(model)
    total = sum(tensor.numel() for tensor in tensors.values())
    if total > MAX_WEIGHTS and metadata["model"] in models.MODELS:
        raise ValueError(f"its network has {total} weights, more than {MAX_WEIGHTS}")
    dtypes = {name: torch.empty(0, dtype=tensor.dtype).numpy().dtype for name, tensor in tensors.items()}
    storage = Storage(
        content["bits"],
        content.get("grid", False),
        content.get("biases", False),
        tuple(content.get("whole", [])),
    )
    specs = {
        name: Spec(
            tuple(tensor.shape), dtypes[name], name in pruned, _kind(name, dtypes[name], pruned, storage)
        )
        for name, tensor in tensors.items()
    }
    return metadata, storage, specs


def _kind(name: str, dtype: np.dtype[Any], pruned: Collection[str], storage: Storage) -> Any:
    if name not in pruned:
        shared = storage.bits and storage.biases and is_bias(name, dtype)
        return "codebook" if shared else "array"
    if storage.bits is None or name in storage.whole:
        return "floats"
    return "grid" if storage.grid else "codebook"
