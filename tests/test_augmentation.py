import math
from itertools import product

import pytest
import torch

from prunet.training import augmentation, mixing, rand_augment
from prunet.training.augmentation import AUGMENTATIONS, VISIBLE, augment_batch


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def found(crops, parts):
    """Return, for each crop, the key of the only part of {key: image} that it is, and whether mirrored."""
    matches = [
        [
            (key, mirrored)
            for key, part in parts.items()
            for mirrored in (False, True)
            if torch.equal(crop.flip(2) if mirrored else crop, part)
        ]
        for crop in crops
    ]
    assert {len(own) for own in matches} == {1}
    return [own[0] for own in matches]


def test_crops_are_parts_of_the_chosen_images_some_mirrored():
    images = torch.arange(2 * 5 * 5.0).view(2, 1, 5, 5)
    chosen = torch.tensor([1, 0] * 50)
    crops = augmentation.crop_flip(images, chosen, 3, rng())
    assert crops.shape == (100, 1, 3, 3)
    parts = {
        (source, top, left): images[source, :, top : top + 3, left : left + 3]
        for source, top, left in product(range(2), range(3), range(3))
    }
    seen = found(crops, parts)
    assert [source for (source, *_), _ in seen] == chosen.tolist()
    assert len({(*place, mirrored) for (_, *place), mirrored in seen}) == 18  # nine places, mirrored and not


def test_padded_crops_move_by_up_to_an_eighth_of_the_side_and_are_zero_beyond_the_image():
    image = 1 + torch.arange(2 * 16 * 16.0).view(1, 2, 16, 16)
    crops = augmentation.pad_crop_flip(image, torch.zeros(400, dtype=torch.int64), 16, rng())
    assert crops.shape == (400, 2, 16, 16)
    padded = torch.zeros(2, 20, 20)
    padded[:, 2:18, 2:18] = image
    moved = {
        (top, left): padded[:, top : top + 16, left : left + 16] for top, left in product(range(5), range(5))
    }
    assert len(set(found(crops, moved))) == 50  # all 25 places, mirrored and not


@pytest.fixture(scope="module")
def boxes():
    """Return the box of each of many crops, found with an image whose values are its coordinates."""
    side, size, count = 64, 8, 3000
    along = (torch.arange(side) + 0.5) / side
    image = torch.stack([along.expand(side, side), along[:, None].expand(side, side)])[None]  # x, y
    crops = augmentation.resized_crop_flip(image, torch.zeros(count, dtype=torch.int64), size, rng())
    assert crops.shape == (count, 2, size, size)
    # The values are linear except at the edge of the image, where they are clamped.
    x, y = crops[:, 0, 0], crops[:, 1, :, 0]
    return x, y, (x[:, 5] - x[:, 2]) * size / 3, (y[:, 5] - y[:, 2]) * size / 3


def test_resized_crops_have_the_areas_and_shapes_of_the_paper(boxes):
    _, _, width, height = boxes
    area, ratio = width.abs() * height, width.abs() / height
    assert area.min() == pytest.approx(0.08, abs=0.005)
    assert area.max() == pytest.approx(1, abs=0.01)
    assert area.mean() == pytest.approx(0.54, abs=0.02)  # uniform
    assert ratio.min() == pytest.approx(3 / 4, abs=0.005)
    assert ratio.max() == pytest.approx(4 / 3, abs=0.01)
    assert ratio.log().mean() == pytest.approx(0, abs=0.01)
    small = area < 0.7  # every ratio fits: its logarithm is uniform
    assert ratio[small].log().std() == pytest.approx(2 * math.log(4 / 3) / math.sqrt(12), rel=0.05)


def test_resized_crops_lie_anywhere_inside_the_image_and_half_are_mirrored(boxes):
    x, y, width, height = boxes
    middle = (x[:, 3] + x[:, 4]) / 2, (y[:, 3] + y[:, 4]) / 2
    for centre, extent in ((middle[0], width.abs()), (middle[1], height)):
        assert (centre - extent / 2).min() > -0.01
        assert (centre + extent / 2).max() < 1.01
        free = extent < 0.6
        position = (centre - extent / 2)[free] / (1 - extent[free])  # from one edge (0) to the other (1)
        assert position.mean() == pytest.approx(0.5, abs=0.03)
        assert position.std() == pytest.approx(1 / math.sqrt(12), abs=0.02)
    assert (width < 0).float().mean() == pytest.approx(0.5, abs=0.03)


def test_a_crop_of_the_whole_image_is_the_image_resized(monkeypatch):
    monkeypatch.setattr(augmentation, "AREA", (1.0, 1.0))
    images = torch.randn(3, 2, 8, 8)
    crops = augmentation.resized_crop_flip(images, torch.tensor([2, 0, 1, 2]), 8, rng())
    for crop, image in zip(crops, images[[2, 0, 1, 2]], strict=True):
        torch.testing.assert_close(crop if torch.allclose(crop, image) else crop.flip(2), image)
    half = augmentation.resized_crop_flip(images, torch.arange(3), 4, rng())
    expected = torch.nn.functional.interpolate(images, size=(4, 4), mode="bilinear")
    for crop, image in zip(half, expected, strict=True):
        torch.testing.assert_close(crop if torch.allclose(crop, image, atol=1e-6) else crop.flip(2), image)


@pytest.mark.parametrize("augment", ["none", *AUGMENTATIONS])
def test_the_crops_of_a_network_depend_on_its_own_generator(augment):
    resized = {"resized-crop-flip": (16, 14), "rand-augment": (16, 14)}
    side, size = ({"crop-flip": (9, 8)} | resized).get(augment, (8, 8))
    assert round(side * VISIBLE[augment]) == size
    images = torch.randn(5, 3, side, side)
    chosen = torch.tensor([[0, 1, 2], [2, 2, 4]])
    together = augment_batch(images, chosen, size, augment, [rng(1), rng(2)])
    assert together.shape == (2, 3, 3, size, size)
    for number in range(2):
        alone = augment_batch(images, chosen[number : number + 1], size, augment, [rng(number + 1)])
        assert torch.equal(alone[0], together[number])
    if augment == "none":
        assert torch.equal(together, images[chosen])


@pytest.mark.parametrize("augment", ["none", *AUGMENTATIONS])
@pytest.mark.parametrize("mixup", [0.0, 0.2])
def test_skipped_batches_advance_the_generators_as_those_with_images_do(augment, mixup):
    size = 8
    side = round(size / VISIBLE[augment])
    settings = {"batch_size": 3, "augment": augment, "mixup": mixup, "cutmix": 0.0}
    skipping, drawing = [rng(1), rng(2)], [rng(1), rng(2)]
    augmentation.skip(2, side, size, settings, skipping)
    images, labels = torch.zeros(1, 3, side, side), torch.zeros(2, 3, dtype=torch.int64)
    crops = (augment_batch(images, labels, size, augment, drawing) for _ in range(2))
    drawn = ((step, (batch, labels)) for step, batch in enumerate(crops))
    if augment == "rand-augment":
        drawn = rand_augment.distorted(drawn, (0.0, 1.0), drawing)
    if mixup:
        drawn = mixing.mixed(drawn, 3, settings, drawing)
    assert len(list(drawn)) == 2
    for skipped, drawn_from in zip(skipping, drawing, strict=True):
        assert torch.equal(skipped.get_state(), drawn_from.get_state())
