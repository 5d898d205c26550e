import pytest

from prunet.deployment.crossover import Crossover, crossover, sentence


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
        ([FASTER, SLOWER, FASTER, FASTER], Crossover(0.1, [0.05, 0.1, 1.0], [])),
        ([FASTER, FASTER, FASTER, OVERLAPPING], Crossover(None, [0.1, 0.2, 1.0], [0.05])),
        ([FASTER, FASTER, FASTER, FASTER], Crossover(1.0, [0.05, 0.1, 0.2, 1.0], [])),
        ([(11, 12, 13), SLOWER, SLOWER, SLOWER], Crossover(None, [], [1.0])),  # slower, but the times overlap
    ],
)
def test_the_crossover_is_the_highest_density_below_which_sparse_is_always_faster(times, expected):
    assert crossover(rows(DENSE, sparse=dict(zip(DENSE, times, strict=True)))) == expected


def test_the_best_form_of_a_density_counts():
    slow = dict.fromkeys(DENSE, SLOWER)
    shrunk = slow | {0.1: FASTER}
    sparse = slow | {0.05: FASTER}
    assert crossover(rows(DENSE, shrunk=shrunk, sparse=sparse)).highest == 0.1
    assert crossover(rows(DENSE, sparse=sparse)).highest == 0.05


def test_a_gain_from_cheaper_calls_of_the_dense_network_is_not_due_to_pruning():
    numpy = dict.fromkeys(DENSE, (5, 5, 5))
    sparse = {1.0: (6, 6, 6), 0.2: (6, 6, 6), 0.1: (4, 4, 4), 0.05: (3, 3, 3)}
    assert crossover(rows(DENSE, sparse=sparse)).highest == 1.0
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
        "Sparse execution is faster than dense: "
        "at batch 1, at no measured density (too close to call at 10% and 20%); "
        "at batch 8, at 10% and 20%, but not at the lowest measured density (too close to call at 5%); "
        "at batch 64, at every measured density up to 20%; "
        "at batch 256, at every measured density up to 5.12% "
        "(too close to call at 4 densities from 10% to 100%)."
    )
