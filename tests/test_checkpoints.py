import pytest
import torch

from prunet.training.checkpoints import Checkpoint

TENSORS = {"weights/fc1": torch.arange(6.0).view(2, 3), "generator/0": torch.arange(4, dtype=torch.uint8)}
VALUES = {"step": 10, "points": [[0, [2.25], [0.1]], [10, [1 / 3], [0.7]]]}


def saved(tmp_path):
    path = tmp_path / "cell" / "0-1.safetensors"
    Checkpoint(path, "k", 20).save(TENSORS, VALUES)
    return path


def test_a_checkpoint_comes_back_bit_for_bit_and_none_is_no_warning(tmp_path, capsys):
    assert Checkpoint(tmp_path / "none.safetensors", "k", 20).load() is None
    tensors, values = Checkpoint(saved(tmp_path), "k", 20).load()
    assert values == VALUES
    assert {name for name in tensors if torch.equal(tensors[name], TENSORS[name])} == set(TENSORS)
    assert capsys.readouterr().err == ""


def test_a_checkpoint_with_another_key_is_never_used(tmp_path, capsys):
    path = saved(tmp_path)
    assert Checkpoint(path, "other", 20).load() is None
    assert capsys.readouterr().err == (
        f"warning: {path} belongs to other code, parameters, data or another processor; "
        "training starts from the beginning.\n"
    )


@pytest.mark.parametrize("size", [0, 4, 40, -1])
def test_a_truncated_checkpoint_is_ignored_with_a_warning(tmp_path, capsys, size):
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:size])
    assert Checkpoint(path, "k", 20).load() is None
    assert f"{path} is damaged; training starts from the beginning" in capsys.readouterr().err


def test_a_checkpoint_is_due_after_its_seconds_which_start_again_when_it_is_saved_or_loaded(tmp_path):
    """The time before a run starts does not count: runs wait for a free worker."""
    assert Checkpoint(tmp_path / "a", "k", 0).due()
    assert not Checkpoint(tmp_path / "a", "k", 1000).due()
    soon = Checkpoint(tmp_path / "a", "k", 1000)
    for restart in (lambda: soon.save({}, {}), soon.load):
        soon._saved -= 1000
        assert soon.due()
        restart()
        assert not soon.due()
