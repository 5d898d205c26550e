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
from prunet.deployment import coding
from prunet.deployment.metadata import MAX_WEIGHTS, Spec, Untrusted, parse, to_text
from prunet.deployment.selection import Ticket

MAX_BYTES = 8 * MAX_WEIGHTS  # of a file; a weight takes about four bytes
TENSORS = {"coded": "U32", "sha256": "U8"}
END = np.frombuffer(b"end.", np.uint8)  # the last symbols; a decoder that went wrong reads others


def save(
    path: Path,
    weights: Weights,
    masks: Masks,
    metadata: dict[str, Any],
    bits: int | None = None,
    biases: bool = False,
) -> None:
    """Write one network to a file, completely or not at all; see `dumps`."""
    data = dumps(weights, masks, metadata, bits, biases)
    with replacing(path) as partial:
        partial.write_bytes(data)


def dumps(
    weights: Weights,
    masks: Masks,
    metadata: dict[str, Any],
    bits: int | None = None,
    biases: bool = False,
) -> bytes:
    """Return the content of one network's file; equal input gives equal bytes.

    Args:
        weights: every tensor of the model, (*shape). Pruned values are not stored.
        masks: (*shape) of every pruned layer, True where a weight survives.
        metadata: of the ticket, JSON values; `model`, `preparation` and `class_names` are required (see
            `prunet.deployment.inference`).
        bits: None stores every survivor losslessly. 1 to 8: the survivors of a layer share 2**bits values
            (Han et al. 2016, section 3); tensors without a mask are stored losslessly.
        biases: whether the values of each bias share 2**bits values too; zeros stay zero. Of a network that
            is pruned to a few percent, whole biases take a fifth of the file.

    Raises:
        InputError: weights or masks do not fit the model, the metadata are incomplete, or weights to be
            quantised are not finite.
    """
    try:
        text = to_text(metadata, bits, biases)
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
        metadata, bits, tensors = parse(text, trusted)
        return *_decode(coded, bits, tensors), metadata
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


def _encode(weights: Weights, masks: Masks, bits: int | None, tensors: dict[str, Spec]) -> NDArray[np.uint32]:
    expected = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
    masked = {name: (tensor.shape, np.dtype(bool)) for name, tensor in tensors.items() if tensor.pruned}
    if _shapes(weights) != expected or _shapes(masks) != masked:
        raise ValueError("its weights or masks do not fit its model")
    to = coding.encoder()
    for name in masked:
        coding.encode_mask(to, masks[name])
    for name, tensor in tensors.items():
        values = weights[name]
        if not (tensor.pruned or tensor.shared):
            coding.encode_array(to, values)
            continue
        mask = masks[name] if tensor.pruned else values != 0
        if not tensor.pruned:
            coding.encode_mask(to, mask)
        if tensor.shared:
            assert bits
            coding.encode_codebook(to, values[mask], bits)
        else:
            coding.encode_floats(to, values[mask])
    coding.encode_array(to, END)
    words: NDArray[np.uint32] = to.get_compressed()
    return words


def _decode(words: NDArray[np.uint32], bits: int | None, tensors: dict[str, Spec]) -> tuple[Weights, Masks]:
    source = coding.decoder(words)
    masks = {
        name: coding.decode_mask(source, tensor.shape) for name, tensor in tensors.items() if tensor.pruned
    }
    survivors = sum(int(np.count_nonzero(mask)) for mask in masks.values())
    if bits is None and survivors * coding.REST > len(words) * 32:
        raise ValueError("it is too short for its weights")
    weights: Weights = {}
    for name, tensor in tensors.items():
        if not (tensor.pruned or tensor.shared):
            weights[name] = coding.decode_array(source, tensor.shape, tensor.dtype)
            continue
        read = coding.decode_codebook if tensor.shared else coding.decode_floats
        mask = masks[name] if tensor.pruned else coding.decode_mask(source, tensor.shape)
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
