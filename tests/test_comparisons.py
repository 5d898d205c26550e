import math

import pytest

from prunet.analysis import comparisons
from tests.test_summary import RESULTS, cell


def row(table, scheme, number, against):
    chosen = table[(table["scheme"] == scheme) & (table["round"] == number) & (table["against"] == against)]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_differences_are_paired_by_replicate():
    table = comparisons.compare(RESULTS)
    assert len(table) == 5  # original/00 is the dense training itself, and random is not compared with itself
    against_random = row(table, "original", "01", "random")
    assert against_random["accuracy"] == pytest.approx(((0.7 - 0.5) + (0.7 - 0.1)) / 2)
    # the differences 0.2 and 0.6: standard error 0.2, Student's t for one degree of freedom 12.706
    assert against_random["accuracy_ci95"] == pytest.approx(12.7062 * 0.2, rel=1e-4)
    assert against_random["early_stop_step"] == 0
    assert against_random["early_stop_ratio"] == 1


def test_an_effect_shared_by_both_cells_of_a_replicate_does_not_widen_the_interval():
    cells = {("dense", "00"): cell(1.0, 0.5, 0.7, 0.9), ("original", "01"): cell(0.5, 0.6, 0.8, 1.0)}
    compared = row(comparisons.compare(cells), "original", "01", "dense")
    assert compared["accuracy"] == pytest.approx(0.1)
    assert compared["accuracy_ci95"] == pytest.approx(0, abs=1e-9)


def stop(result, *steps):
    for network, step in zip(result["networks"], steps, strict=True):
        network["early_stop_step"] = step
    return result


def test_the_ratio_is_how_many_times_earlier_the_early_stop_is():
    cells = {
        ("dense", "00"): stop(cell(1.0, 0.9, 0.9), 300, 500),
        ("original", "01"): stop(cell(0.5, 0.9, 0.9), 150, 250),
    }
    compared = row(comparisons.compare(cells), "original", "01", "dense")
    assert compared["early_stop_ratio"] == 2
    assert compared["early_stop_step"] == -200


def winner(*tickets):
    """Return the round of the winning ticket, given (accuracies of two replicates, early stop) by round."""
    cells = {
        ("original" if number else "dense", f"{number:02}"): stop(
            cell(0.5**number, *accuracies), early, early
        )
        for number, (accuracies, early) in enumerate([((0.9, 0.9), 100), *tickets])
    }
    found = comparisons.winning_ticket(comparisons.compare(cells))
    return None if found is None else found["round"]


def test_the_winning_ticket_is_the_sparsest_that_is_neither_worse_beyond_the_interval_nor_later():
    assert winner(((0.92, 0.92), 90), ((0.9, 0.9), 100), ((0.8, 0.8), 90)) == "02"
    assert winner(((0.9, 0.9), 90), ((0.95, 0.84), 90)) == "02"
    assert winner(((0.9, 0.9), 90), ((0.95, 0.95), 101)) == "01"
    assert winner(((0.8, 0.8), 90)) is None
    assert comparisons.winning_ticket(comparisons.compare({("random", "01"): cell(0.5, 0.9)})) is None


def test_a_single_replicate_has_no_interval_and_is_compared_by_value():
    cells = {("dense", "00"): cell(1.0, 0.9), ("original", "01"): cell(0.5, 0.91)}
    table = comparisons.compare(cells)
    assert math.isnan(table["accuracy_ci95"].iloc[0])
    assert comparisons.winning_ticket(table)["round"] == "01"
