"""A ticket in one small file: what survives, and all that its user needs to know.

The file is safetensors, with one text of JSON and the words of a range coder; a SHA-256 covers both. Names
and shapes of the tensors are not in it: they follow from the model, the preparation and the class names.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save as safetensors_bytes

from prunet.base.errors import InputError
from prunet.base.files import replacing
from prunet.deployment import coding
from prunet.deployment.selection import Ticket
from prunet.models import built_in as models
from prunet.pruning.masks import Masks, Weights

MAX_WEIGHTS = 2**26  # of one network: what a small file from a stranger may make us allocate
MAX_BYTES = 8 * MAX_WEIGHTS  # of a file; a weight takes about four
TENSORS = {"coded": "U32", "sha256": "U8"}
END = np.frombuffer(b"end.", np.uint8)  # what a decoder reads last, unless it went astray


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("a class name must be printable")
    return name


Mean = Annotated[float, Field(ge=0, le=255)]
Std = Annotated[float, Field(ge=1e-6, le=255)]
Pixels = Annotated[int, Field(ge=1, le=4096)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]


class _Tensor(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    pruned: bool


class _Block(BaseModel):
    model_config = ConfigDict(strict=True)


class _Preparation(_Block):
    stored: Pixels
    side: Pixels
    shape: list[Pixels] = Field(min_length=3, max_length=3)
    mean: Mean | Annotated[list[Mean], Field(min_length=3, max_length=3)]  # or one for each channel
    std: Std | Annotated[list[Std], Field(min_length=3, max_length=3)]


class _About(_Block):
    model: str
    preparation: _Preparation
    class_names: list[Name] = Field(min_length=2, max_length=4096)


class _Said(_Block):
    version: Literal[1]
    bits: Annotated[int, Field(ge=1, le=8)] | None
    about: _About


def save(path: Path, weights: Weights, masks: Masks, about: dict[str, Any], bits: int | None = None) -> None:
    """Write one network to a file, whole or not at all; see `dumps`."""
    data = dumps(weights, masks, about, bits)
    with replacing(path) as partial:
        partial.write_bytes(data)


def dumps(weights: Weights, masks: Masks, about: dict[str, Any], bits: int | None = None) -> bytes:
    """Return the file of one network; equal input gives equal bytes.

    Args:
        weights: every tensor of the model, (*shape). What `masks` prunes is not kept, whatever it is.
        masks: (*shape) of every pruned layer, True where the weight survives.
        about: what is said about the ticket, as JSON; of it `model`, `preparation` and `class_names` must
            be there (see `prunet.deployment.inference`).
        bits: None: every value comes back bit by bit. 1 to 8: a layer's survivors share 2**bits values
            (Han et al. 2016, section 3); tensors without a mask stay as they are.

    Raises:
        InputError: weights or masks are not those of the model, `about` lacks something, or weights that are
            to be quantised are not finite.
    """
    try:
        said = {"version": 1, "bits": bits, "about": about}
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False)
        coded = _encode(weights, masks, *_read_text(text)[1:])
    except ValueError as error:
        raise InputError(
            f"This ticket cannot be saved ({_reason(error)}): check what it is made of."
        ) from None
    return safetensors_bytes({"coded": coded, "sha256": _digest(text, coded)}, {"prunet": text})


def load(path: Path) -> Ticket:
    """Read one network from a file; see `loads`.

    Raises:
        InputError: the file is missing, damaged, too large, or not such a file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: export a ticket first.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): name a ticket's file.") from None
    return loads(data, str(path))


def loads(data: bytes, name: str = "This ticket") -> Ticket:
    """Read one network: weights {tensor: (*shape)}, zero where pruned, masks {layer: (*shape)}, and `about`.

    Safe for bytes from strangers: nothing is believed unchecked, and nothing in them is code.

    Raises:
        InputError: the bytes are not what `dumps` returned. It begins with `name`.
    """
    try:
        text, coded = _open(data)
        about, bits, tensors = _read_text(text)
        return *_decode(coded, bits, tensors), about
    except (SafetensorError, ValueError, RecursionError) as error:
        raise InputError(
            f"{name} is damaged or not a ticket of prunet ({_reason(error)}): fetch or export it again."
        ) from None


def _open(data: bytes) -> tuple[str, NDArray[np.uint32]]:
    """Return the text and the words of a file, and refuse one that does not have the checksum in it."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    tensors = dict(deserialize(data))  # type: ignore[no-untyped-call]
    if {name: tensor["dtype"] for name, tensor in tensors.items()} != TENSORS:
        raise ValueError("it holds other tensors")
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])  # as `deserialize` checked it
    text = (header.get("__metadata__") or {}).get("prunet", "")
    coded = np.frombuffer(tensors["coded"]["data"], "<u4").astype(np.uint32)
    if not np.array_equal(_digest(text, coded), np.frombuffer(tensors["sha256"]["data"], np.uint8)):
        raise ValueError("its checksum is wrong")
    return text, coded


def _digest(text: str, coded: NDArray[np.uint32]) -> NDArray[np.uint8]:
    content = text.encode() + b"\0" + coded.astype("<u4").tobytes()
    return np.frombuffer(hashlib.sha256(content).digest(), np.uint8)


def _read_text(text: str) -> tuple[dict[str, Any], int | None, dict[str, _Tensor]]:
    """Return `about`, `bits`, and the model's tensors in its order, all checked."""
    said = json.loads(text)
    _Said.model_validate(said)
    about = said["about"]
    if about["model"] not in models.MODELS:
        raise ValueError(f"model {about['model'][:50]!r} is not one of {', '.join(models.MODELS)}")
    preparation = about["preparation"]
    channels, height, width = preparation["shape"]
    if height != width or width > preparation["side"]:
        raise ValueError(f"images of {preparation['side']} pixels a side have no {height}x{width} centre")
    with torch.device("meta"):  # shapes without memory
        try:
            model = models.MODELS[about["model"]]((channels, height, width), len(about["class_names"]))
        except InputError as error:
            raise ValueError(error.message) from None
    state, pruned = model.state_dict(), models.prunable(model)
    total = sum(tensor.numel() for tensor in state.values())
    if total > MAX_WEIGHTS:
        raise ValueError(f"its network has {total} weights, more than {MAX_WEIGHTS}")
    return about, said["bits"], {name: _tensor(tensor, name in pruned) for name, tensor in state.items()}


def _tensor(tensor: torch.Tensor, pruned: bool) -> _Tensor:
    return _Tensor(tuple(tensor.shape), torch.empty(0, dtype=tensor.dtype).numpy().dtype, pruned)


def _encode(
    weights: Weights, masks: Masks, bits: int | None, tensors: dict[str, _Tensor]
) -> NDArray[np.uint32]:
    expected = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
    masked = {name: (tensor.shape, np.dtype(bool)) for name, tensor in tensors.items() if tensor.pruned}
    if _shapes(weights) != expected or _shapes(masks) != masked:
        raise ValueError("weights or masks are not those of its model")
    to = coding.encoder()
    for name in masked:
        coding.encode_mask(to, masks[name])
    for name, tensor in tensors.items():
        if not tensor.pruned:
            coding.encode_array(to, weights[name])
        elif bits is None:
            coding.encode_floats(to, weights[name][masks[name]])
        else:
            coding.encode_codebook(to, weights[name][masks[name]], bits)
    coding.encode_array(to, END)
    words: NDArray[np.uint32] = to.get_compressed()
    return words


def _decode(
    words: NDArray[np.uint32], bits: int | None, tensors: dict[str, _Tensor]
) -> tuple[Weights, Masks]:
    source = coding.decoder(words)
    masks = {
        name: coding.decode_mask(source, tensor.shape) for name, tensor in tensors.items() if tensor.pruned
    }
    survivors = {name: int(np.count_nonzero(mask)) for name, mask in masks.items()}
    if bits is None and sum(survivors.values()) * coding.REST > len(words) * 32:
        raise ValueError("it is too short for its weights")
    weights: Weights = {}
    for name, tensor in tensors.items():
        if not tensor.pruned:
            weights[name] = coding.decode_array(source, tensor.shape, tensor.dtype)
            continue
        read = coding.decode_floats if bits is None else coding.decode_codebook
        weights[name] = np.zeros(tensor.shape, np.float32)
        weights[name][masks[name]] = read(source, survivors[name])
    end = coding.decode_array(source, END.shape, END.dtype)
    if not np.array_equal(end, END) or not source.maybe_exhausted():
        raise ValueError("it does not end where its weights do")
    return weights, masks


def _shapes(arrays: Weights | Masks) -> dict[str, Any]:
    return {name: (values.shape, values.dtype) for name, values in arrays.items()}


def _reason(error: Exception) -> str:
    """Say in one line what is wrong."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "its text"
        return f"{place}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return (str(error).splitlines() or [type(error).__name__])[0]
