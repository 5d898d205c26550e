"""Images that are read from disk during a training are those that memory would have held."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from prunet.base.errors import InputError
from prunet.data.dataset import SPLITS
from prunet.data.sets.folder import folder
from prunet.models import built_in as models
from prunet.training import batches, evaluation, gradients, pixels, streams
from tests.image_sets import tree

torch.set_num_threads(1)
CPU = torch.device("cpu")
RUNS = [{"seeds": {"order": 1}}, {"seeds": {"order": 2}}]
AUGMENT = ["none", "crop-flip", "pad-crop-flip", "resized-crop-flip"]


@pytest.fixture
def photos(tmp_path):
    return tree(tmp_path / "photos")


def both(photos):
    """The same image folder in memory and on disk."""
    return [folder(str(photos), 18, memory, 6, 3, seed=0) for memory in (10**9, 0)]


def steps(data, augment, input_size=16, done=0, skip=0):
    """Batches of a training of two networks; of the first `skip` augmentation alone is drawn."""
    split = batches.to_device(data, input_size, augment, CPU)["train"]
    settings = {"steps": 4, "batch_size": 5, "augment": augment}
    generators = [torch.Generator().manual_seed(number) for number in range(2)]
    size = pixels.seen_side(split[0].shape[-1], augment)
    for _ in range(skip):
        batches.augmented(
            torch.zeros(1, 3, *split[0].shape[2:]),
            torch.zeros(2, 5, dtype=torch.int64),
            size,
            augment,
            generators,
        )
    return list(batches.training_batches(split, size, settings, RUNS, generators, done))


def assert_same(found, expected):
    assert [step for step, _ in found] == [step for step, _ in expected]
    for (_, (images, labels)), (_, (same, known)) in zip(found, expected, strict=True):
        assert torch.equal(labels, known)
        assert torch.equal(images, same)


@pytest.mark.parametrize("augment", AUGMENT)
@pytest.mark.parametrize("input_size", [None, 16])
def test_training_sees_the_batches_that_memory_would_have_held(photos, augment, input_size):
    in_memory, on_disk = both(photos)
    assert_same(steps(on_disk, augment, input_size), steps(in_memory, augment, input_size))
    how = batches.preparation(on_disk, input_size, augment)
    assert how == batches.preparation(in_memory, input_size, augment)


@pytest.mark.parametrize("augment", AUGMENT)
def test_a_training_that_goes_on_sees_the_same_batches(photos, augment):
    _, on_disk = both(photos)
    assert_same(steps(on_disk, augment, done=2, skip=2), steps(on_disk, augment)[2:])


@pytest.mark.parametrize("workers", [1, 3])
def test_the_number_of_processes_decides_nothing(photos, monkeypatch, workers):
    in_memory, on_disk = both(photos)
    expected = steps(in_memory, "crop-flip")
    monkeypatch.setattr(streams, "cores", lambda: workers)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(workers))  # as DataLoader counts cores
    assert_same(steps(on_disk, "crop-flip"), expected)


def test_evaluation_is_that_of_memory(photos):
    in_memory, on_disk = both(photos)
    model = models.MODELS["lenet-300-100"]((3, 16, 16), 3)
    settings = {"dtype": "float32", "label_smoothing": 0.0}
    network = gradients.network(model, settings)
    stack = {name: tensor[None] for name, tensor in models.initial_weights(model, 0, "glorot").items()}
    for name in ("train", "val", "test"):
        found, expected = (
            evaluation.evaluate(network, stack, batches.to_device(data, 16, "none", CPU)[name], 16)
            for data in (on_disk, in_memory)
        )
        assert found == expected


def test_reading_draws_no_random_numbers(photos):
    """The global generator belongs to dropout."""
    _, on_disk = both(photos)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    steps(on_disk, "resized-crop-flip")
    assert torch.equal(torch.get_rng_state(), before)


def test_chosen_images_are_those_of_the_data_set(photos):
    in_memory, on_disk = both(photos)
    for chosen in (np.array([7, 2, 2]), on_disk["split"] == 1):
        np.testing.assert_array_equal(streams.pixels(on_disk["images"], chosen), in_memory["images"][chosen])
        np.testing.assert_array_equal(
            streams.pixels(in_memory["images"], chosen), in_memory["images"][chosen]
        )
    split = batches.to_device(on_disk, None, "none", CPU)["val"]
    held = batches.to_device(in_memory, None, "none", CPU)["val"]
    for found, expected in zip(
        batches.take(split, torch.tensor([4, 0])), batches.take(held, torch.tensor([4, 0])), strict=True
    ):
        assert torch.equal(found, expected)


def paths_of(data, name):
    files = data["images"]
    return [Path(files.folder, files.names[n]) for n in np.flatnonzero(data["split"] == SPLITS.index(name))]


def everything(split):
    parts = list(batches.chunks(split, 10))
    return torch.cat([images for images, _ in parts]), torch.cat([labels for _, labels in parts])


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_an_image_lost_on_the_way_is_named_once_and_the_one_after_it_takes_its_place(photos, capfd, damage):
    in_memory, on_disk = both(photos)
    split = batches.to_device(on_disk, None, "none", CPU)["train"]
    images, labels = everything(batches.to_device(in_memory, None, "none", CPU)["train"])
    lost = [3, len(labels) - 1]
    paths = paths_of(on_disk, "train")
    for number in lost:
        paths[number].write_bytes(b"\x89PNG") if damage == "cut" else paths[number].unlink()
    capfd.readouterr()
    instead = torch.arange(len(labels))
    instead[3], instead[-1] = 4, 0
    for _ in range(2):
        found, seen = everything(split)
        assert torch.equal(found, images[instead])
        assert torch.equal(seen, labels[instead])
    said = capfd.readouterr().err
    assert said.count("warning") == 2
    for place, number in enumerate(lost, 1):
        assert said.count(f"{paths[number]} can no longer be read") == 1
        assert f"({place} of {len(labels)} images so far)" in said


def test_a_disk_that_is_gone_ends_the_run(photos):
    _, on_disk = both(photos)
    split = batches.to_device(on_disk, None, "none", CPU)["train"]
    for path in paths_of(on_disk, "train"):
        path.unlink()
    with pytest.raises(InputError, match=r"\.png and the 9 images after it cannot be read"):
        everything(split)


def test_a_folder_that_is_gone_is_named(photos):
    _, on_disk = both(photos)
    photos.rename(photos.with_name("elsewhere"))
    with pytest.raises(InputError, match=r"photos is not there, and holds the images"):
        batches.to_device(on_disk, None, "none", CPU)


def test_a_decoding_process_that_is_killed_ends_the_run(photos, monkeypatch):
    _, on_disk = both(photos)
    split = batches.to_device(on_disk, None, "none", CPU)["train"]
    monkeypatch.setattr(streams, "square", lambda *_: os._exit(1))
    with pytest.raises(InputError, match="a process that decodes images ended"):
        everything(split)
