import gzip

import numpy as np
import pytest
from safetensors.numpy import load, save

from prunet.deployment.sizes import sizes

WEIGHTS = {"w": np.array([[0.5, -1.5], [2.0, 0.25]], np.float32), "b": np.array([3.0, 4.0], np.float32)}


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        ([[1, 0], [0, 0]], 13),  # 4 x 0.8113 bits of mask, 32 of the survivor, 2 x 32 of biases: 99.2 bits
        ([[1, 1], [1, 1]], 24),  # the mask costs nothing if all or no weights survive
        ([[0, 0], [0, 0]], 8),
    ],
)
def test_the_bound_by_hand(mask, found):
    assert sizes(WEIGHTS, {"w": np.array(mask, bool)})["bytes_bound"] == found


def test_a_mask_of_density_one_half_costs_one_bit_a_weight_and_other_tensors_their_bytes():
    weights = {"w": np.zeros(16, np.float32), "count": np.array(5), "b": np.zeros(3, np.float32)}
    assert sizes(weights, {"w": np.arange(16) % 2 == 0})["bytes_bound"] == 16 // 8 + 8 * 4 + 8 + 12


def test_dense_is_the_whole_file_and_does_not_depend_on_the_mask():
    for mask in (np.eye(2, dtype=bool), np.ones((2, 2), bool)):
        assert sizes(WEIGHTS, {"w": mask})["bytes_dense"] == len(save(WEIGHTS))


def test_gzip_compresses_the_file_with_zeros_for_pruned_weights(monkeypatch):
    zipped = []
    compress = gzip.compress
    monkeypatch.setattr(
        gzip, "compress", lambda *args, **kw: zipped.append(compress(*args, **kw)) or zipped[-1]
    )
    weights = WEIGHTS | {"w": np.array([[0.5, np.inf], [np.nan, -0.25]], np.float32)}
    found = sizes(weights, {"w": np.array([[True, False], [False, True]])})
    assert found["bytes_gzip"] == len(zipped[0])
    assert load(gzip.decompress(zipped[0]))["w"].tolist() == [[0.5, 0.0], [0.0, -0.25]]
    assert zipped[0][4:8] == bytes(4)  # no time of day


def test_gzip_works_for_a_sparse_network_and_not_for_a_dense_one():
    weights = {"w": np.random.default_rng(0).normal(size=(100, 100)).astype(np.float32)}
    full, sparse = (sizes(weights, {"w": np.abs(weights["w"]) >= least}) for least in (0, 2))
    assert full["bytes_gzip"] > 0.9 * full["bytes_dense"]
    assert sparse["bytes_bound"] < sparse["bytes_gzip"] < 0.2 * sparse["bytes_dense"]
    assert all(isinstance(value, int) for value in full.values())
