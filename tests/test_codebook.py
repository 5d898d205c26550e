import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from prunet.deployment.codebook import quantise

LAWS = settings(max_examples=40, deadline=None, derandomize=True, database=None)
VALUES = arrays.arrays(np.float32, st.integers(0, 300), elements=st.floats(-(2.0**100), 2.0**100, width=32))


def weights(density, count=100_000):
    """Return the survivors of magnitude pruning of normal values."""
    values = np.random.default_rng(0).normal(0, 0.05, count).astype(np.float32)
    return values[np.abs(values) >= np.quantile(np.abs(values), 1 - density)]


def error(values, codebook, indices):
    return np.sum((codebook[indices].astype(np.float64) - values) ** 2)


def lloyd(values, codebook):
    """Return the error of textbook k-means from these start values."""
    while True:
        indices = np.abs(values[:, None] - codebook).argmin(1)
        sizes = np.bincount(indices, minlength=len(codebook))
        sums = np.bincount(indices, weights=values, minlength=len(codebook))
        means = np.where(sizes > 0, sums / np.maximum(sizes, 1), codebook)
        if np.array_equal(means, codebook):
            return error(values, codebook, indices)
        codebook = means


def test_two_clusters_become_their_means():
    codebook, indices = quantise(np.array([10, 0, 11, 1], np.float32), 1)
    assert codebook.tolist() == [0.5, 10.5]
    assert indices.tolist() == [1, 0, 1, 0]
    assert (codebook.dtype, indices.dtype) == (np.float32, np.uint8)


@pytest.mark.parametrize("values", [[], [3.5], [2, 2, 2], [1e-45, -1e-45, 0, 0], [4, 1, 2, 3, 1]])
def test_few_distinct_values_are_kept_exactly(values):
    values = np.array(values, np.float32)
    codebook, indices = quantise(values, 3)
    assert codebook.tolist() == sorted(set(values.tolist()))
    np.testing.assert_array_equal(codebook[indices], values)


def test_256_distinct_values_fit_into_8_bits_and_257_do_not():
    for count in (256, 257):
        values = np.arange(count, dtype=np.float32)
        codebook, indices = quantise(values, 8)
        assert len(codebook) == 256
        assert np.array_equal(codebook[indices], values) == (count == 256)


@LAWS
@given(VALUES, st.integers(1, 8))
@example(np.array([-1e30, -3, -2, -1, 0], np.float32), 2)  # more digits than a cumulative sum has
def test_each_value_gets_the_nearest_entry_of_an_ascending_codebook(values, bits):
    codebook, indices = quantise(values, bits)
    assert len(codebook) <= 2**bits
    assert np.all(codebook[1:] > codebook[:-1])
    if len(values):
        distances = np.abs(values.astype(np.float64)[:, None] - codebook.astype(np.float64))
        np.testing.assert_array_equal(distances[np.arange(len(values)), indices], distances.min(1))


@pytest.mark.parametrize("density", [1, 0.1])
def test_each_entry_is_the_mean_of_its_values(density):
    values = weights(density)
    codebook, indices = quantise(values, 5)
    means = [values[indices == entry].astype(np.float64).mean() for entry in range(32)]
    np.testing.assert_allclose(codebook, means, rtol=1e-6)


@pytest.mark.parametrize(("bits", "density", "count"), [(4, 1, 2000), (5, 0.1, 20_000), (6, 0.03, 60_000)])
def test_the_error_is_not_above_that_of_k_means_with_evenly_spaced_start_values(bits, density, count):
    values = weights(density, count)
    even = np.linspace(values.min(), values.max(), 2**bits)
    assert error(values, *quantise(values, bits)) <= 1.01 * lloyd(values.astype(np.float64), even)


def test_no_entry_is_lost_in_the_gap_that_magnitude_pruning_leaves():
    values = weights(0.01)
    codebook, indices = quantise(values, 5)
    assert len(codebook) == len(np.unique(indices)) == 32
    assert np.abs(codebook).min() >= np.abs(values).min()


def test_an_outlier_does_not_spoil_the_other_entries():
    values = weights(1)
    outlier = np.append(values, np.float32(1e6))
    codebook, indices = quantise(outlier, 4)
    assert codebook[-1] == 1e6
    assert error(outlier, codebook, indices) < 1.5 * error(values, *quantise(values, 4))


def test_the_order_of_the_values_does_not_matter():
    values = weights(0.1)
    first, second = quantise(values, 6), quantise(values[::-1].copy(), 6)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1][::-1])
