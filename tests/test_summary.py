import math

import pandas as pd
import pytest

from prunet.analysis import summary
from prunet.base import tables
from prunet.base.shares import wilson


def cell(density, *accuracies, falling=(None, None), validation=None):
    """Return a cell of one network for each test accuracy, whose early stops are at steps 10, 20, ...

    Its validation accuracies are `validation`, or else the same as on the test split.
    """
    steps = [0, *range(10, 10 * len(accuracies) + 1, 10)]
    return {
        "density": density,
        "layer_density": {"fc1.weight": density, "output.weight": 1.0},
        "epochs_per_step": 0.5,
        "networks": [
            {
                "replicate": number,
                "early_stop_step": 10 * (number + 1),
                "still_falling": falling[number % 2],
                "early": {"test_accuracy": accuracy, "test_loss": 1 - accuracy},
                "final": {"test_accuracy": accuracy - 0.1, "test_loss": 2.0},
                "curve": {"step": steps, "val_accuracy": [0.1, *[on_validation] * len(accuracies)]},
            }
            for number, (accuracy, on_validation) in enumerate(
                zip(accuracies, validation or accuracies, strict=True)
            )
        ],
    }


RESULTS = {
    ("dense", "00"): cell(1.0, 0.9, 0.8, falling=(True, True)),
    ("original", "00"): cell(1.0, 0.9, 0.8, falling=(True, True)),
    ("original", "01"): cell(0.5, 0.7, 0.7, falling=(True, False)),
    ("random", "00"): cell(1.0, 0.6, 0.4),
    ("random", "01"): cell(0.5, 0.5, 0.1),
}


def test_a_row_holds_mean_and_sample_standard_deviation_over_replicates():
    table = summary.summarize(RESULTS, 40)
    assert table[["scheme", "round", "density", "replicates"]].values.tolist() == [
        ["dense", "00", 1.0, 2],
        ["original", "00", 1.0, 2],
        ["original", "01", 0.5, 2],
        ["random", "00", 1.0, 2],
        ["random", "01", 0.5, 2],
    ]
    first = table.iloc[0]
    assert first["accuracy_mean"] == pytest.approx(0.85)
    assert first["accuracy_std"] == pytest.approx(0.1 / math.sqrt(2))
    assert first["final_accuracy_mean"] == pytest.approx(0.75)
    assert first["early_stop_step_mean"] == 15
    assert first[["test_images", "accuracy_low", "accuracy_high"]].tolist() == pytest.approx(
        [40, *wilson(0.85, 40)]
    )
    assert first["loss_mean"] == pytest.approx(0.15)
    # Student's t for one degree of freedom is 12.706; std / sqrt(2) is 0.05
    assert first["accuracy_ci95"] == pytest.approx(12.7062 * 0.05, rel=1e-4)


def test_several_draws_of_a_replicate_are_averaged_before_the_spread_is_taken():
    result = cell(0.5, 0.9, 0.7, 0.4, 0.2)
    for network, replicate in zip(result["networks"], (0, 0, 1, 1), strict=True):
        network["replicate"] = replicate
    row = summary.summarize({("random", "01"): result}, 40).iloc[0]
    assert (row["replicates"], row["networks"]) == (2, 4)
    assert row["accuracy_mean"] == pytest.approx(0.55)
    assert row["accuracy_std"] == pytest.approx(0.5 / math.sqrt(2))
    curve = summary.curves({("random", "01"): result}, ["random"], "01")
    assert curve["accuracy"].tolist()[:2] == pytest.approx([0.1, 0.55])
    assert curve["accuracy_std"].tolist()[:2] == pytest.approx([0, 0.5 / math.sqrt(2)])


def test_a_single_replicate_has_no_spread(tmp_path):
    table = summary.summarize({("original", "00"): cell(1.0, 0.9)}, 40)
    assert math.isnan(table["accuracy_std"][0])
    assert math.isnan(table["accuracy_ci95"][0])
    tables.write(tmp_path / "summary.csv", table)
    assert pd.read_csv(tmp_path / "summary.csv").shape == table.shape
    curves = summary.curves({("original", "00"): cell(1.0, 0.9)}, ["original"], "00")
    assert curves["accuracy_ci95"].isna().tolist() == [True, True]


def test_the_report_nests_the_schemes_at_the_headline_round():
    table = summary.summarize(RESULTS, 40)
    winner = pd.Series({"density": 0.5, "accuracy": -0.001, "accuracy_ci95": 0.002, "verdict": "not worse"})
    assert summary.report(table, {"scheme": "random", "round": "01"}, winner) == {
        "density": 0.5,
        "winner": {"density": 0.5, "accuracy": -0.001, "accuracy_ci95": 0.002},
        "dense": {"accuracy": 0.85, "early_stop_step": 15.0, "still_falling": 1.0},
        "original": {"accuracy": 0.7, "early_stop_step": 15.0, "still_falling": 0.5},
        "random": {"accuracy": 0.3, "early_stop_step": 15.0, "still_falling": None},
    }
    dense = summary.report(table, {"scheme": "random", "round": "00"}, None)
    assert (dense["density"], dense["winner"]) == (1.0, None)


@pytest.mark.field
def test_the_share_of_networks_whose_loss_still_falls_is_in_the_table_and_the_report():
    table = summary.summarize(RESULTS, 40)
    assert table["still_falling"].tolist()[:3] == [1.0, 1.0, 0.5]
    assert table["still_falling"][3:].isna().all()


def test_the_exploration_of_schemes_whose_masks_change_is_averaged_over_networks():
    result = cell(0.5, 0.9, 0.8)
    for network, share in zip(result["networks"], (0.6, 0.8), strict=True):
        network["explored"] = share
    table = summary.summarize({("rigl", "01"): result, ("original", "01"): cell(0.5, 0.9)}, 40)
    assert table["explored"].tolist() == pytest.approx([0.7, math.nan], nan_ok=True)


def test_curves_have_a_row_for_each_scheme_and_step():
    table = summary.curves(RESULTS, ["original", "random"], "01")
    table = table[table["step"] < 20]
    assert table["scheme"].tolist() == ["original", "original", "random", "random"]
    assert table["step"].tolist() == [0, 10, 0, 10]
    assert table["epoch"].tolist() == [0, 5, 0, 5]
    assert table["accuracy"].tolist() == pytest.approx([0.1, 0.7, 0.1, 0.3])
    assert table["accuracy_std"].tolist() == pytest.approx([0, 0, 0, 0.4 / math.sqrt(2)])
    assert table["accuracy_ci95"].tolist() == pytest.approx([0, 0, 0, 12.7062 * 0.2], rel=1e-4)


def test_a_scheme_that_starts_later_has_no_earlier_rows():
    late = cell(0.5, 0.6, 0.6)
    for network in late["networks"]:
        network["curve"] |= {"step": [2, 4, 20]}
    table = summary.curves(RESULTS | {("rewind", "01"): late}, ["original", "rewind"], "01")
    assert table.loc[table["scheme"] == "rewind", "epoch"].tolist() == [1, 2, 10]
    assert table.loc[table["scheme"] == "original", "epoch"].tolist() == [0, 5, 10]


def test_layer_densities_have_a_row_for_each_round():
    table = summary.layer_densities(RESULTS, "original")
    assert table.values.tolist() == [["00", 1.0, 1.0], ["01", 0.5, 1.0]]
