import math

import pytest
import torch

from prunet.training import augmentation
from prunet.training.augmentation import AUGMENTATIONS, KEPT, augmented


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_crops_are_pieces_of_the_chosen_images_some_mirrored():
    images = torch.arange(2 * 5 * 5.0).view(2, 1, 5, 5)
    chosen = torch.tensor([1, 0] * 50)
    pieces = augmentation.crop_flip(images, chosen, 3, rng())
    assert pieces.shape == (100, 1, 3, 3)
    seen = set()
    for piece, source in zip(pieces[:, 0], chosen, strict=True):
        matches = [
            (top, left, mirrored)
            for top in range(3)
            for left in range(3)
            for mirrored in (False, True)
            if torch.equal(
                piece.flip(1) if mirrored else piece, images[source, 0, top : top + 3, left : left + 3]
            )
        ]
        assert len(matches) == 1
        seen.add(matches[0])
    assert len(seen) == 18  # all nine places, both ways


def test_padded_crops_are_moved_by_an_eighth_of_the_side_and_zero_where_the_image_ends():
    image = 1 + torch.arange(2 * 16 * 16.0).view(1, 2, 16, 16)
    pieces = augmentation.pad_crop_flip(image, torch.zeros(400, dtype=torch.int64), 16, rng())
    assert pieces.shape == (400, 2, 16, 16)
    moved = {}
    for down in range(-2, 3):
        for right in range(-2, 3):
            moved[down, right] = torch.zeros(2, 16, 16)
            rows = slice(max(0, down), 16 + min(0, down)), slice(max(0, -down), 16 + min(0, -down))
            columns = slice(max(0, right), 16 + min(0, right)), slice(max(0, -right), 16 + min(0, -right))
            moved[down, right][:, rows[0], columns[0]] = image[0, :, rows[1], columns[1]]
    seen = set()
    for piece in pieces:
        matches = [
            (place, mirrored)
            for place, expected in moved.items()
            for mirrored in (False, True)
            if torch.equal(piece.flip(2) if mirrored else piece, expected)
        ]
        assert len(matches) == 1
        seen.add(matches[0])
    assert len(seen) == 50  # all 25 places, both ways


@pytest.fixture(scope="module")
def boxes():
    """Where each of many pieces was cut from, read off an image whose values are its coordinates."""
    side, size, count = 64, 8, 3000
    along = (torch.arange(side) + 0.5) / side
    image = torch.stack([along.expand(side, side), along[:, None].expand(side, side)])[None]  # x, y
    pieces = augmentation.resized_crop_flip(image, torch.zeros(count, dtype=torch.int64), size, rng())
    assert pieces.shape == (count, 2, size, size)
    # Only pixels away from the image's edge, where values cannot go on growing, lie on a straight line.
    x, y = pieces[:, 0, 0], pieces[:, 1, :, 0]
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
    small = area < 0.7  # where every ratio fits, its logarithm is uniform
    assert ratio[small].log().std() == pytest.approx(2 * math.log(4 / 3) / math.sqrt(12), rel=0.05)


def test_resized_crops_lie_inside_the_image_anywhere_and_half_are_mirrored(boxes):
    x, y, width, height = boxes
    middle = (x[:, 3] + x[:, 4]) / 2, (y[:, 3] + y[:, 4]) / 2
    for centre, extent in ((middle[0], width.abs()), (middle[1], height)):
        assert (centre - extent / 2).min() > -0.01
        assert (centre + extent / 2).max() < 1.01
        free = extent < 0.6
        place = (centre - extent / 2)[free] / (1 - extent[free])  # 0: at one edge, 1: at the other
        assert place.mean() == pytest.approx(0.5, abs=0.03)
        assert place.std() == pytest.approx(1 / math.sqrt(12), abs=0.02)
    assert (width < 0).float().mean() == pytest.approx(0.5, abs=0.03)


def test_a_piece_that_is_the_whole_image_is_the_image_resized(monkeypatch):
    monkeypatch.setattr(augmentation, "AREA", (1.0, 1.0))
    images = torch.randn(3, 2, 8, 8)
    pieces = augmentation.resized_crop_flip(images, torch.tensor([2, 0, 1, 2]), 8, rng())
    for piece, image in zip(pieces, images[[2, 0, 1, 2]], strict=True):
        torch.testing.assert_close(piece if torch.allclose(piece, image) else piece.flip(2), image)
    half = augmentation.resized_crop_flip(images, torch.arange(3), 4, rng())
    expected = torch.nn.functional.interpolate(images, size=(4, 4), mode="bilinear")
    for piece, image in zip(half, expected, strict=True):
        torch.testing.assert_close(piece if torch.allclose(piece, image, atol=1e-6) else piece.flip(2), image)


@pytest.mark.parametrize("augment", ["none", *AUGMENTATIONS])
def test_a_networks_pieces_follow_from_its_own_generator(augment):
    side, size = {"crop-flip": (9, 8), "resized-crop-flip": (16, 14)}.get(augment, (8, 8))
    assert round(side * KEPT[augment]) == size
    images = torch.randn(5, 3, side, side)
    chosen = torch.tensor([[0, 1, 2], [2, 2, 4]])
    together = augmented(images, chosen, size, augment, [rng(1), rng(2)])
    assert together.shape == (2, 3, 3, size, size)
    for number in range(2):
        alone = augmented(images, chosen[number : number + 1], size, augment, [rng(number + 1)])
        assert torch.equal(alone[0], together[number])
    if augment == "none":
        assert torch.equal(together, images[chosen])
