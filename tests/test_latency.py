import gc
import math

import pytest
import torch
from threadpoolctl import threadpool_info

from prunet.deployment import latency


class Clock:
    """A clock that stands still but for what forms say they take."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def form(self, *seconds):
        """Return a form whose calls take these times in turn."""
        calls = 0

        def form(images):
            nonlocal calls
            self.now += seconds[calls % len(seconds)]
            calls += 1
            return images

        return form


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(latency, "perf_counter", clock)
    monkeypatch.setattr(latency, "SLOW_SECONDS", math.inf)
    monkeypatch.setattr(latency, "LEAST", 2)
    return clock


def test_every_form_is_measured_on_every_batch(clock):
    forms = {"dense": clock.form(0.25), "sparse": clock.form(0.125)}
    rows = latency.measure(forms, [torch.zeros(1, 3), torch.zeros(4, 3)], seconds=1.0)
    assert [(row["form"], row["batch"]) for row in rows] == [
        ("dense", 1),
        ("sparse", 1),
        ("dense", 4),
        ("sparse", 4),
    ]
    assert [row["ms_median"] for row in rows] == [250, 125, 250, 125]
    assert [row["ms_low"] for row in rows] == [250, 125, 250, 125]
    assert [row["images_per_second"] for row in rows] == [4, 8, 16, 32]
    assert all(row["threads"] == torch.get_num_threads() for row in rows)
    # Turns of 2 x 0.25 and 2 x 0.125 seconds, of which one call each counts, in two seconds for both.
    assert [row["repeats"] for row in rows] == [3, 3, 3, 3]


def test_the_spread_is_between_the_quartiles(clock, monkeypatch):
    monkeypatch.setattr(latency, "BLOCK_SECONDS", 7.5)
    (row,) = latency.measure({"dense": clock.form(64, 32, 1, 3, 2, 4, 5)}, [torch.zeros(2)], seconds=1)
    assert (row["repeats"], row["ms_low"], row["ms_median"], row["ms_high"]) == (4, 1750, 2500, 3250)


def test_a_slow_form_is_measured_often_enough_for_a_spread(clock, monkeypatch):
    """One time that a busy machine stretched must not count as clearly slower."""
    monkeypatch.setattr(latency, "LEAST", 5)
    forms = {"dense": clock.form(9, 9, 9, 30), "sparse": clock.form(8)}
    (row, _) = latency.measure(forms, [torch.zeros(1)], seconds=0.001)
    assert (row["repeats"], row["ms_median"]) == (5, 9000)


def test_forms_take_turns_and_the_first_call_of_a_turn_does_not_count(clock, monkeypatch):
    monkeypatch.setattr(latency, "BLOCK_SECONDS", 2.0)
    order = []

    def form(name):
        def call(images):
            clock.now += 1 if order and order[-1] == name else 50
            order.append(name)

        return call

    times = latency.alternate({"a": form("a"), "b": form("b")}, None, seconds=75)
    turns = "ab" + 2 * ("aaa" + "bbb")
    assert "".join(order) == turns
    assert times == {"a": [1] * 4, "b": [1] * 4}


def test_of_a_slow_form_every_call_but_the_very_first_counts(clock, monkeypatch):
    monkeypatch.setattr(latency, "SLOW_SECONDS", 1.0)
    times = latency.alternate({"slow": clock.form(5, 2), "quick": clock.form(1, 0.5)}, None, seconds=0.1)
    assert times == {"slow": [2, 5], "quick": [1, 1]}


def test_forms_run_for_inference_with_as_many_threads_of_numpy_as_of_pytorch():
    seen = set()

    def form(images):
        threads = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
        seen.add((torch.is_inference_mode_enabled(), *threads))

    latency.measure({"dense": form}, [torch.zeros(1)], seconds=0)
    assert seen == {(True, torch.get_num_threads())}


def test_garbage_is_not_collected_while_a_form_is_timed():
    seen = []
    latency.measure({"dense": lambda images: seen.append(gc.isenabled())}, [torch.zeros(1)], seconds=0)
    assert not any(seen)
    assert gc.isenabled()


def test_garbage_is_collected_again_after_a_failure():
    with pytest.raises(ZeroDivisionError):
        latency.measure({"dense": lambda images: 1 / 0}, [torch.zeros(1)], seconds=0)
    assert gc.isenabled()


class OnGPU(torch.Tensor):
    """A tensor that says it is on a GPU."""

    is_cuda = True


def test_work_that_a_gpu_has_queued_is_waited_for(clock, monkeypatch):
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


def rows(dense, **forms):
    """Rows of several densities; a form is {density: (ms_low, ms_median, ms_high)}."""
    return [
        {"density": density, "form": form} | dict(zip(("ms_low", "ms_median", "ms_high"), times, strict=True))
        for form, by_density in ({"dense": dense} | forms).items()
        for density, times in by_density.items()
    ]


DENSE = dict.fromkeys((1.0, 0.2, 0.1, 0.05), (9, 10, 11))


@pytest.mark.parametrize(
    ("sparse", "expected"),
    [
        ({1.0: (19, 20, 21), 0.2: (7, 8, 8.9), 0.1: (3, 4, 5), 0.05: (1, 2, 3)}, 0.2),
        ({1.0: (19, 20, 21), 0.2: (7, 8, 9), 0.1: (3, 4, 5), 0.05: (1, 2, 3)}, 0.1),  # quartiles touch
        ({1.0: (1, 2, 3), 0.2: (7, 8, 9), 0.1: (3, 4, 5), 0.05: (1, 2, 3)}, 0.1),  # not at all lower ones
        ({1.0: (1, 2, 3), 0.2: (1, 2, 3), 0.1: (1, 2, 3), 0.05: (7, 8, 9)}, None),
        ({1.0: (1, 2, 3), 0.2: (1, 2, 3), 0.1: (1, 2, 3), 0.05: (7, 8, 8)}, 1.0),
    ],
)
def test_the_crossover_is_the_density_from_which_on_down_sparse_is_clearly_faster(sparse, expected):
    assert latency.crossover(rows(DENSE, sparse=sparse)) == expected


def test_the_best_form_of_a_density_counts():
    slow = dict.fromkeys(DENSE, (19, 20, 21))
    shrunk = slow | {0.1: (1, 2, 3)}
    sparse = slow | {0.05: (1, 2, 3)}
    assert latency.crossover(rows(DENSE, shrunk=shrunk, sparse=sparse)) == 0.1
    assert latency.crossover(rows(DENSE, sparse=sparse)) == 0.05


def test_what_cheaper_calls_win_for_a_dense_network_is_not_won_by_pruning():
    numpy = dict.fromkeys(DENSE, (5, 5, 5))
    sparse = {1.0: (6, 6, 6), 0.2: (6, 6, 6), 0.1: (4, 4, 4), 0.05: (3, 3, 3)}
    assert latency.crossover(rows(DENSE, sparse=sparse)) == 1.0
    assert latency.crossover(rows(DENSE, numpy=numpy, sparse=sparse)) == 0.1


def test_no_rows_have_no_crossover():
    assert latency.crossover([]) is None


def test_the_crossovers_are_said_in_one_sentence():
    assert latency.sentence({1: 0.2, 64: None, 256: 0.0512}) == (
        "At batch 1 sparse execution is faster than dense from 20% of the weights on down; "
        "at batch 64 at no density measured; at batch 256 from 5.12% of the weights on down."
    )
    assert latency.sentence({8: 1.0}) == (
        "At batch 8 sparse execution is faster than dense from 100% of the weights on down."
    )
