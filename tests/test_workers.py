import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from prunet.base.errors import InputError
from prunet.training import workers

ROOT = Path(__file__).parent.parent


def leave(path, threads):
    path.write_text(f"{os.getpid()} {torch.get_num_threads()}")
    assert torch.get_num_threads() == threads


def test_every_task_runs_once_in_processes_of_the_asked_threads(tmp_path):
    tasks = [partial(leave, tmp_path / str(number), 1) for number in range(5)]
    workers.run(tasks, workers=2, threads=1)
    ran = {path.name: path.read_text().split() for path in tmp_path.iterdir()}
    assert sorted(ran) == list("01234")
    assert len({process for process, _ in ran.values()}) == 2
    assert str(os.getpid()) not in {process for process, _ in ran.values()}
    assert ran["0"][0] == ran["2"][0] == ran["4"][0]


def test_one_worker_is_this_process(tmp_path):
    workers.run([partial(leave, tmp_path / "only", 1)], workers=1, threads=1)
    assert (tmp_path / "only").read_text().split()[0] == str(os.getpid())


def fail(sentence):
    raise InputError(sentence)


def test_an_error_of_a_task_comes_back_as_it_was_and_stops_the_others():
    begun = time.monotonic()
    with pytest.raises(InputError, match=r"^the loss is nan$"):
        workers.run([partial(fail, "the loss is nan"), partial(time.sleep, 8)], workers=2, threads=1)
    assert time.monotonic() - begun < 6


def test_a_process_that_is_killed_is_named():
    with pytest.raises(InputError, match=r"a training process ended with signal 9 .*run `dvc repro` again"):
        workers.run([partial(signal.raise_signal, signal.SIGKILL), partial(time.sleep, 60)], 2, 1)


BEATING = """
import sys, time
from pathlib import Path
from prunet.training import workers

def beat(path):
    while True:
        path.write_text(str(time.monotonic()))
        time.sleep(0.01)

workers.run([lambda n=n: beat(Path(sys.argv[1]) / str(n)) for n in range(3)], workers=3, threads=1)
"""


def test_no_worker_outlives_its_parent(tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", BEATING, tmp_path], cwd=ROOT)
    while len(list(tmp_path.iterdir())) < 3:
        time.sleep(0.05)
        assert parent.poll() is None
    parent.kill()
    parent.wait()
    time.sleep(0.5)
    before = {path: path.read_text() for path in tmp_path.iterdir()}
    time.sleep(0.3)
    assert {path: path.read_text() for path in tmp_path.iterdir()} == before
