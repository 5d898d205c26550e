import math

import pandas as pd
import pytest

from prunet.analysis import comparisons
from prunet.analysis.statistics import holm, p_differs
from tests.test_summary import RESULTS, cell


def row(table, scheme, number, against):
    chosen = table[(table["scheme"] == scheme) & (table["round"] == number) & (table["against"] == against)]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_differences_are_paired_by_replicate():
    table = comparisons.compare(RESULTS, 0.2)
    assert len(table) == 5  # original/00 is the dense training itself, and random is not compared with itself
    against_random = row(table, "original", "01", "random")
    assert against_random["accuracy"] == pytest.approx(((0.7 - 0.5) + (0.7 - 0.1)) / 2)
    # the differences 0.2 and 0.6: standard error 0.2, Student's t for one degree of freedom 12.706
    assert against_random["accuracy_ci95"] == pytest.approx(12.7062 * 0.2, rel=1e-4)
    assert against_random["early_stop_step"] == 0
    assert against_random["early_stop_ratio"] == 1
    assert against_random["replicates"] == 2


def test_an_effect_shared_by_both_cells_of_a_replicate_does_not_widen_the_interval():
    cells = {("dense", "00"): cell(1.0, 0.5, 0.7, 0.9), ("original", "01"): cell(0.5, 0.6, 0.8, 1.0)}
    compared = row(comparisons.compare(cells, 0.2), "original", "01", "dense")
    assert compared["accuracy"] == pytest.approx(0.1)
    assert compared["accuracy_ci95"] == pytest.approx(0, abs=1e-9)


def stop(result, *steps):
    for network, step in zip(result["networks"], steps, strict=True):
        network["early_stop_step"] = step
        network["curve"]["step"] = [0, step]
    return result


def test_the_ratio_is_how_many_times_earlier_the_early_stop_is():
    cells = {
        ("dense", "00"): stop(cell(1.0, 0.9, 0.9), 300, 500),
        ("original", "01"): stop(cell(0.5, 0.9, 0.9), 150, 250),
    }
    compared = row(comparisons.compare(cells, 0.2), "original", "01", "dense")
    assert compared["early_stop_ratio"] == 2
    assert compared["early_stop_step"] == -200


def compared(*tickets, margin=0.2):
    """Return the comparisons of three dense networks (90%) with tickets.

    Args:
        tickets: by round, its differences from dense, in points on the validation split, and its early stop;
            the dense networks stop at step 100, and all test accuracies are 50%.
        margin: in points.
    """
    cells = {}
    for number, (differences, early) in enumerate([((0, 0, 0), 100), *tickets]):
        validation = [0.9 + difference / 100 for difference in differences]
        made = cell(0.5**number, *[0.5] * len(validation), validation=validation)
        cells["original" if number else "dense", f"{number:02}"] = stop(made, *[early] * len(validation))
    return comparisons.compare(cells, margin)


def winner(*tickets, **margin):
    """Return the round of the winning ticket."""
    found = comparisons.winning_ticket(compared(*tickets, **margin))
    return None if found is None else found["round"]


def test_the_winning_ticket_is_the_sparsest_that_is_neither_worse_nor_later():
    assert winner(((0, 0, 0), 90), ((0, 0, 0), 100), ((-5, -5, -5), 90)) == "02"
    assert winner(((0, 0, 0), 90), ((5, 5, 5), 101)) == "01"
    assert winner(((-5, -5, -5), 90)) is None
    table = comparisons.compare({("random", "01"): cell(0.5, 0.9)}, 0.2)
    assert comparisons.winning_ticket(table) is None


# Differences of -0.1, 0 and 0.1 points: half the 95% interval is 4.3027 x 0.1 / sqrt(3) = 0.2484 points.
@pytest.mark.parametrize(
    ("margin", "verdict"), [(0.248, "not shown"), (0.249, "not worse"), (0, "not shown")]
)
def test_not_worse_means_that_the_interval_lies_above_minus_the_margin(margin, verdict):
    found = compared(((-0.1, 0, 0.1), 90), margin=margin).iloc[0]
    assert found["val_accuracy_ci95"] == pytest.approx(0.002484, rel=1e-3)
    assert found["verdict"] == verdict
    assert winner(((-0.1, 0, 0.1), 90), margin=margin) == ("01" if verdict == "not worse" else None)


def test_the_p_value_is_that_of_students_t():
    # with two degrees of freedom, P(T > t) = 1/2 - t / (2 sqrt(2 + t^2)); here t = 0.2 / (0.1 / sqrt(3))
    t = 2 * math.sqrt(3)
    expected = 0.5 - t / (2 * math.sqrt(2 + t * t))
    assert compared(((-0.1, 0, 0.1), 90)).iloc[0]["p_not_worse"] == pytest.approx(expected)


def test_holms_correction():
    # in ascending order 0.01 x 4, 0.02 x 3, 0.025 x 2 = 0.05, which 0.06 before it lifts, and 0.6 x 1
    found = holm(pd.Series([0.6, 0.01, math.nan, 0.025, 0.02]))
    assert found.tolist() == pytest.approx([0.6, 0.04, math.nan, 0.06, 0.06], nan_ok=True)
    assert holm(pd.Series([0.5, 0.9])).tolist() == [1, 1]
    assert holm(pd.Series([0.03])).tolist() == [0.03]


def test_the_two_sided_p_value_is_twice_the_smaller_one_sided_and_at_most_one():
    t = 0.2 / (0.1 / math.sqrt(3))
    expected = 1 - t / math.sqrt(2 + t * t)
    assert p_differs(pd.Series([0.1, 0.2, 0.3])) == pytest.approx(expected)
    assert p_differs(pd.Series([-0.1, -0.2, -0.3])) == pytest.approx(expected)
    assert p_differs(pd.Series([0.0, 0.0, 0.0])) == 1
    assert p_differs(pd.Series([0.5, 0.5, 0.5])) == 0
    assert math.isnan(p_differs(pd.Series([0.5, 0.5])))  # equal by chance, as coarse shares are


def test_a_ticket_that_wins_alone_does_not_win_among_others():
    ticket = ((-0.1, 0, 0.1), 90)  # p = 0.037 with margin 0.2, 0.023 with 0.26
    assert winner(ticket, margin=0.26) == "01"
    assert winner(ticket, ((-5, 0, 5), 90), margin=0.26) is None
    table = compared(ticket, ((-5, 0, 5), 90), margin=0.26)
    assert table["p_not_worse_holm"][0] == pytest.approx(2 * table["p_not_worse"][0])
    assert (table["p_not_worse"] < 0.025).tolist() == [True, False]
    assert "with Holm's correction for 2 comparisons" in comparisons.sentence(table, 0.26)


def test_comparisons_with_dense_and_with_random_are_corrected_apart():
    cells = {
        ("dense", "00"): cell(1.0, 0.9, 0.8, 0.7),
        ("original", "01"): cell(0.5, 0.9, 0.83, 0.77),
        ("random", "01"): cell(0.5, 0.7, 0.7, 0.6),
    }
    table = comparisons.compare(cells, 0.2)
    assert table["against"].tolist() == ["dense", "random", "dense"]
    for name in ("p_differs", "p_not_worse"):
        raw, corrected = table[name], table[f"{name}_holm"]
        assert corrected[1] == raw[1]
        assert corrected[[0, 2]].tolist() == pytest.approx(holm(raw[[0, 2]]).tolist())
        assert corrected[[0, 2]].sum() > raw[[0, 2]].sum()


@pytest.mark.parametrize(
    ("accuracies", "verdict"),
    [((0.9,), "too few replicates"), ((0.9, 0.31), "too few replicates"), ((0.9, 0.31, 0.9), "not shown")],
)
def test_noise_makes_no_winner(accuracies, verdict):
    """Two noisy replicates, 34.5 points worse on average: their interval reaches far above zero."""
    dense = cell(1.0, *[0.95] * len(accuracies))
    table = comparisons.compare({("dense", "00"): dense, ("original", "01"): cell(0.5, *accuracies)}, 0.2)
    assert table["verdict"].tolist() == [verdict]
    if len(accuracies) == 2:
        assert table["accuracy"][0] == pytest.approx(-0.345)
        assert table["accuracy"][0] + table["accuracy_ci95"][0] > 0
    assert comparisons.winning_ticket(table) is None
    expected = "Too few replicates to say" if verdict == "too few replicates" else "No round is shown"
    assert expected in comparisons.sentence(table, 0.2)


def test_two_replicates_that_are_better_do_not_win_either():
    assert winner(((5, 5), 90), ((5, 5, 5), 90)) == "02"
    assert winner(((5, 5), 90)) is None


def test_the_test_split_chooses_no_winner():
    cells = {
        ("dense", "00"): cell(1.0, 0.9, 0.9, 0.9),
        ("original", "01"): cell(0.5, 0.1, 0.2, 0.3, validation=(0.9, 0.9, 0.9)),
        ("original", "02"): cell(0.25, 0.99, 0.99, 0.99, validation=(0.5, 0.5, 0.5)),
    }
    table = comparisons.compare(cells, 0.2)
    assert comparisons.winning_ticket(table)["round"] == "01"
    assert "keeps 50.0% of the weights" in comparisons.sentence(table, 0.2)
    assert "On test images it differs from dense by -70.00 ± 24.84 points" in comparisons.sentence(table, 0.2)


def test_draws_of_a_replicate_are_averaged_on_the_validation_split():
    draws = cell(0.5, *[0.5] * 6, validation=(0.8, 1.0, 0.7, 0.9, 0.6, 0.8))
    for number, network in enumerate(draws["networks"]):
        network["replicate"] = number // 2
    table = comparisons.compare({("dense", "00"): cell(1.0, 0.9, 0.8, 0.7), ("random", "01"): draws}, 0.2)
    assert (table["replicates"][0], table["val_accuracy"][0]) == (3, pytest.approx(0))
