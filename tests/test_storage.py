import numpy as np
import pytest

from prunet.base import tensors
from prunet.base.errors import InputError
from prunet.cells import storage


def toy(density=0.5, shape=(2, 30, 7)):
    rng = np.random.default_rng(0)
    masks = {"w": rng.random(shape) < density, "a": np.ones((2, 3, 1), bool)}
    weights = {
        "w": rng.normal(size=shape).astype(np.float32) * masks["w"],
        "w_bias": rng.normal(size=(2, 30)).astype(np.float32),
        "a": np.zeros((2, 3, 1), np.float32),  # survivors may be zero
    }
    return weights, masks


def test_masks_of_whole_units_are_marked(tmp_path):
    weights, masks = toy()
    storage.save_masks(tmp_path / "single", masks)
    assert tensors.read(tmp_path / "single")[1] == {"shapes": {"w": [2, 30, 7], "a": [2, 3, 1]}}
    assert not storage.whole_units(tmp_path / "single")
    storage.save_masks(tmp_path / "whole", masks, whole_units=True)
    assert storage.whole_units(tmp_path / "whole")
    np.testing.assert_array_equal(storage.load_masks(tmp_path / "whole")["w"], masks["w"])
    storage.save_cell(tmp_path / "cell", weights, masks, {}, whole_units=True)
    assert storage.whole_units(tmp_path / "cell" / "masks.safetensors")
    tensors.write(tmp_path / "odd", {"w": np.full(1, 255, np.uint8)}, {"whole_units": "perhaps"})
    with pytest.raises(InputError, match=r"odd: the mark of whole units \('perhaps'\) is damaged"):
        storage.whole_units(tmp_path / "odd")


def test_files_shrink_with_the_density_and_masks_take_a_bit_a_weight(tmp_path):
    shape = (1, 1000, 100)
    for density in (1.0, 0.1):
        weights, masks = toy(density, shape)
        storage.save_cell(tmp_path / str(density), weights, masks, {})
    dense, sparse = (tmp_path / d / "weights.safetensors" for d in ("1.0", "0.1"))
    assert sparse.stat().st_size / dense.stat().st_size == pytest.approx(0.1, abs=0.01)
    bits = (tmp_path / "0.1" / "masks.safetensors").stat().st_size * 8
    assert bits == pytest.approx(100_000, rel=0.03)


@pytest.mark.parametrize("masks", [toy(0.2)[1], {"a": toy()[1]["a"]}], ids=["another round", "a layer less"])
def test_weights_and_masks_that_do_not_match_are_refused(tmp_path, masks):
    storage.save_cell(tmp_path / "cell", *toy(), {})
    storage.save_masks(tmp_path / "cell" / "masks.safetensors", masks)
    with pytest.raises(InputError, match="weights and mask of w do not match"):
        storage.load_network(tmp_path / "cell")


def test_files_of_another_kind_are_refused_by_name(tmp_path):
    tensors.write(tmp_path / "short", {"w": np.zeros(2, np.uint8)}, {"shapes": {"w": [1, 100]}})
    with pytest.raises(InputError, match="the mask of w is damaged"):
        storage.load_masks(tmp_path / "short")
    storage.save_weights(tmp_path / "weights", toy()[0])
    with pytest.raises(InputError, match="does not hold masks"):
        storage.load_masks(tmp_path / "weights")
    with pytest.raises(InputError, match="does not hold weights"):
        storage.load_weights(tmp_path / "short")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InputError, match="text is damaged"):
        storage.load_weights(tmp_path / "text")
    with pytest.raises(InputError, match="gone does not exist"):
        storage.load_weights(tmp_path / "gone")


@pytest.mark.parametrize(
    "shapes",
    [
        *({"w": [1, -8]}, {"w": [2**40, 2**40]}, {"w": [1, 8.0]}, {"w": [1, True]}, {"w": [0, 8]}, {"w": []}),
        *({"w": "18"}, {"w": 8}, {"v": [1, 8]}, {"w": [1, 8], "v": [1, 8]}, {}, [["w", [1, 8]]], None),
    ],
)
def test_shapes_of_masks_are_checked_before_they_are_used(tmp_path, shapes):
    tensors.write(tmp_path / "masks", {"w": np.full(1, 255, np.uint8)}, {"shapes": shapes})
    with pytest.raises(InputError, match=r"masks does not hold masks|the mask of w is damaged"):
        storage.load_masks(tmp_path / "masks")


def test_masks_of_another_dtype_or_without_survivors_are_refused(tmp_path):
    tensors.write(tmp_path / "masks", {"w": np.full(1, 255, np.int64)}, {"shapes": {"w": [1, 8]}})
    with pytest.raises(InputError, match="the mask of w is damaged"):
        storage.load_masks(tmp_path / "masks")
    storage.save_masks(tmp_path / "masks", {"w": np.array([[True, True], [False, False]])})
    with pytest.raises(InputError, match="no weight of w survives"):
        storage.load_masks(tmp_path / "masks")
    storage.save_masks(tmp_path / "masks", {"w": np.ones((2, 3), bool), "v": np.ones((1, 3), bool)})
    with pytest.raises(InputError, match="the number of replicates is damaged"):
        storage.load_masks(tmp_path / "masks")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    storage.save_weights(tmp_path / "weights", {"w": np.array([[1, value]], np.float32)})
    with pytest.raises(InputError, match="w, which has values that are not finite, is damaged"):
        storage.load_weights(tmp_path / "weights")


@pytest.mark.parametrize("order", [["w", "w"], ["v"], [["w"]], "w", {"w": 0}, None, []])
def test_the_order_of_weights_must_name_each_once(tmp_path, order):
    tensors.write(tmp_path / "weights", {"w": np.zeros((1, 2), np.float32)}, {"order": order})
    with pytest.raises(InputError, match="does not hold weights"):
        storage.load_weights(tmp_path / "weights")


def test_weights_of_another_dtype_are_refused(tmp_path):
    storage.save_weights(tmp_path / "weights", {"w": np.zeros((1, 2))})
    with pytest.raises(InputError, match=r"w \(float64 of shape \(1, 2\)\) is damaged"):
        storage.load_weights(tmp_path / "weights")
