import numpy as np
import pytest
import torch

from prunet.networks import batches


def toy(side=4, count=10):
    images = np.arange(count * side * side, dtype=np.uint8).reshape(count, 1, side, side)
    split = np.array([0] * (count - 4) + [1, 1, 2, 2], np.uint8)
    return {"images": images, "labels": np.arange(count), "split": split}


CPU = torch.device("cpu")


def test_images_are_normalised_by_the_training_split_alone():
    splits = batches.place(toy(), None, "none", CPU)
    images, labels = splits["train"]
    assert images.mean().item() == pytest.approx(0, abs=1e-6)
    assert images.std().item() == pytest.approx(1, abs=1e-6)
    assert labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert splits["val"][1].tolist() == [6, 7]
    assert splits["test"][0].mean() > 2


@pytest.mark.parametrize(
    ("input_size", "augment", "stored", "seen"),
    [(None, "none", 144, 144), (64, "none", 64, 64), (64, "crop-flip", 72, 64), (128, "crop-flip", 144, 128)],
)
def test_the_model_sees_input_size_pixels(input_size, augment, stored, seen):
    data = toy(side=4) | {"images": np.random.default_rng(0).integers(0, 255, (10, 1, 144, 144), np.uint8)}
    splits = batches.place(data, input_size, augment, CPU)
    assert splits["train"][0].shape == (6, 1, stored, stored)
    assert batches.input_shape(splits, augment) == (1, seen, seen)


def test_every_pass_holds_every_image_once_and_every_batch_is_full():
    drawn = batches.order(count=10, batch_size=4, steps=6, generator=torch.Generator().manual_seed(0))
    assert drawn.shape == (6, 4)
    flat = drawn.flatten().tolist()
    assert sorted(flat[:10]) == sorted(flat[10:20]) == list(range(10))
    assert flat[:10] != flat[10:20]


def test_a_batch_may_be_larger_than_the_data():
    drawn = batches.order(count=3, batch_size=7, steps=2, generator=torch.Generator().manual_seed(0))
    assert drawn.shape == (2, 7)
    assert sorted(torch.bincount(drawn.flatten()).tolist()) == [4, 5, 5]


def test_crops_are_pieces_of_the_chosen_images_some_mirrored():
    images = torch.arange(2 * 5 * 5.0).view(2, 1, 5, 5)
    chosen = torch.tensor([1, 0] * 50)
    pieces = batches.crop_flip(images, chosen, 3, torch.Generator().manual_seed(0))
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


def test_the_centre_is_the_middle():
    images = torch.arange(16.0).view(1, 1, 4, 4)
    assert batches.centre(images, 2).flatten().tolist() == [5, 6, 9, 10]
    assert torch.equal(batches.centre(images, 4), images)


def test_chunks_drop_nothing():
    split = (torch.arange(7.0).view(7, 1, 1, 1), torch.arange(7))
    labels = [part[1].tolist() for part in batches.chunks(split, 3)]
    assert labels == [[0, 1, 2], [3, 4, 5], [6]]
