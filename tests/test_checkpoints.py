import numpy as np
import pytest
import torch

from prunet.training.checkpoints import Checkpoint, key

TENSORS = {"weights/fc1": torch.arange(6.0).view(2, 3), "generator/0": torch.arange(4, dtype=torch.uint8)}
STATE = {"points": [[0, [2.25], [0.1]], [10, [1 / 3], [0.7]]]}


def saved(tmp_path):
    path = tmp_path / "cell" / "0-1.safetensors"
    Checkpoint(path, "k", 20).save(TENSORS, STATE)
    return path


def test_what_is_saved_comes_back_to_the_bit(tmp_path, capsys):
    tensors, state = Checkpoint(saved(tmp_path), "k", 20).load()
    assert state == STATE
    assert {name for name in tensors if torch.equal(tensors[name], TENSORS[name])} == set(TENSORS)
    assert capsys.readouterr().err == ""


def test_no_checkpoint_is_no_warning(tmp_path, capsys):
    assert Checkpoint(tmp_path / "none.safetensors", "k", 20).load() is None
    assert capsys.readouterr().err == ""


def test_a_checkpoint_of_another_training_is_never_used(tmp_path, capsys):
    path = saved(tmp_path)
    assert Checkpoint(path, "other", 20).load() is None
    assert capsys.readouterr().err == (
        f"warning: {path} is of another training: it is ignored, and its training begins anew.\n"
    )


@pytest.mark.parametrize("size", [0, 4, 40, -1])
def test_a_truncated_checkpoint_is_ignored_with_a_warning(tmp_path, capsys, size):
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:size])
    assert Checkpoint(path, "k", 20).load() is None
    assert "is damaged: it is ignored" in capsys.readouterr().err


def test_it_is_due_after_its_seconds(tmp_path):
    assert Checkpoint(tmp_path / "a", "k", 0).due()
    assert not Checkpoint(tmp_path / "a", "k", 1000).due()


def test_the_key_names_everything_that_decides():
    arrays = {"w": np.zeros((2, 3), np.float32)}
    keys = [
        key({"lr": 1}, arrays),
        key({"lr": 2}, arrays),
        key({"lr": 1}, {"w": np.zeros((3, 2), np.float32)}),
        key({"lr": 1}, {"w": np.zeros((2, 3), np.float64)}),
        key({"lr": 1}, {"v": np.zeros((2, 3), np.float32)}),
        key({"lr": 1}, {"w": np.array([[0, 0, 0], [0, 0, 1]], np.float32)}),
    ]
    assert len(set(keys)) == len(keys)
    assert key({"a": 1, "b": 2}, arrays) == key({"b": 2, "a": 1}, {"w": np.zeros((2, 3), np.float32)})
