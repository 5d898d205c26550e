import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial

import pytest
import torch

from prunet.base.errors import InputError
from prunet.training import workers


def run(*arguments, **options):
    """Return the events of `workers.run`."""
    return list(workers.run(*arguments, **options))


def leave(path, threads):
    """Leave the process and its thread count in a file."""
    path.write_text(f"{os.getpid()} {torch.get_num_threads()}")
    assert torch.get_num_threads() == threads
    return ()


def test_every_task_runs_once_in_processes_of_so_many_threads(tmp_path):
    tasks = [partial(leave, tmp_path / str(number), 1) for number in range(5)]
    run(tasks, workers=2, threads=1)
    ran = {path.name: path.read_text().split() for path in tmp_path.iterdir()}
    assert sorted(ran) == list("01234")
    assert str(os.getpid()) not in {process for process, _ in ran.values()}


def wait_for(path, others):
    """Run until the other tasks have run: another worker must do them."""
    while len(list(path.parent.iterdir())) < others:
        time.sleep(0.005)
    return leave(path, 1)


def test_a_free_worker_takes_the_next_task(tmp_path):
    """While one worker has a long task, the other does all others."""
    tasks = [partial(leave, tmp_path / str(number), 1) for number in range(6)]
    run([partial(wait_for, tmp_path / "long", 6), *tasks], workers=2, threads=1)
    ran = {path.name: path.read_text().split()[0] for path in tmp_path.iterdir()}
    alone = ran.pop("long")
    assert len(ran) == 6
    assert len(set(ran.values())) == 1
    assert alone not in ran.values()


def test_one_worker_is_this_process(tmp_path):
    run([partial(leave, tmp_path / "only", 1)], workers=1, threads=1)
    assert (tmp_path / "only").read_text().split()[0] == str(os.getpid())


def say_twice(word):
    yield word
    yield 2 * word


@pytest.mark.field
@pytest.mark.parametrize("count", [1, 2])
def test_this_process_hears_what_tasks_yield_and_that_they_have_finished(count):
    heard = {number: [] for number in range(3)}
    for number, word in run([partial(say_twice, word) for word in "abc"], count, 1):
        heard[number].append(word)
    assert heard == {number: [word, 2 * word, None] for number, word in enumerate("abc")}


def begin_and_wait(path):
    yield "begun"
    while not path.exists():
        time.sleep(0.005)


def test_it_hears_them_while_they_run(tmp_path):
    """The tasks end only after this process has heard of them."""
    tasks = [partial(begin_and_wait, tmp_path / str(number)) for number in range(2)]
    for number, _ in workers.run(tasks, 2, 1):
        (tmp_path / str(number)).touch()


@pytest.mark.field
def test_one_worker_uses_its_threads_while_it_works_and_no_longer(tmp_path):
    before = torch.get_num_threads()
    run([partial(leave, tmp_path / "only", before + 1)], workers=1, threads=before + 1)
    assert torch.get_num_threads() == before


AFTER_A_PARALLEL_LOOP = """
import torch
from prunet.training import workers

def add_up():
    return [torch.ones(10**6).cumsum(0).sum().item()]

torch.set_num_threads(2)
add_up()
list(workers.run([add_up] * 4, workers=2, threads=2))
"""


@pytest.mark.field
def test_several_processes_of_several_threads_work_after_a_parallel_loop_of_this_one():
    """With its idle threads they would wait for ever."""
    subprocess.run([sys.executable, "-c", AFTER_A_PARALLEL_LOOP], check=True, timeout=120)


def sleep():
    time.sleep(8)


def kill():
    signal.raise_signal(signal.SIGKILL)


def fail(sentence):
    raise InputError(sentence)


def test_an_error_of_a_task_comes_back_unchanged_and_stops_the_others():
    start = time.monotonic()
    with pytest.raises(InputError, match=r"^the loss is nan$"):
        run([partial(fail, "the loss is nan"), sleep], workers=2, threads=1)
    assert time.monotonic() - start < 6


def test_a_killed_process_is_an_error_that_says_how_to_resume():
    with pytest.raises(InputError, match=r"a training process ended with signal 9 .*run `dvc repro` again"):
        run([kill, sleep], 2, 1)


def beat(path):
    while True:
        path.write_text(str(time.monotonic()))
        time.sleep(0.01)


def test_no_worker_outlives_an_iteration_that_ends_early(tmp_path):
    with closing(workers.run([partial(beat, tmp_path / "beat"), partial(say_twice, "a")], 2, 1)) as events:
        next(events)
    assert not multiprocessing.active_children()


def test_spawned_processes_run_tasks_too():
    """As on a GPU."""
    assert sorted(run([partial(divmod, 7, 2), partial(divmod, 9, 2)], 2, 1, "spawn"), key=str) == [
        *((0, 1), (0, 3), (0, None), (1, 1), (1, 4), (1, None))
    ]


EXPORTED = """
import torch
from torch import nn
from prunet.training import workers

def slope():
    x = torch.ones(1, requires_grad=True)
    (3 * x).backward()
    yield x.grad.item()

torch.export.export(nn.Linear(2, 1), (torch.ones(1, 2),))
assert list(slope()) == [3]
print(sorted(value for _, value in workers.run([slope, slope], 2, 1) if value))
"""


def test_workers_compute_gradients_after_an_export_and_a_gradient_of_their_parent():
    """As when a criterion by gradients prunes units, and the networks are then trained."""
    found = subprocess.run([sys.executable, "-c", EXPORTED], capture_output=True, text=True, check=False)
    assert (found.stdout, found.stderr) == ("[3.0, 3.0]\n", "")


def test_no_worker_outlives_its_parent(tmp_path):
    tasks = [partial(beat, tmp_path / str(number)) for number in range(3)]
    parent = multiprocessing.get_context("fork").Process(target=run, args=(tasks, 3, 1))
    parent.start()
    while len(list(tmp_path.iterdir())) < 3:
        time.sleep(0.05)
        assert parent.is_alive()
    parent.kill()
    parent.join()
    time.sleep(0.5)
    before = {path: path.read_text() for path in tmp_path.iterdir()}
    time.sleep(0.3)
    assert {path: path.read_text() for path in tmp_path.iterdir()} == before
