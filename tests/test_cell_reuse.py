"""Cells side by side: reuse of finished ones, resumption, workers, stacks."""

from types import SimpleNamespace

import numpy as np
import pytest

from prunet.base import code
from prunet.base.errors import InputError
from prunet.cells import storage
from prunet.training import cells, groups, loop, outcomes, workers
from prunet.training.plan import TrainingPlan
from tests import toys
from tests.toy_cells import alone, cell, equal, maker, outcome, train

run, State, divide = workers.run, loop.TrainingState, groups.divide


@pytest.fixture
def make(tmp_path):
    return maker(tmp_path)


def refuse_to_train(*arguments):
    raise InputError("trained again")


@alone
def test_finished_cells_are_reused_and_a_new_round_is_trained_alone(make, monkeypatch):
    trainer, one, two, three = make(), *(f"original/{number}" for number in ("01", "02", "03"))
    folders = trainer.train([cell(trainer, one), cell(trainer, two)])
    before = [outcome(folder) for folder in folders]
    with monkeypatch.context() as patch:
        patch.setattr(loop, "train", refuse_to_train)
        for seconds in (1000, 1):  # the time between checkpoints does not matter
            again = make(seconds=seconds)
            assert again.train([cell(again, one), cell(again, two)]) == folders
        with pytest.raises(InputError, match=r"^study toy, original/02: trained again"):
            again.train([cell(again, one), cell(again, two, key="another key")])
    trained = []
    monkeypatch.setattr(workers, "run", lambda tasks, *rest: trained.append(tasks) or run(tasks, *rest))
    trainer.train([cell(trainer, name) for name in (one, two, three)])
    assert [task.args[0].names for task in trained[0]] == [[(three, 0)], [(three, 1)]]
    assert all(equal(found[0], outcome(folder)[0]) for found, folder in zip(before, folders, strict=True))


def test_a_finished_cell_of_another_folder_is_reused(make, monkeypatch, tmp_path):
    trainer = make()
    (folder,) = trainer.train([cell(trainer, key="its key")])
    chain = tmp_path / "chain"
    chain.mkdir()
    folder.rename(chain / "01")
    monkeypatch.setattr(loop, "train", refuse_to_train)
    assert trainer.train([cell(trainer, key="its key")], reuse=[chain]) == [chain / "01"]
    with pytest.raises(InputError, match="trained again"):
        trainer.train([cell(trainer, key="another key")], reuse=[chain])


@pytest.mark.parametrize("name", ["weights.safetensors", "kept.safetensors", "result.json"])
def test_a_damaged_cell_is_trained_again(make, name):
    """After a power failure, say."""
    trainer = make(steps=1)
    asked = [cell(trainer, plan=TrainingPlan(keep=0))]
    (folder,) = trainer.train(asked)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[:40])
    assert trainer.train(asked) == [folder]
    assert (folder / name).read_bytes() == whole


def test_the_key_names_everything_that_decides_the_bits(tmp_path, monkeypatch):
    study, scheme = toys.study(), "prunet/schemes/original.py"

    def key(settings=study, inputs=("data", "masks"), code_paths=(scheme,)):
        return cells.key(settings, inputs, code_paths)

    monkeypatch.setattr(cells.torch.cuda, "is_available", lambda: False)  # of a GPU, the name decides
    first = key()
    assert first == key(dict(reversed(study.items())))
    found = [
        first,
        key(toys.study(lr=0.02)),
        key(study | {"seed": 1}),
        key(inputs=("data", "other masks")),
        key(inputs=("masks", "data")),
        key(code_paths=(scheme, "prunet/schemes/random.py")),
        key(toys.study(threads=2)),
    ]
    for module, name, value in (
        (cells, "_digest", lambda *paths: f"other code of {paths}"),
        (code, "processor", lambda: "another processor"),
        (cells.torch, "__version__", "0.0"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            found.append(key())
    assert len(set(found)) == len(found)
    assert key() == first


def test_the_contents_of_a_cell_are_its_weights_and_masks(make):
    trainer = make(steps=1)
    (folder,) = trainer.train([cell(trainer)])
    before = cells.contents(folder)
    (folder / "result.json").write_text("{}")
    assert cells.contents(folder) == before
    storage.save_masks(folder / "masks.safetensors", trainer.dense_masks(), whole_units=True)
    assert cells.contents(folder) != before
    with pytest.raises(InputError, match=r"weights\.safetensors does not exist"):
        cells.contents(folder.parent)


def test_a_copied_cell_is_linked_and_outlives_its_source(make, tmp_path):
    trainer = make(steps=1)
    (folder,) = trainer.train([cell(trainer)])
    before = outcome(folder)
    cells.copy_cell(folder, tmp_path / "copy")
    assert (tmp_path / "copy" / "result.json").samefile(folder / "result.json")
    trainer.train([cell(trainer, key="another key", start=trainer.initial_weights("other"))])
    assert equal(outcome(tmp_path / "copy")[0], before[0])
    assert not equal(outcome(folder)[0], before[0])


def test_a_cell_that_was_killed_resumes_at_its_last_checkpoint_to_the_same_bits(make, monkeypatch):
    """Checkpoints follow the seconds, here 0: also where there is no evaluation, as with eval_every 1000."""
    whole = train(make(1, eval_every=1000), "whole/01")
    trainer, rates, learning_rate = make(1, eval_every=1000, seconds=0), [], loop.learning_rate

    def watch(step, settings):
        rates.append(step)
        if rates == list(range(1, 18)):
            raise KeyboardInterrupt
        return learning_rate(step, settings)

    monkeypatch.setattr(loop, "learning_rate", watch)
    with pytest.raises(KeyboardInterrupt):
        train(trainer, "killed/01")
    rates.clear()
    resumed = train(trainer, "killed/01")
    assert rates == list(range(17, 31))
    assert equal(resumed[0], whole[0])
    assert resumed[2] == whole[2]


@pytest.mark.field
def test_checkpoints_that_a_kill_left_beside_finished_cells_are_deleted_by_the_next_run(make, monkeypatch):
    """Those of cells that it does not train stay."""
    trainer, save = make(steps=1), outcomes.save
    unfinished, asked = trainer.folder / "unfinished", [cell(trainer, f"random/{n}") for n in ("01", "02")]

    def save_and_die(*given):
        save(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(outcomes, "save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            trainer.train(asked)
    assert list(unfinished.iterdir())
    others = {f"random-{name}.safetensors" for name in ("03-0", "mask-01-0", "011-0")}
    for name in others:
        (unfinished / name).write_bytes(b"of another cell")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "train", refuse_to_train)
        trainer.train(asked)
    assert {path.name for path in unfinished.iterdir()} == others


@pytest.mark.field
def test_networks_that_were_trained_too_briefly_are_named_also_when_they_are_reused(make, monkeypatch, capfd):
    message = (
        "warning: study toy: the validation loss still falls at the last step (30) in 4 of 4 networks: "
        "raise studies.toy.training.steps.\n"
    )
    trainer = make(lr=0.001)
    asked = [cell(trainer, name) for name in ("original/01", "original/02")]
    trainer.train(asked[:1])
    assert capfd.readouterr().err.endswith(message.replace("4 of 4", "2 of 2"))
    trainer.train(asked)  # the second is new
    assert capfd.readouterr().err.endswith(message)
    monkeypatch.setattr(loop, "train", refuse_to_train)
    trainer.train(asked)
    assert capfd.readouterr().err == message


def test_networks_that_have_converged_are_not_named(make, capfd):
    train(make(lr=0.0))
    assert "still falls" not in capfd.readouterr().err


@pytest.mark.field
def test_dense_networks_that_guess_are_named_and_pruned_ones_are_not(make, capfd):
    trainer = make(lr=0.0)
    masks = trainer.dense_masks()
    masks["fc1.weight"][:, 0] = False
    train(trainer, "original/01", masks=masks)
    assert "guess" not in capfd.readouterr().err
    train(trainer, "dense")
    assert "warning: study toy: 2 of 2 dense networks guess" in capfd.readouterr().err
    train(make(steps=200, weight_decay=0.0), "original/00")
    assert "guess" not in capfd.readouterr().err


@alone
def test_a_checkpoint_with_another_key_is_never_resumed(make, monkeypatch, capfd):
    """Other code, parameters, data, or another processor."""
    trainer, other = make(), make(lr=0.02)
    with monkeypatch.context() as patch:
        patch.setattr(outcomes, "save", refuse_to_train)
        with pytest.raises(InputError):
            trainer.train([cell(trainer)])
    assert len(list((trainer.folder / "unfinished").iterdir())) == 2
    found = train(other, key="another key")
    assert capfd.readouterr().err.count("training starts from the beginning") == 2
    assert equal(found[0], train(other, "fresh/01")[0])


@alone
def test_a_replicate_that_diverges_is_named_and_the_others_stay_finished(make, monkeypatch):
    monkeypatch.setattr("prunet.training.trainer.cores", lambda: 1)  # all in this process
    trainer, trained = make(3), []
    start = trainer.initial_weights("init")
    start["fc1.weight"][2] = np.inf
    message = r"^study toy, random/04: replicate 2: the validation loss is nan at step 0: lower the learning"
    with pytest.raises(InputError, match=message):
        train(trainer, "random/04", start)
    start["fc1.weight"][2] = 0.1
    monkeypatch.setattr(loop, "TrainingState", lambda *given: trained.append(given[5]) or State(*given))
    train(trainer, "random/04", start)
    assert [run["replicate"] for ((run,),) in zip(trained, strict=True)] == [2]


@alone
def test_finished_networks_are_gathered_one_cell_at_a_time(make, monkeypatch):
    """All of them together might not fit in memory."""
    trainer, events, load, save = make(steps=1), [], loop.load_finished, storage.save_cell
    monkeypatch.setattr(loop, "load_finished", lambda point: events.append("load") or load(point))
    monkeypatch.setattr(storage, "save_cell", lambda *given: events.append("save") or save(*given))
    trainer.train([cell(trainer, name) for name in ("a/01", "a/02")])
    assert events == ["load", "load", "save"] * 2


@alone
def test_networks_of_all_cells_share_one_pool_of_workers(make, monkeypatch):
    trainer, calls = make(), []
    monkeypatch.setattr(workers, "run", lambda *arguments: calls.append(arguments) or run(*arguments))
    monkeypatch.setattr("prunet.training.trainer.cores", lambda: 3)
    trainer.train([cell(trainer, name) for name in ("a/01", "a/02")])
    ((tasks, processes, threads, *_),) = calls
    members = [name for task in tasks for name in task.args[0].names]
    assert members == [(name, number) for name in ("a/01", "a/02") for number in (0, 1)]
    assert (processes, threads) == (3, 1)


def test_on_a_gpu_cells_of_one_plan_are_one_stack(make, monkeypatch):
    def names(trainer, *plans):
        """Return the networks of each task of a trainer that finds a GPU."""
        tasks = []
        trainer.device = SimpleNamespace(type="cuda")
        monkeypatch.setattr(workers, "run", lambda *arguments: tasks.append(arguments[:2]) or iter(()))
        monkeypatch.setattr(outcomes, "save", refuse_to_train)
        with pytest.raises(InputError):
            trainer.train([cell(trainer, f"a/{number:02}", plan=plan) for number, plan in enumerate(plans)])
        ((found, at_once),) = tasks
        assert at_once == 1
        return [task.args[0].names for task in found]

    plain, late = TrainingPlan(), TrainingPlan(first=5)
    assert names(make(2), late, plain, plain) == [
        [("a/00", 0), ("a/00", 1)],
        [("a/01", 0), ("a/01", 1), ("a/02", 0), ("a/02", 1)],
    ]
    assert names(make(2, "resnet-20", side=8), plain) == [[("a/00", 0)], [("a/00", 1)]]


def test_cells_trained_as_one_stack_have_their_own_results_in_order(make, monkeypatch):
    trainer = make()
    thin = {name: mask.copy() for name, mask in trainer.dense_masks().items()}
    thin["fc1.weight"][:, ::2] = False
    named = {"01": thin, "02": trainer.dense_masks()}
    alone = [train(trainer, f"alone/{number}", masks=masks) for number, masks in named.items()]
    monkeypatch.setattr(groups, "divide", lambda cells, _, *rest: divide(cells, True, *rest))
    stacked = [cell(trainer, f"stack/{number}", masks=masks) for number, masks in named.items()]
    for folder, (weights, masks, result) in zip(trainer.train(stacked), alone, strict=True):
        found, found_masks, found_result = outcome(folder)
        assert equal(found_masks, masks)
        assert found_result["density"] == result["density"]
        for mine, theirs in zip(found_result["networks"], result["networks"], strict=True):
            assert (mine["seeds"], mine["early_stop_step"]) == (theirs["seeds"], theirs["early_stop_step"])
            assert mine["curve"]["val_loss"] == pytest.approx(theirs["curve"]["val_loss"], rel=1e-5)
        for name in weights:
            np.testing.assert_allclose(found[name], weights[name], rtol=1e-4, atol=1e-6)
