"""Lossless entropy coding of arrays with a range coder.

All arrays of a network go through one range coder (Martin 1979; the library constriction): symbols with a
known distribution cost its entropy, all others their bits. Decoding mirrors encoding, call by call. A decoder
returns as many symbols as it is asked for, even from words that encode something else, so every decoded count
is checked.
"""

from typing import Any

import numpy as np
from constriction import stream  # type: ignore[import-untyped]
from numpy.typing import DTypeLike, NDArray

from prunet.deployment.codebook import quantise

Array = NDArray[Any]

CHUNK = 1 << 20  # symbols; bounds the memory of the coder's int32 arrays
REST = 22  # sign and low bits of a float32, which are practically random; exponent and two more bits are not
BYTE = stream.model.Uniform(256)
REST_BITS = stream.model.Uniform(1 << REST)


def encoder() -> Any:
    """Return an empty range encoder; its `get_compressed()` returns (n,) uint32."""
    return stream.queue.RangeEncoder()


def decoder(words: NDArray[np.uint32]) -> Any:
    """Return a range decoder for `words` (n,)."""
    return stream.queue.RangeDecoder(words)


def encode_array(to: Any, array: Array) -> None:
    """Append an array of any shape and type uncompressed."""
    _encode(to, np.frombuffer(array.astype(array.dtype.newbyteorder("<")).tobytes(), np.uint8), BYTE)


def decode_array(source: Any, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Decode what `encode_array` appended."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    data = _decode(source, size, BYTE, np.uint8).tobytes()
    return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(shape)


def encode_mask(to: Any, mask: NDArray[np.bool_]) -> None:
    """Append a mask of any shape with at least one entry; it costs the entropy of its density and 4 bytes."""
    survivors = int(np.count_nonzero(mask))
    encode_array(to, np.array(survivors, np.uint32))
    _encode(to, mask.ravel(), _bernoulli(survivors, mask.size))


def decode_mask(source: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Decode what `encode_mask` appended.

    Raises:
        ValueError: the words do not encode a mask of this shape.
    """
    size, survivors = int(np.prod(shape)), int(decode_array(source, (), np.uint32))
    if survivors > size:
        raise ValueError(f"{survivors} survivors of {size} weights")
    mask = _decode(source, size, _bernoulli(survivors, size), np.bool_)
    if np.count_nonzero(mask) != survivors:
        raise ValueError(f"a mask without its {survivors} survivors")
    return mask.reshape(shape)


def encode_symbols(to: Any, symbols: Array, kinds: int) -> None:
    """Append symbols (n,), 0 to `kinds` - 1; cost: their distribution's entropy and `kinds` bytes."""
    counts = np.bincount(symbols, minlength=kinds)
    frequencies = (-(-255 * counts // counts.max(initial=1))).astype(np.uint8)  # from 1 if it occurs
    encode_array(to, frequencies)
    if kinds > 1:
        _encode(to, symbols, _categorical(frequencies))


def decode_symbols(source: Any, count: int, kinds: int, dtype: DTypeLike) -> Array:
    """Decode what `encode_symbols` appended, (count,).

    Raises:
        ValueError: the words do not encode such symbols.
    """
    frequencies = decode_array(source, (kinds,), np.uint8)
    if count and not frequencies.any():
        raise ValueError("values without a distribution")
    if kinds < 2:
        return np.zeros(count, dtype)
    return _decode(source, count, _categorical(frequencies), dtype)


def encode_floats(to: Any, values: NDArray[np.float32]) -> None:
    """Append float32 values (n,) losslessly: sign and low bits uncompressed, the others as one symbol.

    The magnitudes of surviving weights span few octaves, and within an octave smaller ones are more frequent,
    so the exponent and the first two bits of the mantissa form a symbol with a skewed distribution.
    """
    bits = values.view(np.uint32)
    rotated = (bits << 1) | (bits >> 31)  # the sign becomes the lowest bit
    top = rotated >> REST
    present = np.bincount(top, minlength=1 << (32 - REST)) > 0
    encode_mask(to, present)
    encode_symbols(to, (np.cumsum(present) - 1)[top], int(present.sum()))
    _encode(to, rotated & ((1 << REST) - 1), REST_BITS)


def decode_floats(source: Any, count: int) -> NDArray[np.float32]:
    """Decode what `encode_floats` appended, (count,).

    Raises:
        ValueError: the words do not encode such values.
    """
    present = np.flatnonzero(decode_mask(source, (1 << (32 - REST),))).astype(np.uint32)
    top = present[decode_symbols(source, count, len(present), np.uint16)]
    rotated = (top << REST) | _decode(source, count, REST_BITS, np.uint32)
    return ((rotated >> 1) | (rotated << 31)).view(np.float32)


def encode_codebook(to: Any, values: NDArray[np.float32], bits: int) -> None:
    """Append float32 values (n,) quantised to a codebook of at most 2**bits entries.

    Raises:
        ValueError: a value is not finite.
    """
    if not np.isfinite(values).all():
        raise ValueError("only finite weights can be quantised")
    codebook, indices = quantise(values, bits)
    encode_array(to, np.array(len(codebook), np.uint16))
    encode_array(to, codebook)
    encode_symbols(to, indices, len(codebook))


def decode_codebook(source: Any, count: int) -> NDArray[np.float32]:
    """Decode what `encode_codebook` appended, (count,).

    Raises:
        ValueError: the words do not encode such values.
    """
    size = int(decode_array(source, (), np.uint16))
    if size > 256:
        raise ValueError(f"a codebook of {size} values")
    codebook: NDArray[np.float32] = decode_array(source, (size,), np.float32)
    if not np.isfinite(codebook).all():
        raise ValueError("a codebook that is not finite")
    return codebook[decode_symbols(source, count, size, np.uint8)]


def _bernoulli(survivors: int, size: int) -> Any:
    return stream.model.Bernoulli(survivors / size, perfect=False)


def _categorical(frequencies: NDArray[np.uint8]) -> Any:
    return stream.model.Categorical(frequencies.astype(np.float64), perfect=False)


def _encode(to: Any, symbols: Array, model: Any) -> None:
    for first in range(0, len(symbols), CHUNK):
        to.encode(symbols[first : first + CHUNK].astype(np.int32), model)


def _decode(source: Any, count: int, model: Any, dtype: DTypeLike) -> Array:
    symbols = np.empty(count, dtype)
    try:
        for first in range(0, count, CHUNK):
            part = symbols[first : first + CHUNK]
            part[:] = source.decode(model, len(part))
    except AssertionError:  # from constriction, if no symbol has this code
        raise ValueError("words that do not decode") from None
    return symbols
