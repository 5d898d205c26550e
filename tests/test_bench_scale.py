"""The benchmark of growing costs: its fits, its runs and its place in the docs."""

import json
import math
import os

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from bench import __main__ as bench
from bench import study
from bench.scale import measure, page, runs, series
from bench.scale.fit import growth, table
from bench.scale.runs import Cost
from prunet.cells import storage


@pytest.mark.parametrize("exponent", [0, 1, 2])
def test_a_power_law_is_found_exactly(exponent):
    row = growth("seconds", "networks", {size: [3 * size**exponent] for size in (2, 4, 8, 16)}, 1)
    assert row["exponent"] == pytest.approx(exponent)
    assert row["high"] - row["low"] == pytest.approx(0, abs=1e-9)


def test_the_interval_holds_the_exponent_in_95_of_100_fits():
    rng, inside, fits = np.random.default_rng(0), 0, 500
    for _ in range(fits):
        found = {size: list(size * np.exp(0.1 * rng.standard_normal(2))) for size in (1, 2, 4, 8)}
        row = growth("seconds", "networks", found, 1)
        inside += row["low"] <= 1 <= row["high"]
    assert stats.binomtest(inside, fits, 0.95).pvalue > 0.01


def test_a_fixed_cost_lowers_the_exponent_and_widens_the_interval():
    bent = growth("seconds", "networks", {size: [5 + size] for size in (1, 2, 4, 8)}, 1)
    assert bent["exponent"] < 0.6
    assert bent["high"] - bent["low"] > 0.1


def test_one_more_costs_the_slope():
    found = {2: [Cost(5, 10), Cost(7, 10), Cost(6, 10)], 4: [Cost(9, 10)], 12: [Cost(26, 30)]}
    assert measure.one_more(found, "seconds") == 2
    assert measure.one_more(found, "megabytes") == 2


def test_a_chain_trains_every_round_under_smaller_masks(monkeypatch):
    trained = []
    keep = storage.load_network

    def load(folder):
        trained.append(keep(folder))
        return trained[-1]

    monkeypatch.setattr(storage, "load_network", load)
    before = os.sched_getaffinity(0)
    try:
        runs.chain(2, 2, rounds=3, images=60)
    finally:
        os.sched_setaffinity(0, before)
    masks = [mask["fc1.weight"] for _, mask in trained]
    assert [mask.shape for mask in masks] == [(2, 300, 784)] * 3
    assert [mask[1].mean() for mask in masks] == pytest.approx([1, 0.8, 0.64], abs=1e-4)
    assert all(not weights["fc1.weight"][~mask["fc1.weight"]].any() for weights, mask in trained)


def test_weights_are_counted(monkeypatch):
    models = []
    monkeypatch.setattr(runs.prunet_loop, "job", lambda model, *_: models.append(model))
    monkeypatch.setattr(runs.prunet_loop, "train", lambda *_: [])
    runs.wide(30, 2)
    assert sum(tensor.numel() for tensor in models[0].parameters() if tensor.ndim == 2) == runs.weights(30)


def test_a_run_costs_time_and_memory():
    kept = []
    cost = series.apart(lambda: kept.append(np.ones(25_000_000)))()
    assert 150 < cost.megabytes < 400
    assert 0 < cost.seconds < 60
    assert not kept  # it ran in another process


def test_the_noise_has_every_class_in_every_split():
    data = study.noise((1, 4, 4), 3, (6, 3, 3))
    assert [set(data["labels"][data["split"] == side]) for side in range(3)] == [{0, 1, 2}] * 3


def test_every_series_is_fitted_and_in_the_table(tmp_path, monkeypatch):
    sizes = (1, 2, 4, 8)
    made = [
        series.Series(
            name, lambda: {size: Cost(size, size**2) for size in sizes}, {"seconds": 1.0, "megabytes": 2.0}
        )
        for name in (*series.AT_A_TIME.values(), series.HERE, series.STAGES, series.ON_RAY)
    ]
    monkeypatch.setattr(measure, "training", lambda _: made)
    monkeypatch.setattr(measure, "overheads", lambda _: [])
    monkeypatch.setattr(runs, "start_of_a_stage", lambda: 3.0)
    monkeypatch.setattr(runs, "repro", lambda count, again: 0.5 + count if again else 0.0)
    output = tmp_path / "scale.json"
    done = CliRunner().invoke(bench.main, ["--quick", "--only", "scale", str(output)], catch_exceptions=False)
    assert done.exit_code == 0
    results = json.loads(output.read_text())
    assert [row["exponent"] for row in results["growth"]] == pytest.approx([1, 2] * len(made))
    assert done.output.strip().endswith(table(results))
    for row in results["growth"]:
        assert f"| {row['against']} | 1, 2, 4, 8 | 1 to " in done.output
    assert results["single"].pop("start of a stage: Python and its modules, s") == 3
    assert set(results["single"].values()) == {1, 9}


def test_scale_runs_alone(tmp_path):
    done = CliRunner().invoke(bench.main, ["--only", "scale", "--only", "lenet"])
    assert done.exit_code == 2
    assert "scale runs alone" in done.output


def test_the_page_has_the_tables_of_the_committed_results():
    results = json.loads(page.RESULTS.read_text()) if page.RESULTS.exists() else {}
    text = page.PAGE.read_text()
    assert page.filled(text, table(results)) == text
    assert not results.get("quick")


def test_a_page_is_filled_between_its_marks():
    once = page.filled(f"a\n{page.BEGIN}old{page.END}\nb", "new")
    assert once == f"a\n{page.BEGIN}\nnew\n\n{page.END}\nb"
    assert page.filled(once, "new") == once


@pytest.mark.rehearsal
def test_every_series_runs(tmp_path):
    for made in (*series.training(series.QUICK), *series.overheads(series.QUICK)):
        costs = made.run()
        assert len(costs) == 2
        assert all(math.isfinite(cost.seconds) and cost.seconds > 0 for cost in costs.values())
