"""Weights of few bits."""

import numpy as np
import pytest

from prunet.deployment import coding, grids

WEIGHT = np.array([[0.7, -0.3, 0.04, 0.0], [2.0, -1.2, 1.2, 0.5]], np.float32)
WHOLE = np.ones(WEIGHT.shape, bool)
PRUNED = np.array([[True, False, True, True], [True, True, False, False]])


def random(shape=(6, 4, 3), density=0.7):
    rng = np.random.default_rng(0)
    return rng.normal(size=shape).astype(np.float32), rng.random(shape) < density


def coded(weight, mask, bits):
    to = coding.encoder()
    grids.encode(to, weight, mask, bits)
    return to.get_compressed()


def test_four_bits_are_the_nearest_of_fifteen_multiples():
    found = grids.quantise(WEIGHT, WHOLE, 4)
    np.testing.assert_allclose(found, np.array([[0.1], [2 / 7]]) * [[7, -3, 0, 0], [7, -4, 4, 2]], rtol=1e-5)
    assert found.dtype == np.float32


def test_signs_times_the_mean_magnitude():
    found = grids.quantise(WEIGHT, WHOLE, 1)
    np.testing.assert_allclose(found, [[0.26, -0.26, 0.26, 0.26], [1.225, -1.225, 1.225, 1.225]], rtol=1e-6)


def test_pruned_weights_are_zero_and_do_not_count_in_the_scale():
    mean = np.float32((0.7 + 0.04 + 0) / 3)
    found = grids.quantise(WEIGHT, PRUNED, 1)
    np.testing.assert_allclose(found, [[mean, 0, mean, mean], [1.6, -1.6, 0, 0]], rtol=1e-6)
    found = grids.quantise(WEIGHT[::-1], PRUNED, 4)  # 2.0 x 0.5 and 0.7 -0.3
    np.testing.assert_allclose(found, [[2, 0, 8 / 7, 4 / 7], [0.7, -0.3, 0, 0]], rtol=1e-5)


@pytest.mark.parametrize("bits", [1, 4])
def test_an_output_without_weights_stays_zero(bits):
    found = grids.quantise(WEIGHT, np.array([[False] * 4, [True] * 4]), bits)
    assert not found[0].any()
    assert found[1].all()


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_laws_of_the_numbers(bits):
    weight, mask = random()
    found = grids.quantise(weight, mask, bits)
    assert not found[~mask].any()
    np.testing.assert_array_equal(grids.quantise(found, mask, bits), found)
    rows, alive = found.reshape(6, -1), mask.reshape(6, -1)
    largest = np.abs(rows).max(1, keepdims=True)
    if bits > 1:
        numbers = rows / largest * (2 ** (bits - 1) - 1)
        np.testing.assert_allclose(numbers, np.rint(numbers), atol=1e-5)
        step = largest / (2 ** (bits - 1) - 1)
        assert np.all(
            np.abs(rows - weight.reshape(6, -1))[alive] <= np.broadcast_to(step, rows.shape)[alive] * 0.501
        )
    else:  # no other scale is closer
        for factor in (0.99, 1.01):
            error = [((values - weight)[mask] ** 2).sum() for values in (found, found * factor)]
            assert error[0] < error[1]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_coded_weights_are_decoded_to_the_bit(bits):
    weight, mask = random((30, 40), 0.1)
    found = grids.quantise(weight, mask, bits)
    words = coded(weight, mask, bits)
    assert words.nbytes < mask.sum() * bits / 8 + 30 * 4 + 2**bits + 8
    np.testing.assert_array_equal(grids.decode(coding.decoder(words), mask, bits), found)
    np.testing.assert_array_equal(coded(found, mask, bits), words)


def test_weights_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="only finite weights can be quantised"):
        coded(WEIGHT * np.float32(np.nan), WHOLE, 4)


def test_scales_that_are_not_finite_are_refused():
    to = coding.encoder()
    coding.encode_array(to, np.array([1, np.inf], np.float32))
    with pytest.raises(ValueError, match="a scale that is not finite"):
        grids.decode(coding.decoder(to.get_compressed()), WHOLE, 4)
