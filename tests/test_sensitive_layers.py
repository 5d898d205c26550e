"""The stages `sensitivity` and `plot-sensitivity` on a toy study."""

import numpy as np
import pandas as pd
import pytest

from prunet.analysis import sensitivity_figures
from prunet.base import files, tables
from prunet.data.images import dataset
from stages import plot_sensitivity, sensitivity
from tests import toys
from tests.toy_cells import cell, maker, outcome
from tests.toy_tools import invoke


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Return dense networks and their table."""
    folder = tmp_path_factory.mktemp("toy")
    training = {"steps": 1, "eval_every": 1}  # on the test split the accuracy is another one
    trainer = maker(folder)(**training)
    (dense,) = trainer.train([cell(trainer, "dense")])
    dataset.save(folder / "data", **toys.data())
    values = toys.params_values(training=training, sensitivity={"criterion": "unit-l2", "shares": [0.9, 0.5]})
    toys.write_stage_params(folder, values)
    done = invoke(
        sensitivity, folder / "toy" / "sensitivity.json", folder / "data", dense, folder / "table.csv"
    )
    assert done.exit_code == 0, done.output
    return folder, outcome(dense)[2], tables.read(folder / "table.csv", plot_sensitivity.COLUMNS)


def test_every_hidden_layer_is_pruned_alone_on_validation_images(measured):
    _, result, table = measured
    assert table["layer"].tolist() == ["fc1.weight"] * 3 + ["fc2.weight"] * 3
    assert table["share"].tolist() == [0, 0.5, 0.9] * 2
    assert table["replicates"].tolist() == [2] * 6
    whole = [network["curve"]["val_accuracy"][-1] for network in result["networks"]]
    assert table.loc[table["share"] == 0, "accuracy_mean"].tolist() == pytest.approx(
        [np.mean(whole)] * 2, rel=1e-5
    )
    for _, rows in table.groupby("layer"):
        assert rows["accuracy_mean"].iloc[0] >= rows["accuracy_mean"].iloc[2] - 0.05


def test_the_figure_has_a_line_for_each_share_and_one_for_the_whole_network(measured):
    folder, _, table = measured
    files.write_json(folder / "params.json", {"study": "toy"})
    done = invoke(plot_sensitivity, folder / "params.json", folder / "table.csv", folder / "plots")
    assert done.exit_code == 0, done.output
    assert [path.name for path in (folder / "plots").iterdir()] == ["accuracy.png"]
    (axes,) = sensitivity_figures.accuracy_by_layer(table, "toy").axes
    drawn = {container.get_label(): container.lines[0] for container in axes.containers}
    assert (
        drawn["without 90%"].get_ydata().tolist()
        == table.loc[table["share"] == 0.9, "accuracy_mean"].tolist()
    )
    assert list(drawn) == ["without 50%", "without 90%"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["fc1", "fc2"]


def test_of_many_layers_some_are_named():
    rows = [
        (f"block{number}.conv.weight", share, 0.9 - share / 9) for number in range(50) for share in (0, 0.5)
    ]
    table = pd.DataFrame(rows, columns=["layer", "share", "accuracy_mean"]).assign(accuracy_ci95=np.nan)
    (axes,) = sensitivity_figures.accuracy_by_layer(table, "toy").axes
    names = [tick.get_text() for tick in axes.get_xticklabels()]
    assert names[:2] == ["block0", "block3"]
    assert len(names) == 17
