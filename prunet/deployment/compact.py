"""Compact ticket file: masks, surviving values and metadata of one network.

The file is in safetensors format and holds a JSON text and the words of a range coder; a SHA-256 covers both.
It does not store names and shapes of the network's tensors, which follow from the model, the preparation and
the class names.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save as safetensors_bytes

from prunet.base.errors import InputError
from prunet.base.files import replacing
from prunet.base.text import readable
from prunet.cells.masks import Masks, Weights
from prunet.deployment import coding, grids
from prunet.deployment.metadata import MAX_WEIGHTS, Spec, Storage, Untrusted, parse, to_text
from prunet.deployment.selection import Ticket

MAX_BYTES = 8 * MAX_WEIGHTS  # of a file; a weight takes about four bytes
LOSSLESS = Storage()
TENSORS = {"coded": "U32", "sha256": "U8"}
END = np.frombuffer(b"end.", np.uint8)  # the last symbols; a decoder that went wrong reads others


def save(
    path: Path, weights: Weights, masks: Masks, metadata: dict[str, Any], storage: Storage = LOSSLESS
) -> None:
    """Write one network to a file, completely or not at all; see `dumps`."""
    data = dumps(weights, masks, metadata, storage)
    with replacing(path) as partial:
        partial.write_bytes(data)


def dumps(weights: Weights, masks: Masks, metadata: dict[str, Any], storage: Storage = LOSSLESS) -> bytes:
    """Return the content of one network's file; equal input gives equal bytes.

    Args:
        weights: every tensor of the model, (*shape). Pruned values are not stored.
        masks: (*shape) of every pruned layer, True where a weight survives.
        metadata: of the ticket, JSON values; `model`, `preparation` and `class_names` are required (see
            `prunet.deployment.inference`).
        storage: how survivors are stored. Those that are on its codebook or grid already are stored exactly.

    Raises:
        InputError: weights or masks do not fit the model, the metadata are incomplete, or weights to be
            quantised are not finite.
    """
    try:
        text = to_text(metadata, storage)
        coded = _encode(weights, masks, *parse(text, metadata.get("model"))[1:])
    except ValueError as error:
        raise InputError(
            f"this ticket cannot be saved ({_reason(error)}); check its weights, masks and metadata."
        ) from None
    return safetensors_bytes({"coded": coded, "sha256": _digest(text, coded)}, {"prunet": text})


def load(path: Path, trusted: str | None = None) -> Ticket:
    """Read one network from a file; see `loads`.

    Raises:
        InputError: the file is missing, damaged, too large, or not a ticket.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; export a ticket first.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give the file of a ticket.") from None
    return loads(data, str(path), trusted)


def loads(data: bytes, name: str = "this ticket", trusted: str | None = None) -> Ticket:
    """Read one network: weights {tensor: (*shape)}, zero where pruned, masks {layer: (*shape)}, and metadata.

    Safe for untrusted bytes: everything in them is checked, and nothing is executed. A model that is not
    built in, whose code would run, is read only if it is the `trusted` one.

    Raises:
        InputError: the bytes are not the result of `dumps`; the message begins with `name`.
    """
    try:
        text, coded = _open(data)
        metadata, storage, tensors = parse(text, trusted)
        return *_decode(coded, storage.bits or 0, tensors), metadata
    except Untrusted as error:
        raise InputError(
            f"{name} is of the network {readable(str(error))}, which is not built in and whose code would "
            "run: if you trust it, name it with --network."
        ) from None
    except (SafetensorError, ValueError, RecursionError) as error:
        raise InputError(
            f"{name} is damaged or not a prunet ticket ({_reason(error)}); download or export it again."
        ) from None


def _open(data: bytes) -> tuple[str, NDArray[np.uint32]]:
    """Return the text and the words of a file after checking its tensors and its checksum."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    tensors = dict(deserialize(data))  # type: ignore[no-untyped-call]
    if {name: tensor["dtype"] for name, tensor in tensors.items()} != TENSORS:
        raise ValueError("it holds other tensors")
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])  # `deserialize` has checked it
    text = (header.get("__metadata__") or {}).get("prunet", "")
    coded = np.frombuffer(tensors["coded"]["data"], "<u4").astype(np.uint32)
    if not np.array_equal(_digest(text, coded), np.frombuffer(tensors["sha256"]["data"], np.uint8)):
        raise ValueError("its checksum is wrong")
    return text, coded


def _digest(text: str, coded: NDArray[np.uint32]) -> NDArray[np.uint8]:
    content = text.encode() + b"\0" + coded.astype("<u4").tobytes()
    return np.frombuffer(hashlib.sha256(content).digest(), np.uint8)


def _encode(weights: Weights, masks: Masks, storage: Storage, tensors: dict[str, Spec]) -> NDArray[np.uint32]:
    expected = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
    masked = {name: (tensor.shape, np.dtype(bool)) for name, tensor in tensors.items() if tensor.pruned}
    if _shapes(weights) != expected or _shapes(masks) != masked:
        raise ValueError("its weights or masks do not fit its model")
    to, bits = coding.encoder(), storage.bits or 0
    for name in masked:
        coding.encode_mask(to, masks[name])
    for name, tensor in tensors.items():
        values = weights[name]
        if tensor.kind == "array":
            coding.encode_array(to, values)
            continue
        mask = masks[name] if tensor.pruned else values != 0
        if not tensor.pruned:
            coding.encode_mask(to, mask)
        if tensor.kind == "floats":
            coding.encode_floats(to, values[mask])
        elif tensor.kind == "codebook":
            coding.encode_codebook(to, values[mask], bits)
        else:
            grids.encode(to, values, mask, bits)
    coding.encode_array(to, END)
    words: NDArray[np.uint32] = to.get_compressed()
    return words


def _decode(words: NDArray[np.uint32], bits: int, tensors: dict[str, Spec]) -> tuple[Weights, Masks]:
    source = coding.decoder(words)
    masks = {
        name: coding.decode_mask(source, tensor.shape) for name, tensor in tensors.items() if tensor.pruned
    }
    floats = sum(int(np.count_nonzero(masks[name])) for name in masks if tensors[name].kind == "floats")
    if floats * coding.REST > len(words) * 32:
        raise ValueError("it is too short for its weights")
    weights: Weights = {}
    for name, tensor in tensors.items():
        if tensor.kind == "array":
            weights[name] = coding.decode_array(source, tensor.shape, tensor.dtype)
            continue
        mask = masks[name] if tensor.pruned else coding.decode_mask(source, tensor.shape)
        if tensor.kind == "grid":
            weights[name] = grids.decode(source, mask, bits)
            continue
        read = coding.decode_floats if tensor.kind == "floats" else coding.decode_codebook
        weights[name] = np.zeros(tensor.shape, np.float32)
        weights[name][mask] = read(source, int(np.count_nonzero(mask)))
    end = coding.decode_array(source, END.shape, END.dtype)
    if not np.array_equal(end, END) or not source.maybe_exhausted():
        raise ValueError("its weights do not end where the file does")
    return weights, masks


def _shapes(arrays: Weights | Masks) -> dict[str, Any]:
    return {name: (values.shape, values.dtype) for name, values in arrays.items()}


def _reason(error: Exception) -> str:
    """Return the cause of an error in one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "its text"
        return f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return (str(error).splitlines() or [type(error).__name__])[0]
