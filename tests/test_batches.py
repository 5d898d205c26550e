import json

import numpy as np
import pytest
import torch
from PIL import Image

from prunet.base.errors import InputError
from prunet.training import batches, pixels

torch.set_num_threads(1)
CPU = torch.device("cpu")
SPLIT = (torch.arange(10.0).view(10, 1, 1, 1), torch.arange(10))
RUNS = [{"seeds": {"order": 1}}, {"seeds": {"order": 2}}]


def gray(count=10):
    images = np.arange(count * 4 * 4, dtype=np.uint8).reshape(count, 1, 4, 4)
    split = np.array([0] * (count - 4) + [1, 1, 2, 2], np.uint8)
    return {"images": images, "labels": np.arange(count), "split": split}


def test_images_are_normalised_by_the_moments_of_the_training_split():
    splits = batches.to_device(gray(), None, "none", CPU)
    images, labels = splits["train"]
    assert images.mean().item() == pytest.approx(0, abs=1e-6)
    assert images.std().item() == pytest.approx(1, abs=1e-6)
    assert labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert splits["val"][1].tolist() == [6, 7]
    assert splits["test"][0].mean() > 2


@pytest.mark.parametrize(
    ("input_size", "augment", "resized", "visible"),
    [
        (None, "none", 144, 144),
        (64, "none", 64, 64),
        (64, "crop-flip", 72, 64),
        (128, "crop-flip", 144, 128),
        (32, "pad-crop-flip", 32, 32),
        (None, "pad-crop-flip", 144, 144),
        (112, "resized-crop-flip", 128, 112),
        (None, "resized-crop-flip", 144, 126),
    ],
)
def test_the_model_sees_input_size_pixels(input_size, augment, resized, visible):
    data = gray() | {"images": np.random.default_rng(0).integers(0, 255, (10, 1, 144, 144), np.uint8)}
    splits = batches.to_device(data, input_size, augment, CPU)
    assert splits["train"][0].shape == (6, 1, resized, resized)
    assert batches.input_shape(splits, augment) == (1, visible, visible)
    values = batches.preparation(data, input_size, augment)
    assert (values["stored"], values["side"], values["shape"]) == (144, resized, [1, visible, visible])
    prepared = batches.prepare(torch.from_numpy(data["images"][:6]), values)
    assert torch.equal(prepared, pixels.centre(splits["train"][0], visible))


def colour(count=10):
    rng = np.random.default_rng(0)
    return gray(count=count) | {"images": rng.integers(0, 256, (count, 3, 4, 4), np.uint8)}


def test_colour_images_are_normalised_channel_by_channel_over_the_training_split():
    data = colour()
    data["images"][:, 1] //= 4
    splits = batches.to_device(data, None, "none", CPU)
    images = splits["train"][0]
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(images.std((0, 2, 3)), torch.ones(3))
    values = batches.preparation(data, None, "none")
    train = data["images"][:6].astype(np.float64)
    np.testing.assert_allclose(values["mean"], train.mean((0, 2, 3)))
    np.testing.assert_allclose(values["std"], train.std((0, 2, 3), ddof=1))
    assert torch.equal(batches.prepare(torch.from_numpy(data["images"][:6]), values), images)
    assert json.loads(json.dumps(values)) == values


@pytest.mark.parametrize("moments", [(90.0, 40.0), ([90.0, 30.0], [40.0, 7.0])])
def test_pixel_values_are_those_before_normalisation(moments):
    stored = torch.arange(256, dtype=torch.uint8).view(2, 1, 8, 16).repeat(1, 2, 1, 1)
    assert torch.equal(pixels.pixel_values(pixels.normalise(stored.float(), *moments), *moments), stored)
    beyond = torch.tensor([-99.0, 99.0]).view(1, 2, 1, 1)
    assert pixels.pixel_values(beyond, *moments).flatten().tolist() == [0, 255]


def test_a_constant_channel_becomes_zero_and_not_infinite():
    data = colour()
    data["images"][:, 2] = 77
    images = batches.to_device(data, None, "none", CPU)["train"][0]
    assert (images[:, 2] == 0).all()
    assert images.isfinite().all()


def test_moments_are_exact_for_any_number_of_images():
    data = colour(count=300)
    data["images"][:, :, :, :] = np.arange(256, dtype=np.uint8).repeat(19)[:4800].reshape(300, 1, 4, 4)
    values = batches.preparation(data, None, "none")
    train = data["images"][:296, 0].astype(object)  # Python's integers
    assert values["mean"] == [train.sum() / train.size] * 3


def order(**sizes):
    return torch.stack(list(batches.order(**sizes, generator=torch.Generator().manual_seed(0))))


def test_every_epoch_contains_every_image_once_and_every_batch_is_full():
    drawn = order(count=10, batch_size=4, steps=6)
    assert drawn.shape == (6, 4)
    flat = drawn.flatten().tolist()
    assert sorted(flat[:10]) == sorted(flat[10:20]) == list(range(10))
    assert flat[:10] != flat[10:20]
    # A batch may be larger than the split.
    drawn = order(count=3, batch_size=7, steps=2)
    assert drawn.shape == (2, 7)
    assert sorted(torch.bincount(drawn.flatten()).tolist()) == [4, 5, 5]


@pytest.mark.field
def test_the_order_of_a_long_training_is_drawn_epoch_by_epoch(monkeypatch):
    steps, epochs = iter(batches.order(10, 5, 1000, torch.Generator().manual_seed(0))), []
    randperm = torch.randperm
    monkeypatch.setattr(
        torch, "randperm", lambda *args, **of: epochs.append(randperm(*args, **of)) or epochs[-1]
    )
    drawn = [next(steps) for _ in range(5)]
    assert len(epochs) == 3
    assert torch.equal(torch.cat(drawn), torch.cat(epochs)[:25])


def test_take_returns_images_with_their_labels():
    images, labels = batches.take(SPLIT, torch.tensor([5, 2]))
    assert images.flatten().tolist() == labels.tolist() == [5, 2]


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [(6, 3, [[0, 3, 6], [1, 5, 8]]), (3, 2, [[0, 3, 6]]), (99, 5, [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]])],
)
def test_images_are_spread_evenly_over_a_split_and_so_is_every_batch(count, size, expected):
    split = torch.arange(10.0).view(10, 1, 1, 1), torch.zeros(10, dtype=torch.int64)
    found = batches.spread(split, count, size)
    assert [images.flatten().tolist() for images in found] == expected


@pytest.mark.parametrize("augment", ["none", "crop-flip", "pad-crop-flip", "resized-crop-flip"])
def test_a_resumed_run_gets_the_remaining_batches(augment):
    images = torch.randn(10, 2, 16, 16)
    size = pixels.visible_side(16, augment)
    settings = {"steps": 6, "batch_size": 4, "augment": augment}
    generators = [torch.Generator().manual_seed(number) for number in range(2)]
    whole, states = [], []
    split = (images, torch.arange(10))
    for batch in batches.training_batches(split, size, settings, RUNS, generators, 0):
        whole.append(batch)
        states.append([generator.get_state() for generator in generators])
    assert [step for step, _ in whole] == [1, 2, 3, 4, 5, 6]
    for generator, state in zip(generators, states[3], strict=True):
        generator.set_state(state)
    rest = batches.training_batches(split, size, settings, RUNS, generators, 4)
    for (step, (seen, labels)), (expected, (before, same)) in zip(rest, whole[4:], strict=True):
        assert step == expected
        assert seen.shape == (2, 4, 2, size, size)
        assert torch.equal(seen, before)
        assert torch.equal(labels, same)


def test_each_network_has_its_own_order():
    settings = {"steps": 5, "batch_size": 4, "augment": "none"}
    steps = batches.training_batches(SPLIT, 1, settings, RUNS, [], 0)
    labels = torch.stack(
        [labels for _, (images, labels) in steps if torch.equal(images.flatten(1), labels)], 1
    )
    assert labels.shape == (2, 5, 4)
    assert (labels.flatten(1).sort().values == torch.arange(10).repeat_interleave(2)).all()
    assert (labels[0] != labels[1]).any()


@pytest.mark.field
@pytest.mark.parametrize(("height", "width"), [(8, 10), (10, 8)])
def test_images_that_are_not_square_are_refused_and_not_squeezed(height, width):
    data = {
        "images": np.zeros((3, 1, height, width), np.uint8),
        "labels": np.zeros(3, np.int64),
        "split": np.arange(3, dtype=np.uint8),
    }
    message = f"have {width} x {height} pixels, but training takes square ones"
    with pytest.raises(InputError, match=message):
        batches.to_device(data, None, "none", torch.device("cpu"))
    with pytest.raises(InputError, match=message):
        batches.preparation(data, 8, "crop-flip")


@pytest.mark.parametrize("make", [gray, colour])
@pytest.mark.parametrize("input_size", [None, 3])
def test_every_image_gets_unit_norm_and_a_black_one_stays_black(make, input_size):
    data = make()
    data["images"][1] = 0
    values = json.loads(json.dumps(batches.preparation(data, input_size, "none", "unit-norm")))
    images = batches.prepare(torch.from_numpy(data["images"]), values)
    norms = torch.linalg.vector_norm(images, dim=(1, 2, 3))
    torch.testing.assert_close(norms, torch.tensor([1.0, 0.0] + [1.0] * 8), atol=1e-4, rtol=0)
    splits = batches.to_device(data, input_size, "none", CPU, "unit-norm")
    assert torch.equal(torch.cat([splits[name][0] for name in ("train", "val", "test")]), images)


def test_the_bits_of_unit_norm_depend_neither_on_the_batch_nor_on_the_order_of_sums():
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (200, 3, 33, 33), np.uint8))
    resized = pixels.resize(images, 28)
    whole = pixels.normalise(resized, *pixels.NAMED["unit-norm"])
    alone = [pixels.normalise(image, *pixels.NAMED["unit-norm"]) for image in resized.split(1)]
    assert torch.equal(whole, torch.cat(alone))
    turned = pixels.normalise(resized.rot90(1, (2, 3)), *pixels.NAMED["unit-norm"])
    assert torch.equal(whole.rot90(1, (2, 3)), turned)


def test_images_that_are_not_scaled_have_pixels_from_0_to_1():
    data = colour()
    values = batches.preparation(data, None, "none", "none")
    expected = torch.from_numpy(data["images"]).float() / 255
    assert torch.equal(batches.prepare(torch.from_numpy(data["images"]), values), expected)


@pytest.mark.field
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_prepared_as_loaded_weights_expect(channels):
    """Bicubic interpolation is Pillow's, with which torchvision and timm resize."""
    rng = np.random.default_rng(0)
    data = gray() | {"images": 255 * rng.integers(0, 2, (10, channels, 24, 24), np.uint8)}
    moments = {"mean": [0.4, 0.5, 0.6][:channels], "std": [0.2, 0.3, 0.4][:channels]}
    expects = {"normalise_by": moments, "interpolation": "bicubic"}
    values = json.loads(json.dumps(batches.preparation(data, 16, "none", **expects)))
    prepared = batches.prepare(torch.from_numpy(data["images"]), values)
    splits = batches.to_device(data, 16, "none", CPU, **expects)
    assert torch.equal(splits["train"][0], prepared[:6])
    scale, shift = (np.array(moments[name]).reshape(-1, 1, 1) for name in ("std", "mean"))
    for image, ours in zip(data["images"], prepared.numpy(), strict=True):
        planes = [
            Image.fromarray(plane).resize((16, 16), Image.Resampling.BICUBIC) for plane in np.float32(image)
        ]
        theirs = np.stack([np.asarray(plane) for plane in planes]).clip(0, 255)
        np.testing.assert_allclose((ours * scale + shift) * 255, theirs, atol=1e-3)
    bilinear = batches.prepare(torch.from_numpy(data["images"]), values | {"interpolation": "bilinear"})
    assert (bilinear - prepared).abs().max() > 0.1
