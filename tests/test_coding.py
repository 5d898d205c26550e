import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from prunet.deployment import coding

LAWS = settings(max_examples=40, deadline=None, derandomize=True, database=None)
SHAPES = arrays.array_shapes(max_dims=4, max_side=12)
WORDS = arrays.arrays(np.uint32, st.integers(0, 40))
# Zeros, infinities, NaNs and denormals of both signs.
ODD_FLOATS = [0, 1 << 31, 0x7F800000, 0xFF800000, 0x7FC00001, 0xFFA00000, 1, 0x807FFFFF]


def words(encode, *args):
    to = coding.encoder()
    encode(to, *args)
    return to.get_compressed()


def entropy(counts):
    """Return the bits of all symbols together by the entropy of their own distribution."""
    return sum(count * math.log2(sum(counts) / count) for count in counts if count)


@LAWS
@given(arrays.arrays(np.bool_, SHAPES))
def test_a_mask_is_decoded_exactly(mask):
    read = coding.decode_mask(coding.decoder(words(coding.encode_mask, mask)), mask.shape)
    np.testing.assert_array_equal(read, mask)


@pytest.mark.parametrize("survivors", [0, 1, 1000, 50_000, 99_999, 100_000])
def test_a_mask_costs_the_entropy_of_its_density(survivors):
    mask = np.random.default_rng(0).permutation(100_000) < survivors
    bits = 32 * len(words(coding.encode_mask, mask))
    assert bits <= 1.001 * entropy([survivors, 100_000 - survivors]) + 100


@LAWS
@given(arrays.arrays(np.uint32, st.integers(0, 60)))
@example(np.array(ODD_FLOATS, np.uint32))
def test_floats_are_decoded_bit_by_bit(bits):
    read = coding.decode_floats(coding.decoder(words(coding.encode_floats, bits.view(np.float32))), len(bits))
    np.testing.assert_array_equal(read.view(np.uint32), bits)


def test_survivors_of_magnitude_pruning_cost_less_than_27_bits():
    values = np.random.default_rng(0).normal(0, 0.05, 100_000).astype(np.float32)
    survivors = values[np.abs(values) > 0.1]
    assert 32 * len(words(coding.encode_floats, survivors)) < 27 * len(survivors)


@pytest.mark.parametrize("kinds", [1, 2, 5, 256, 1024])
def test_symbols_are_decoded_exactly_and_cost_the_entropy_of_their_distribution(kinds):
    rng = np.random.default_rng(kinds)
    for count in (kinds, 1000, 50_000):
        symbols = (kinds * rng.random(count) ** 3).astype(np.uint16)
        coded = words(coding.encode_symbols, symbols, kinds)
        read = coding.decode_symbols(coding.decoder(coded), count, kinds, np.uint16)
        np.testing.assert_array_equal(read, symbols)
        assert 32 * len(coded) <= 1.01 * entropy(np.bincount(symbols)) + 8 * kinds + 100


@pytest.mark.parametrize(
    "values", [np.array(7), np.arange(-3, 3).reshape(2, 3), np.zeros((0, 4), np.float32)]
)
def test_arrays_of_any_shape_and_type_are_decoded_exactly(values):
    read = coding.decode_array(coding.decoder(words(coding.encode_array, values)), values.shape, values.dtype)
    assert read.dtype == values.dtype
    np.testing.assert_array_equal(read, values, strict=True)


@LAWS
@given(arrays.arrays(np.float32, st.integers(0, 80), elements=st.floats(-1, 1, width=32)), st.integers(1, 8))
def test_quantised_values_are_decoded_as_their_nearest_entry(values, bits):
    coded = words(coding.encode_codebook, values, bits)
    codebook, indices = coding.quantise(values, bits)
    read = coding.decode_codebook(coding.decoder(coded), len(values))
    np.testing.assert_array_equal(read, codebook[indices])


def test_the_chunk_size_does_not_change_the_words(monkeypatch):
    mask = np.random.default_rng(0).random((30, 40)) < 0.2
    values = np.random.default_rng(0).normal(size=500).astype(np.float32)
    whole = words(coding.encode_mask, mask), words(coding.encode_floats, values)
    monkeypatch.setattr(coding, "CHUNK", 7)
    pieces = words(coding.encode_mask, mask), words(coding.encode_floats, values)
    for before, after in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(coding.decode_mask(coding.decoder(pieces[0]), mask.shape), mask)
    np.testing.assert_array_equal(coding.decode_floats(coding.decoder(pieces[1]), 500), values)


def test_infinite_weights_are_refused_by_the_codebook():
    for value in (math.inf, -math.inf, math.nan):
        with pytest.raises(ValueError, match="finite"):
            coding.encode_codebook(coding.encoder(), np.array([1, value], np.float32), 4)


def test_counts_that_do_not_fit_the_mask_are_refused():
    with pytest.raises(ValueError, match="7 survivors of 6 weights"):
        coding.decode_mask(coding.decoder(words(coding.encode_array, np.array(7, np.uint32))), (2, 3))
    to = coding.encoder()
    coding.encode_array(to, np.array(3, np.uint32))
    to.encode(np.array([1, 1, 0, 0, 0, 0], np.int32), coding._bernoulli(3, 6))
    with pytest.raises(ValueError, match="a mask without its 3 survivors"):
        coding.decode_mask(coding.decoder(to.get_compressed()), (6,))


def test_values_without_a_distribution_are_refused():
    for kinds in (0, 1, 3):
        coded = words(coding.encode_array, np.zeros(kinds, np.uint8))
        with pytest.raises(ValueError, match="without a distribution"):
            coding.decode_symbols(coding.decoder(coded), 5, kinds, np.uint8)


@pytest.mark.parametrize(
    ("codebook", "message"), [([0.0] * 257, "257 values"), ([0.0, math.nan], "not finite")]
)
def test_an_invalid_codebook_is_refused(codebook, message):
    to = coding.encoder()
    coding.encode_array(to, np.array(len(codebook), np.uint16))
    coding.encode_array(to, np.array(codebook, np.float32))
    with pytest.raises(ValueError, match=message):
        coding.decode_codebook(coding.decoder(to.get_compressed()), 2)


def test_words_that_do_not_decode_are_refused():
    source = coding.decoder(np.full(4, 2**32 - 1, np.uint32))
    with pytest.raises(ValueError, match="do not decode"):
        coding._decode(source, 100, coding._bernoulli(1, 2), np.bool_)


@settings(LAWS, max_examples=100)
@given(WORDS, st.integers(0, 200))
def test_random_words_are_refused_or_decoded_to_the_requested_count(coded, count):
    reads = (
        lambda source: coding.decode_mask(source, (count + 1,))[1:],
        lambda source: coding.decode_floats(source, count),
        lambda source: coding.decode_codebook(source, count),
        lambda source: coding.decode_symbols(source, count, 5, np.uint8),
    )
    for read in reads:
        try:
            assert len(read(coding.decoder(coded))) == count
        except ValueError:
            continue
