"""Stages that run finished networks on images on disk: the results of images in memory, a few at a time."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from prunet.base import files
from prunet.data.images import dataset
from prunet.data.sets.folder import folder as read_folder
from prunet.deployment import costs, exporting, forms, inference, measuring, onnx_file, plain_files, selection
from prunet.recognition import features
from prunet.training import streams
from stages import mistakes
from tests import toys
from tests.image_sets import tree
from tests.test_footprint_stages import save_cell
from tests.toy_tools import invoke

LIMIT = 4  # images that may be decoded and not yet seen by a network
TEST = 12


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Return an image folder as a data set in memory and as one on disk, and two cells of networks."""
    folder = tmp_path_factory.mktemp("streamed")
    photos = str(tree(folder / "photos", count=12))
    both = [
        read_folder(photos, 18, memory, 6, TEST, distance=0, min_images=0, doubtful="warn", seed=0)
        for memory in (10**9, 0)
    ]
    save_cell(folder / "dense", 1, shape=(3, 16, 16))
    save_cell(folder / "cells" / "01", 0.2, shape=(3, 16, 16))
    return folder, *both


@pytest.fixture
def waiting(monkeypatch):
    """Have the test fail once more than `LIMIT` images are decoded that no network has seen; count all."""
    counts = {"waiting": 0, "decoded": 0}
    square = streams.square

    def decode(path, side):
        counts["waiting"] += 1
        counts["decoded"] += 1
        assert counts["waiting"] <= LIMIT
        return square(path, side)

    monkeypatch.setattr(streams, "square", decode)
    monkeypatch.setattr(streams, "cores", lambda: 0)
    monkeypatch.setattr(measuring, "cores", lambda: 1)
    monkeypatch.setattr(streams, "DECODING_BATCH", LIMIT)
    monkeypatch.setattr(plain_files, "BATCHES", (1, 2))
    hook = register_module_forward_pre_hook(lambda *_: counts.update(waiting=0))
    yield counts
    hook.remove()


def select(folder, data, cell="cells/01"):
    study = toys.study() | {"input_size": 16}
    metadata = selection.about_study(study, None, data) | {"scheme": "original", "round": "01"}
    return selection.select(folder / cell, 0, metadata)


def test_a_network_sees_few_images_at_a_time_and_answers_as_if_all_were_in_memory(sets, waiting):
    folder, in_memory, on_disk = sets
    test = in_memory["split"] == 2
    weights, _, metadata = select(folder, on_disk)
    model = inference.build(weights, metadata)
    for answer in (partial(inference.classify, model, metadata=metadata), features.embedder(model, metadata)):
        found, expected = (answer(streams.choose(data["images"], test)) for data in (on_disk, in_memory))
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert waiting["decoded"] == 2 * TEST


def test_the_footprint_of_images_on_disk_is_that_of_images_in_memory(sets, waiting, monkeypatch):
    monkeypatch.setattr(forms, "latencies", lambda *_: [])
    monkeypatch.setattr(costs, "in_memory", lambda *_: {})  # imports PyTorch's compiler
    folder, *both = sets
    settings = {"rounds": 1, "batches": [1, 2], "seconds": 0.0, "threads": 1, "bits": [5]}
    tables = [
        measuring.measure_rounds(
            lambda _, data=data: select(folder, data),
            ["01"],
            select(folder, data, "dense"),
            streams.choose(data["images"], data["split"] == 2),
            data["labels"][data["split"] == 2],
            settings,
        )
        for data in both
    ]
    assert tables[0]["quantised"] == tables[1]["quantised"]
    assert waiting["decoded"] == 3 * TEST + max(settings["batches"])


def test_the_export_of_images_on_disk_is_that_of_images_in_memory(sets, waiting, tmp_path, monkeypatch):
    folder, *both = sets
    compared = []

    def check(path, model, batches):
        compared.append(torch.cat([model(images) for images in batches]))

    monkeypatch.setattr(onnx_file, "save", lambda path, *_: path.touch())
    monkeypatch.setattr(onnx_file, "check", check)  # `tests.test_onnx_file` has the true one
    for name in ("save", "write_card"):
        monkeypatch.setattr(plain_files, name, lambda *_: None)
    metadata = []
    for name, data in zip("ab", both, strict=True):
        (tmp_path / name).mkdir()
        dense, _, _ = select(folder, data, "dense")
        given = tmp_path / name, select(folder, data), dense, data, None
        metadata.append(exporting.export(*given, bits=4, known=0.95, false_accepts=None))
    assert metadata[0] == metadata[1]
    assert files.read_json(tmp_path / "a/about.json") == files.read_json(tmp_path / "b/about.json")
    assert len(compared) == 6
    for ours, theirs in zip(compared[:3], compared[3:], strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_mistakes_on_images_on_disk_are_those_on_images_in_memory(sets, waiting, tmp_path):
    folder, *both = sets
    study = {"study": toys.study() | {"input_size": 16}, "finding": None, "scheme": "original", "round": "01"}
    files.write_json(tmp_path / "params", study)
    tables = []
    for name, data in zip("ab", both, strict=True):
        dataset.save(tmp_path / name, **data)
        outputs = [tmp_path / f"{name}-{part}" for part in ("confusion.csv", "wrong.csv", "figure.png")]
        done = invoke(
            mistakes, tmp_path / "params", tmp_path / name, folder / "dense", folder / "cells", *outputs
        )
        assert done.exit_code == 0, done.output
        tables.append(outputs)
    assert tables[0][0].read_text() == tables[1][0].read_text()
    own, other = (pd.read_csv(paths[1]).drop(columns="file") for paths in tables)
    assert own.equals(other)
    assert waiting["decoded"] == 4 * TEST
