"""The cell of a scheme at a round: its job, and the key that decides whether it is trained again."""

import numpy as np
import pytest

from prunet.base.seeds import derive
from prunet.cells import storage
from prunet.retraining import scheme, tickets
from prunet.training import cells
from tests.toy_cells import maker

SPARSE = ("static", "set", "rigl", "sparse-momentum")
DYNAMIC = {"densities": "uniform", "begin": 0.0, "end": 0.75, "every": 10, "drop": 0.3}


@pytest.fixture
def models(tmp_path):
    """Return a function that makes cells from the files of a study after one round."""
    trainer = maker(tmp_path)()
    rng = np.random.default_rng(0)
    masks = {name: rng.random(mask.shape) < 0.4 for name, mask in trainer.dense_masks().items()}
    storage.save_weights(tmp_path / "init.safetensors", trainer.initial_weights("init"))
    storage.save_weights(tmp_path / "rewind.safetensors", trainer.initial_weights("early"))
    storage.save_cell(tmp_path / "dense", trainer.initial_weights("dense"), trainer.dense_masks(), {})
    storage.save_masks(tmp_path / "masks" / "01.safetensors", masks)

    def cell(name, number="01", data="data", study=trainer, **extra):
        found = scheme.load(name)
        if found.dynamic:
            extra = {"dynamic": DYNAMIC} | extra
        return tickets.cell(study, name, found, number, tmp_path, tmp_path / "dense", data, extra)

    cell.folder, cell.trainer, cell.masks = tmp_path, trainer, masks
    return cell


def test_the_dense_network_of_the_same_replicate_teaches_where_the_study_distills(models):
    study = maker(models.folder)(distill={"share": 0.5, "temperature": 2.0})
    expected = models.trainer.initial_weights("dense")
    assert models("random", reinits=3).job().teachers is None
    teachers = models("random", study=study, reinits=3).job().teachers
    for layer, values in expected.items():
        assert all(np.array_equal(teachers[layer][number], values[number // 3]) for number in range(6))

    (models.folder / "before").mkdir()
    for file in (models.folder / "dense").iterdir():
        (models.folder / "before" / file.name).write_bytes(file.read_bytes())

    def keys():
        before = models.folder, models.folder / "before", "data", {}
        made = [tickets.cell(own, "original", scheme.load("original"), "01", *before) for own in trainers]
        return [cell.key for cell in made]

    trainers = [models.trainer, study]
    earlier = keys()
    storage.save_cell(
        models.folder / "dense", models.trainer.initial_weights("other"), models.trainer.dense_masks(), {}
    )
    assert [one == other for one, other in zip(earlier, keys(), strict=True)] == [True, False]


@pytest.mark.parametrize(
    ("name", "source"),
    [("original", "init"), ("rewind", "early"), ("trained", "dense"), ("lr-rewind", "dense")],
)
def test_start_values_come_from_the_files_of_the_study(models, name, source):
    cell = models(name)
    job = cell.job()
    expected = models.trainer.initial_weights(source)
    assert cell.name == f"{name}/01"
    assert cell.networks == 2
    assert all(np.array_equal(job.weights[layer], values) for layer, values in expected.items())
    assert all(np.array_equal(job.masks[layer], mask) for layer, mask in models.masks.items())
    assert job.drawn_for == ("init",)
    assert not job.whole_units


def test_random_values_are_drawn_for_their_round(models):
    cell = models("random", reinits=3)
    job = cell.job()
    assert cell.networks == len(job.weights["fc1.weight"]) == 6
    assert job.drawn_for == ("random", "01")
    expected = models.trainer.initial_weights("random", "01", reinits=3)
    assert all(np.array_equal(job.weights[layer], values) for layer, values in expected.items())


def test_only_schemes_with_masks_of_their_own_lack_whole_units(models):
    storage.save_masks(models.folder / "masks" / "01.safetensors", models.masks, whole_units=True)
    own = {name for name in scheme.names() if not models(name).job().whole_units}
    assert own == {"gradual", "early-bird", *SPARSE}


def test_masks_are_drawn_from_the_seed_of_scheme_and_round(models):
    first, *others = (models(name).job().masks["fc1.weight"] for name in SPARSE)
    assert all(np.array_equal(first, other) for other in others)
    seed = derive(0, "toy", "random-mask", "01")
    drawn = models("random-mask").job().masks["fc1.weight"]
    for replicate in range(2):
        order = np.random.default_rng([seed, replicate]).permutation(300 * 36)
        expected = models.masks["fc1.weight"][replicate].ravel()[order]
        np.testing.assert_array_equal(drawn[replicate].ravel(), expected)
    assert not np.array_equal(first, drawn)


def test_the_key_changes_with_everything_that_the_cell_is_made_from(models, monkeypatch):
    other_lr = maker(models.folder)(lr=0.02)
    found = [
        models("original").key,
        models("trained").key,
        models("original", data="other data").key,
        models("original", study=other_lr).key,
        models("rigl").key,
        models("rigl", dynamic=DYNAMIC | {"drop": 0.2}).key,
        models("random").key,
        models("random", reinits=3).key,
    ]
    storage.save_masks(models.folder / "masks" / "02.safetensors", models.masks)
    found.append(models("original", "02").key)
    for name in ("init.safetensors", "rewind.safetensors", "dense/weights.safetensors"):
        storage.save_weights(models.folder / name, models.trainer.initial_weights("others"))
        found.append(models("original").key)
    storage.save_masks(models.folder / "masks" / "01.safetensors", models.trainer.dense_masks())
    found.append(models("original").key)
    monkeypatch.setattr(cells, "_digest", lambda *paths: f"other code of {paths}")
    found.append(models("original").key)
    assert len(set(found)) == len(found)


def test_the_key_depends_on_the_code_of_its_own_scheme_alone(models, monkeypatch):
    """A change of one scheme leaves the other schemes' cells as they are. One draw is the default."""
    asked = []
    monkeypatch.setattr(cells, "_digest", lambda *paths: asked.append(paths) or "code")
    assert models("random").key == models("random", reinits=1).key
    assert asked[1] == ("prunet/retraining", "prunet/schemes/random.py")
