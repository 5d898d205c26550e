"""Images on disk give the same results as images in memory."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from prunet.base import processes
from prunet.base.errors import InputError
from prunet.data.images.dataset import SPLITS
from prunet.data.images.squares import square
from prunet.data.sets.folder import folder
from prunet.models.built_in import MODELS, initial_weights
from prunet.training import augmentation, batches, evaluation, gradients, pixels, streams, workers
from prunet.training.plan import TrainingPlan
from prunet.training.trainer import Trainer
from tests import toys
from tests.image_sets import tree
from tests.toy_cells import equal, train

torch.set_num_threads(1)
CPU = torch.device("cpu")
RUNS = [{"seeds": {"order": 1}}, {"seeds": {"order": 2}}]
AUGMENT = ["none", "crop-flip", "pad-crop-flip", "resized-crop-flip", "rand-augment"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return tree(tmp_path_factory.mktemp("streams") / "photos")


@pytest.fixture(scope="module")
def in_memory(photos):
    return read(photos, memory=10**9)


@pytest.fixture(scope="module")
def on_disk(photos):
    return read(photos, memory=0)


@pytest.fixture
def own(tmp_path):
    """Return the image folder again, on disk, for tests that change it."""
    return read(tree(tmp_path / "photos"), memory=0)


@pytest.fixture(autouse=True)
def no_workers(monkeypatch):
    """Decode in this process, which is faster than to start others."""
    monkeypatch.setattr(streams, "cores", lambda: 0)


def read(photos, memory):
    return folder(str(photos), 18, memory, 6, 3, distance=0, min_images=0, doubtful="warn", seed=0)


def steps(data, augment, input_size=16, done=0):
    """Return the batches of a run of two networks after the first `done` steps."""
    split = batches.to_device(data, input_size, augment, CPU)["train"]
    settings = {"steps": 4, "batch_size": 5, "augment": augment}
    generators = [torch.Generator().manual_seed(number) for number in range(2)]
    size = pixels.visible_side(split[0].shape[-1], augment)
    for _ in range(done):
        image = torch.zeros(1, 3, *split[0].shape[2:])
        chosen = torch.zeros(2, 5, dtype=torch.int64)
        augmentation.augment_batch(image, chosen, size, augment, generators)
    return list(batches.training_batches(split, size, settings, RUNS, generators, done))


def assert_same(found, expected):
    assert [step for step, _ in found] == [step for step, _ in expected]
    for (_, (images, labels)), (_, (same, known)) in zip(found, expected, strict=True):
        assert torch.equal(labels, known)
        assert torch.equal(images, same)


@pytest.mark.parametrize("augment", AUGMENT)
@pytest.mark.parametrize("input_size", [None, 16])
def test_training_batches_are_those_of_images_in_memory(in_memory, on_disk, augment, input_size):
    assert_same(steps(on_disk, augment, input_size), steps(in_memory, augment, input_size))
    values = batches.preparation(on_disk, input_size, augment)
    assert values == batches.preparation(in_memory, input_size, augment)


@pytest.mark.parametrize("augment", AUGMENT)
def test_a_resumed_run_gets_the_same_batches(on_disk, augment):
    assert_same(steps(on_disk, augment, done=2), steps(on_disk, augment)[2:])


@pytest.mark.parametrize("workers", [1, 3])
def test_the_number_of_workers_does_not_affect_the_batches(in_memory, on_disk, monkeypatch, workers):
    monkeypatch.setattr(streams, "cores", lambda: workers)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(workers))  # DataLoader checks it
    torch.manual_seed(0)
    before = torch.get_rng_state()
    found = steps(on_disk, "crop-flip")
    assert torch.equal(torch.get_rng_state(), before)  # the global generator belongs to dropout
    assert_same(found, steps(in_memory, "crop-flip"))


def test_evaluation_equals_that_of_images_in_memory(in_memory, on_disk):
    build = partial(MODELS["lenet-300-100"], (3, 16, 16), 3)
    network = gradients.network(build(), {"dtype": "float32", "label_smoothing": 0.0})
    stack = {name: tensor[None] for name, tensor in initial_weights(build, 0, "glorot").items()}
    found, expected = (batches.to_device(data, 16, "none", CPU) for data in (on_disk, in_memory))
    for name in SPLITS:
        ours, theirs = (evaluation.evaluate(network, stack, data[name], 16) for data in (found, expected))
        assert ours == theirs


def test_images_spread_over_a_split_equal_those_in_memory(in_memory, on_disk):
    found, expected = (batches.to_device(data, 16, "none", CPU)["train"] for data in (on_disk, in_memory))
    pairs = list(zip(batches.spread(found, 7, 3), batches.spread(expected, 7, 3), strict=True))
    assert [len(ours) for ours, _ in pairs] == [4, 3]
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_a_training_with_every_setting_equals_that_of_images_in_memory(in_memory, on_disk, tmp_path):
    training = {
        "augment": "rand-augment",
        "mixup": 0.2,
        "cutmix": 1.0,
        "label_smoothing": 0.1,
        "clip_norm": 1.0,
    }
    training |= {"optimizer": "adamw", "ema": 0.9, "recalibrate": 8, "freeze": 2, "steps": 4, "eval_every": 2}
    study = toys.study(**training) | {"input_size": 16, "replicates": 1}
    (first, _, result), (second, _, other) = (
        train(Trainer(study, data, tmp_path / name)) for name, data in (("a", on_disk), ("b", in_memory))
    )
    assert equal(first, second)
    assert result["networks"] == other["networks"]


def test_a_rewound_training_decodes_no_batch_before_its_first_step(on_disk, tmp_path, monkeypatch):
    training, decoded = set(paths_of(on_disk, "train")), []
    monkeypatch.setattr(streams, "square", lambda path, side: decoded.append(path) or square(path, side))
    study = toys.study(augment="crop-flip", steps=6) | {"input_size": 16, "replicates": 1}
    train(Trainer(study, on_disk, tmp_path), plan=TrainingPlan(first=4))
    assert len([path for path in decoded if path in training]) == 2 * study["training"]["batch_size"]


def test_chosen_images_equal_those_in_memory(in_memory, on_disk):
    for chosen in (np.array([7, 2, 2]), on_disk["split"] == 1):
        expected = in_memory["images"][chosen]
        for data in (on_disk, in_memory):
            images = streams.choose(data["images"], chosen)
            parts = list(streams.parts(images, 2))
            assert [len(part) for part in parts] == [2] * (len(expected) // 2) + [1] * (len(expected) % 2)
            np.testing.assert_array_equal(torch.cat(parts), expected)
            np.testing.assert_array_equal(streams.pixels(images, np.array([1, 0, 1])), expected[[1, 0, 1]])
    found, expected = (
        batches.take(batches.to_device(data, None, "none", CPU)["val"], torch.tensor([4, 0]))
        for data in (on_disk, in_memory)
    )
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, expected, strict=True))


def paths_of(data, name):
    files = data["images"]
    return [Path(files.folder, files.names[n]) for n in np.flatnonzero(data["split"] == SPLITS.index(name))]


def everything(split):
    parts = list(batches.chunks(split, 10))
    return torch.cat([images for images, _ in parts]), torch.cat([labels for _, labels in parts])


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_an_unreadable_image_is_named_once_and_replaced_by_the_next(own, in_memory, capfd, damage):
    split = batches.to_device(own, None, "none", CPU)["train"]
    images, labels = everything(batches.to_device(in_memory, None, "none", CPU)["train"])
    lost = [3, len(labels) - 1]
    paths = paths_of(own, "train")
    for number in lost:
        paths[number].write_bytes(b"\x89PNG") if damage == "cut" else paths[number].unlink()
    capfd.readouterr()
    replaced = torch.arange(len(labels))
    replaced[3], replaced[-1] = 4, 0
    for _ in range(2):
        found, seen = everything(split)
        assert torch.equal(found, images[replaced])
        assert torch.equal(seen, labels[replaced])
    warnings = capfd.readouterr().err
    assert warnings.count("warning") == 2
    for count, number in enumerate(lost, 1):
        assert warnings.count(f"{paths[number]} can no longer be read") == 1
        assert f"({count} of {len(labels)} images so far)" in warnings


def test_a_missing_disk_ends_the_run(own):
    split = batches.to_device(own, None, "none", CPU)["train"]
    for path in paths_of(own, "train"):
        path.unlink()
    with pytest.raises(InputError, match=r"\.png and the next 9 images cannot be read: check the disk"):
        everything(split)


def test_a_missing_folder_is_named(own):
    photos = Path(own["images"].folder)
    photos.rename(photos.with_name("elsewhere"))
    with pytest.raises(InputError, match=r"photos, the folder with .*, does not exist: restore it"):
        batches.to_device(own, None, "none", CPU)


def test_a_killed_worker_ends_the_run(on_disk, monkeypatch):
    monkeypatch.setattr(streams, "cores", lambda: 1)
    split = batches.to_device(on_disk, None, "none", CPU)["train"]
    monkeypatch.setattr(streams, "square", lambda *_: os._exit(1))
    with pytest.raises(InputError, match="a process that decodes images ended"):
        everything(split)


def test_trainings_side_by_side_share_the_cores_to_decode(monkeypatch):
    monkeypatch.setattr(streams, "cores", processes.cores)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(5))
    assert streams.decoders() == 5
    found = workers.run([lambda: [streams.decoders()]] * 2, workers=2, threads=1)
    assert sorted(pair for pair in found if pair[1] is not None) == [(0, 2), (1, 2)]


def test_a_thread_beside_others_decodes_by_itself(on_disk, in_memory, monkeypatch):
    monkeypatch.setattr(streams, "cores", lambda: 2)
    decoded, test = [], on_disk["split"] == 2
    monkeypatch.setattr(streams, "square", lambda path, side: decoded.append(path) or square(path, side))
    images = streams.choose(on_disk["images"], test)
    with ThreadPoolExecutor(1) as pool:
        (found,) = pool.submit(lambda: list(streams.parts(images, 5))).result()
    np.testing.assert_array_equal(found, in_memory["images"][test])
    assert decoded == paths_of(on_disk, "test")  # those of another process would not be listed here
