import gc
import math
from itertools import cycle, product

import pytest
import torch
from threadpoolctl import threadpool_info

from prunet.deployment import latency


class Clock:
    """A clock that only moves when a form runs."""

    now = 0.0

    def __call__(self):
        return self.now

    def form(self, *seconds):
        """Return a form whose calls take these times, one after the other."""
        times = cycle(seconds)

        def form(images):
            self.now += next(times)
            return images

        return form


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(latency, "perf_counter", clock)
    monkeypatch.setattr(latency, "SLOW_SECONDS", math.inf)
    return clock


def test_every_form_is_measured_on_every_batch(clock):
    forms = {"dense": clock.form(0.25), "sparse": clock.form(0.125)}
    rows = latency.measure(forms, [torch.zeros(1, 3), torch.zeros(4, 3)], seconds=2.5)
    assert [(row["batch"], row["form"]) for row in rows] == list(product((1, 4), forms))
    assert [row["ms_median"] for row in rows] == [250, 125, 250, 125]
    assert [row["ms_low"] for row in rows] == [250, 125, 250, 125]
    assert [row["images_per_second"] for row in rows] == [4, 8, 16, 32]
    assert all(row["threads"] == torch.get_num_threads() for row in rows)
    # A turn of both forms takes 2 * 0.25 + 2 * 0.125 seconds, and five seconds are left for both.
    assert [row["repeats"] for row in rows] == [7, 7, 7, 7]


def test_the_spread_is_between_the_quartiles(clock, monkeypatch):
    monkeypatch.setattr(latency, "BLOCK_SECONDS", 14.5)
    (row,) = latency.measure({"dense": clock.form(64, 32, 1, 3, 2, 4, 5)}, [torch.zeros(2)], seconds=1)
    assert (row["repeats"], row["ms_low"], row["ms_median"], row["ms_high"]) == (5, 2000, 3000, 4000)
    assert latency.quartiles([1, 2, 3, 4]) == (1.75, 2.5, 3.25)


@pytest.mark.field
def test_times_that_do_not_agree_are_measured_anew(clock, monkeypatch):
    """The machine is busy in the first five calls."""
    monkeypatch.setattr(latency, "BLOCK_SECONDS", 0)
    monkeypatch.setattr(latency, "SLOW_SECONDS", 0)
    times = iter([1, 2, 3, 4, 5])
    form = clock.form(0)

    def busy_at_first(images):
        clock.now += next(times, 2)
        return form(images)

    (row,) = latency.measure({"dense": busy_at_first}, [torch.zeros(1)], seconds=1)
    assert (row["repeats"], row["ms_low"], row["ms_median"], row["ms_high"]) == (5, 2000, 2000, 2000)


@pytest.mark.field
def test_a_machine_that_stays_busy_is_not_measured_for_ever(clock, monkeypatch):
    monkeypatch.setattr(latency, "BLOCK_SECONDS", 0)
    monkeypatch.setattr(latency, "SLOW_SECONDS", 0)
    called = []
    form = clock.form(1, 2, 3, 4, 5)
    (row,) = latency.measure(
        {"dense": lambda images: called.append(0) or form(images)}, [torch.zeros(1)], seconds=1
    )
    assert len(called) == latency.TRIES * latency.LEAST
    assert (row["ms_low"], row["ms_high"]) == (2000, 4000)


@pytest.mark.field
def test_of_busy_times_those_that_agree_best_count(clock, monkeypatch):
    monkeypatch.setattr(latency, "BLOCK_SECONDS", 0)
    monkeypatch.setattr(latency, "SLOW_SECONDS", 0)
    tries = (1, 2, 3, 4, 5), (1, 3, 3, 4, 5), (1, 2, 3, 4, 9)
    (row,) = latency.measure({"dense": clock.form(*sum(tries, ()))}, [torch.zeros(1)], seconds=1)
    assert (row["ms_low"], row["ms_median"], row["ms_high"]) == (3000, 3000, 4000)


def test_a_slow_form_is_measured_often_enough_for_a_spread(clock, monkeypatch):
    """One time that a busy machine stretched must not decide."""
    forms = {"dense": clock.form(9, 9, 9, 30), "sparse": clock.form(8)}
    times = latency.alternate(forms, torch.zeros(1), 0.001, least=5)
    low, median, high = latency.quartiles(times["dense"])
    assert len(times["dense"]) == 5
    assert (low, median, high) == (9, 9, 9)


def test_forms_take_turns_and_the_first_call_of_a_turn_does_not_count(clock, monkeypatch):
    monkeypatch.setattr(latency, "BLOCK_SECONDS", 2.0)
    order = []

    def form(name):
        def call(images):
            clock.now += 1 if order and order[-1] == name else 50
            order.append(name)

        return call

    times = latency.alternate({"a": form("a"), "b": form("b")}, None, seconds=75, least=2)
    turns = "ab" + 2 * ("aaa" + "bbb")
    assert "".join(order) == turns
    assert times == {"a": [1] * 4, "b": [1] * 4}


def test_every_call_of_a_slow_form_counts(clock, monkeypatch):
    monkeypatch.setattr(latency, "SLOW_SECONDS", 1.0)
    forms = {"slow": clock.form(5, 2), "fast": clock.form(1, 0.5)}
    times = latency.alternate(forms, None, seconds=0.1, least=2)
    assert times == {"slow": [5, 2, 5], "fast": [1, 1]}
    assert latency.alternate({"slow": clock.form(5, 2)}, None, seconds=0.1, least=2) == {"slow": [5, 2]}


def test_forms_run_for_inference_with_as_many_threads_of_numpy_as_of_pytorch():
    seen = set()

    def form(images):
        threads = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
        seen.add((torch.is_inference_mode_enabled(), *threads))

    latency.measure({"dense": form}, [torch.zeros(1)], seconds=0)
    assert seen == {(True, torch.get_num_threads())}


def test_garbage_is_not_collected_while_a_form_is_timed_but_again_afterwards_and_after_a_failure():
    seen = []
    latency.measure({"dense": lambda images: seen.append(gc.isenabled())}, [torch.zeros(1)], seconds=0)
    assert not any(seen)
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        latency.measure({"dense": lambda images: 1 / 0}, [torch.zeros(1)], seconds=0)
    assert gc.isenabled()


class OnGPU(torch.Tensor):
    """A tensor that claims to be on a GPU."""

    is_cuda = True


def test_a_call_on_a_gpu_lasts_until_its_work_is_done(clock, monkeypatch):
    queued = 0

    def form(images):
        nonlocal queued
        queued += 2

    def synchronize(device):
        nonlocal queued
        clock.now, queued = clock.now + queued, 0

    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    (row,) = latency.measure({"dense": form}, [torch.zeros(1).as_subclass(OnGPU)], seconds=1)
    assert row["ms_median"] == 2000
