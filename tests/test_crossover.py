import pytest

from prunet.deployment.crossover import Crossover, Speedup, crossover, sentence, speedups


def rows(dense, **forms):
    """Return rows for several densities; a form is {density: (ms_low, ms_median, ms_high)}."""
    return [
        {"density": density, "form": form} | dict(zip(("ms_low", "ms_median", "ms_high"), times, strict=True))
        for form, by_density in ({"dense": dense} | forms).items()
        for density, times in by_density.items()
    ]


DENSE = dict.fromkeys((1.0, 0.2, 0.1, 0.05), (9, 10, 11))
SLOWER, OVERLAPPING, FASTER = (19, 20, 21), (7, 8, 9), (3, 4, 5)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([SLOWER, FASTER, FASTER, FASTER], Crossover(0.2, [0.05, 0.1, 0.2], [])),
        ([SLOWER, OVERLAPPING, FASTER, FASTER], Crossover(0.1, [0.05, 0.1], [0.2])),
        ([FASTER, SLOWER, FASTER, FASTER], Crossover(0.1, [0.05, 0.1], [])),
        ([FASTER, FASTER, FASTER, OVERLAPPING], Crossover(None, [0.1, 0.2], [0.05])),
        ([FASTER, FASTER, FASTER, FASTER], Crossover(0.2, [0.05, 0.1, 0.2], [])),
        ([SLOWER, (9.5, 9.8, 10), SLOWER, SLOWER], Crossover(None, [], [0.2])),  # by up to 16%, or slower
        ([SLOWER, (11, 12, 13), SLOWER, SLOWER], Crossover(None, [], [])),
    ],
)
def test_the_crossover_is_the_highest_density_below_which_sparse_is_always_faster(times, expected):
    found = crossover(rows(DENSE, sparse=dict(zip(DENSE, times, strict=True))))
    assert found._replace(spread=0) == expected


@pytest.mark.field
def test_a_speedup_has_the_quartiles_of_both_times():
    dense, sparse = {1.0: (9, 10, 11), 0.1: (9, 10, 11)}, {1.0: (9, 10, 12), 0.1: (2, 4, 5)}
    assert speedups(rows(dense, sparse=sparse)) == [
        Speedup(0.1, low=9 / 5, median=10 / 4, high=11 / 2, spread=0.75),
        Speedup(1.0, low=9 / 12, median=1, high=11 / 9, spread=0.3),
    ]


@pytest.mark.field
def test_two_percent_are_no_speedup():
    """NumPy's dense product and a sparse form that uses it are the same product."""
    dense, sparse = {0.9: (10.1, 10.2, 10.3)}, {0.9: (9.9, 10, 10.1)}
    assert crossover(rows(dense, sparse=sparse))[:3] == (None, [], [])


@pytest.mark.field
def test_a_network_with_all_weights_is_not_pruned_however_fast_another_library_is():
    dense, sparse = {1.0: (29, 30, 31), 0.2: (29, 30, 31)}, {1.0: (9, 10, 11), 0.2: (29, 30, 31)}
    assert speedups(rows(dense, sparse=sparse))[1].median == 3
    assert crossover(rows(dense, sparse=sparse))[:3] == (None, [], [0.2])


@pytest.mark.field
def test_the_sentence_says_that_the_machine_was_busy():
    quiet, busy = Crossover(0.1, [0.1], [], 0.1), Crossover(None, [], [0.1], 0.6)
    assert "busy" not in sentence({1: quiet})
    assert sentence({1: quiet, 64: busy}).endswith(
        "(too close to call at 10%). The machine was busy, times differ by 60%: run footprint again."
    )


def test_the_best_form_of_a_density_counts():
    slow = dict.fromkeys(DENSE, SLOWER)
    shrunk = slow | {0.1: FASTER}
    sparse = slow | {0.05: FASTER}
    assert crossover(rows(DENSE, shrunk=shrunk, sparse=sparse)).highest == 0.1
    assert crossover(rows(DENSE, sparse=sparse)).highest == 0.05


def test_a_gain_from_cheaper_calls_of_the_dense_network_is_not_due_to_pruning():
    numpy = dict.fromkeys(DENSE, (5, 5, 5))
    sparse = {1.0: (6, 6, 6), 0.2: (6, 6, 6), 0.1: (4, 4, 4), 0.05: (3, 3, 3)}
    assert crossover(rows(DENSE, sparse=sparse)).highest == 0.2
    assert crossover(rows(DENSE, numpy=numpy, sparse=sparse)).highest == 0.1


def test_no_rows_have_no_crossover():
    assert crossover([]) == Crossover(None, [], [])


def test_the_sentence_names_the_crossover_of_each_batch_and_the_densities_where_times_overlap():
    found = {
        1: Crossover(None, [], [0.1, 0.2]),
        8: Crossover(None, [0.1, 0.2], [0.05]),
        64: Crossover(0.2, [0.1, 0.2], []),
        256: Crossover(0.0512, [0.0512], [0.1, 0.2, 0.5, 1.0]),
    }
    assert sentence(found) == (
        "Pruned networks run faster than dense ones: "
        "at batch 1, at no measured density (too close to call at 10% and 20%); "
        "at batch 8, at 10% and 20%, but not at the lowest measured density (too close to call at 5%); "
        "at batch 64, at every measured density up to 20%; "
        "at batch 256, at every measured density up to 5.12% "
        "(too close to call at 4 densities from 10% to 100%)."
    )
