"""Weights of few bits."""

import numpy as np
import pytest

from prunet.base.errors import InputError
from prunet.compression import grids
from prunet.deployment import coding

WEIGHT = np.array([[0.7, -0.3, 0.04, 0.0], [2.0, -1.2, 1.2, 0.5]], np.float32)
WHOLE = np.ones(WEIGHT.shape, bool)
PRUNED = np.array([[True, False, True, True], [True, True, False, False]])


def only(weight, mask, bits, **choices):
    """Quantise a network of one layer without bias."""
    found, sizes = grids.quantise({"fc.weight": weight}, {"fc.weight": mask}, bits, **choices)
    return found["fc.weight"], sizes


def test_four_bits_are_the_nearest_of_fifteen_multiples():
    found, sizes = only(WEIGHT, WHOLE, 4)
    scales = np.array([[0.7], [2.0]], np.float32) / 7  # 0.1 and 0.2857
    np.testing.assert_allclose(found, scales * [[7, -3, 0, 0], [7, -4, 4, 2]], rtol=1e-6)
    assert found.dtype == np.float32
    assert sizes["bytes_packed"] == 8 * 4 / 8 + 2 * 4


def test_blocks_have_scales_of_their_own():
    found, sizes = only(WEIGHT, WHOLE, 4, block=3)
    expected = [[0.7, -0.3, 0, 0], [2.0, -8 / 7, 8 / 7, 0.5]]  # a last block of one weight is exact
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert sizes["bytes_packed"] == 8 * 4 / 8 + 4 * 4
    np.testing.assert_array_equal(only(WEIGHT, WHOLE, 4, block=4)[0], only(WEIGHT, WHOLE, 4)[0])


def test_signs_times_the_mean_magnitude():
    found, sizes = only(WEIGHT, WHOLE, 1)
    np.testing.assert_allclose(found, [[0.26, -0.26, 0.26, 0.26], [1.225, -1.225, 1.225, 1.225]], rtol=1e-6)
    assert sizes["bytes_packed"] == 1 + 2 * 4


def test_pruned_weights_are_zero_and_do_not_count_in_the_scale():
    found, sizes = only(WEIGHT, PRUNED, 1)
    mean = np.float32((0.7 + 0.04 + 0) / 3)
    np.testing.assert_allclose(found, [[mean, 0, mean, mean], [1.6, -1.6, 0, 0]], rtol=1e-6)
    assert sizes["bytes_packed"] == 1 + 1 + 2 * 4  # 5 signs, 8 bits of the mask, 2 scales
    found, sizes = only(WEIGHT[::-1], PRUNED, 4)  # 2.0 x 0.5 and 0.7 -0.3
    np.testing.assert_allclose(found, [[2, 0, 8 / 7, 4 / 7], [0.7, -0.3, 0, 0]], rtol=1e-6)
    assert sizes["bytes_packed"] == 3 + 1 + 2 * 4  # 5 x 4 bits


def test_an_output_without_weights_stays_zero():
    mask = np.array([[False] * 4, [True] * 4])
    for bits in (1, 4):
        found, _ = only(WEIGHT, mask, bits)
        assert not found[0].any()
        assert found[1].all()


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("block", [None, 5])
def test_laws_of_the_numbers(bits, block):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(6, 4, 3)).astype(np.float32)
    mask = rng.random(weight.shape) < 0.7
    found, _ = only(weight, mask, bits, block=block)
    grid = (grids.nearest if bits > 1 else grids.signs)(weight, mask, bits, block)
    assert np.abs(grid.numbers).max() == max(1, 2 ** (bits - 1) - 1)
    assert not found[~mask].any()
    scale = grid.scales[:, np.arange(12) // grid.block].reshape(weight.shape)
    if bits > 1:
        assert np.all(np.abs(found - weight)[mask] <= scale[mask] * (0.5 + 1e-5))
    else:  # no other scale is closer
        for factor in (0.99, 1.01):
            error = [((values - weight)[mask] ** 2).sum() for values in (found, found * factor)]
            assert error[0] < error[1]


@pytest.mark.parametrize("bits", [1, 4])
def test_the_coded_bytes_decode_to_the_weights(bits):
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(30, 40)).astype(np.float32), rng.normal(size=30).astype(np.float32)
    mask = rng.random(weight.shape) < 0.1
    named = {"fc.weight": weight, "fc.bias": bias}
    found, sizes = grids.quantise(named, {"fc.weight": mask}, bits)
    grid = (grids.nearest if bits > 1 else grids.signs)(weight, mask, bits, None)
    to = coding.encoder()
    coding.encode_mask(to, mask)
    grids.encode(to, grid, mask)
    coding.encode_array(to, bias)
    words = to.get_compressed()
    assert words.nbytes == sizes["bytes_coded"] < sizes["bytes_packed"]
    source = coding.decoder(words)
    read = coding.decode_mask(source, mask.shape)
    scales = coding.decode_array(source, (30, 1), np.float32)
    numbers = np.zeros(mask.shape, np.int64)
    kinds, zero, unit = (2, 0.5, 2) if bits == 1 else (15, 7, 1)
    numbers[read] = unit * (coding.decode_symbols(source, int(read.sum()), kinds, np.int64) - zero)
    np.testing.assert_array_equal(numbers.astype(np.int8) * scales, found["fc.weight"])
    np.testing.assert_array_equal(coding.decode_array(source, (30,), np.float32), bias)


def test_layers_may_stay_whole():
    named = {"a.weight": WEIGHT, "a.bias": WEIGHT[:, 0], "b.weight": WEIGHT}
    found, sizes = grids.quantise(named, {"a.weight": PRUNED, "b.weight": WHOLE}, 1, whole=["a.weight"])
    np.testing.assert_array_equal(found["a.weight"], WEIGHT * PRUNED)
    np.testing.assert_array_equal(found["a.bias"], WEIGHT[:, 0])
    assert sizes["bytes_packed"] == (5 * 4 + 1) + 2 * 4 + (1 + 2 * 4)


def test_weights_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match=r"^fc\.weight has weights that are not finite"):
        only(WEIGHT * np.float32(np.nan), WHOLE, 4)
