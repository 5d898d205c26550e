import math

import pandas as pd
import pytest

from prunet.analysis import summary


def cell(density, *accuracies):
    return {
        "density": density,
        "layer_density": {"fc1.weight": density, "output.weight": 1.0},
        "epochs_per_step": 0.5,
        "networks": [
            {
                "replicate": number,
                "early_stop_step": 10 * (number + 1),
                "early": {"test_accuracy": accuracy, "test_loss": 1 - accuracy},
                "final": {"test_accuracy": accuracy - 0.1, "test_loss": 2.0},
                "curve": {"step": [0, 4], "val_loss": [1.0, 0.5], "val_accuracy": [0.1, accuracy]},
            }
            for number, accuracy in enumerate(accuracies)
        ],
    }


RESULTS = {
    ("dense", "00"): cell(1.0, 0.9, 0.8),
    ("original", "00"): cell(1.0, 0.9, 0.8),
    ("original", "01"): cell(0.5, 0.7, 0.7),
    ("random", "00"): cell(1.0, 0.6, 0.4),
    ("random", "01"): cell(0.5, 0.5, 0.1),
}


def test_a_row_holds_mean_and_sample_standard_deviation_over_replicates():
    table = summary.summarize(RESULTS)
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
    assert first["loss_mean"] == pytest.approx(0.15)
    # Student's t for one degree of freedom is 12.706; std / sqrt(2) is 0.05
    assert first["accuracy_ci95"] == pytest.approx(12.7062 * 0.05, rel=1e-4)


def test_several_draws_of_a_replicate_are_averaged_before_the_spread_is_taken():
    result = cell(0.5, 0.9, 0.7, 0.4, 0.2)
    for network, replicate in zip(result["networks"], (0, 0, 1, 1), strict=True):
        network["replicate"] = replicate
    row = summary.summarize({("random", "01"): result}).iloc[0]
    assert (row["replicates"], row["networks"]) == (2, 4)
    assert row["accuracy_mean"] == pytest.approx(0.55)
    assert row["accuracy_std"] == pytest.approx(0.5 / math.sqrt(2))
    curve = summary.curves({("random", "01"): result}, ["random"], "01")
    assert curve["random"].tolist() == pytest.approx([0.1, 0.55])
    assert curve["random_std"].tolist() == pytest.approx([0, 0.5 / math.sqrt(2)])


def test_a_single_replicate_has_no_spread(tmp_path):
    table = summary.summarize({("original", "00"): cell(1.0, 0.9)})
    assert math.isnan(table["accuracy_std"][0])
    assert math.isnan(table["accuracy_ci95"][0])
    summary.write(tmp_path / "summary.csv", table)
    assert pd.read_csv(tmp_path / "summary.csv").shape == table.shape


def test_the_headline_is_flat_and_ready_for_json():
    table = summary.summarize(RESULTS)
    assert summary.headline(table, "random", "01") == {
        "accuracy": 0.3,
        "loss": 0.7,
        "early_stop_step": 15.0,
        "final_accuracy": 0.2,
        "final_loss": 2.0,
        "density": 0.5,
    }


def test_curves_have_a_column_for_each_scheme():
    table = summary.curves(RESULTS, ["original", "random"], "01")
    assert table["epoch"].tolist() == [0, 2]
    assert table["original"].tolist() == pytest.approx([0.1, 0.7])
    assert table["random_std"].tolist() == pytest.approx([0, 0.4 / math.sqrt(2)])


def test_a_scheme_that_begins_later_has_no_curve_before():
    late = cell(0.5, 0.6, 0.6)
    for network in late["networks"]:
        network["curve"] |= {"step": [2, 4]}
    table = summary.curves(RESULTS | {("rewind", "01"): late}, ["original", "rewind"], "01")
    assert table["step"].tolist() == [0, 2, 4]
    assert table["epoch"].tolist() == [0, 1, 2]
    assert table["original"].isna().tolist() == [False, True, False]
    assert table["rewind"].fillna(-1).tolist() == pytest.approx([-1, 0.1, 0.6])


def test_tables_by_density_and_by_layer():
    by_density = summary.by_density(summary.summarize(RESULTS), "accuracy_mean")
    assert list(by_density) == ["density", "original", "random"]
    assert by_density["density"].tolist() == [1.0, 0.5]
    assert by_density["random"].tolist() == pytest.approx([0.5, 0.3])
    assert summary.layer_densities(RESULTS, "original").values.tolist() == [
        ["00", 1.0, 1.0],
        ["01", 0.5, 1.0],
    ]


def test_the_headline_of_costs_has_the_first_batchs_times():
    footprint = pd.DataFrame([dict.fromkeys(summary.COSTS, 7) | {"round": "01"}])
    footprint = footprint.assign(ms_dense_1=2.0, ms_masked_1=3.0, ms_best_1=0.123456, ms_dense_64=9.0)
    headline = summary.footprint_headline(footprint, "01")
    assert headline == dict.fromkeys(summary.COSTS, 7.0) | {"ms_dense_1": 2.0, "ms_best_1": 0.1235}
