import numpy as np
import pandas as pd
import pytest

from prunet.analysis import canvas, figures, footprint_figures, summary
from prunet.pruning import schemes
from tests.test_summary import RESULTS

TABLE = summary.summarize(RESULTS)


def lines(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_every_scheme_has_a_look_of_its_own_without_colour_too():
    assert set(figures.LOOKS) == set(figures.LABELS) == set(schemes.SCHEMES)
    for part in ("color", "linestyle", "marker"):
        assert len({look[part] for look in figures.LOOKS.values()}) == len(figures.LOOKS)


def test_accuracy_by_density_draws_each_scheme_the_spread_and_the_dense_line():
    axes = figures.accuracy_by_density(TABLE, "toy").axes[0]
    drawn = lines(axes)
    assert set(drawn) == {"original (ticket)", "random (new)", "dense"}
    assert drawn["random (new)"].get_xdata().tolist() == [1.0, 0.5]
    assert drawn["random (new)"].get_ydata() == pytest.approx([0.5, 0.3])
    assert list(drawn["dense"].get_ydata()) == pytest.approx([0.85, 0.85])
    assert len(axes.collections) == 2
    left, right = axes.get_xlim()
    assert left > 1 > 0.5 > right  # densities fall from left to right


def test_one_replicate_has_no_band():
    single = TABLE.assign(accuracy_ci95=np.nan)
    assert len(figures.accuracy_by_density(single, "toy").axes[0].collections) == 0


def test_curves_and_early_stop_and_layers_draw_their_columns():
    curves = figures.curves(summary.curves(RESULTS, ["original", "random"], "01"), "toy").axes[0]
    assert lines(curves)["original (ticket)"].get_ydata() == pytest.approx([0.1, 0.7])
    early = figures.early_stop_by_density(TABLE, "toy").axes[0]
    assert lines(early)["original (ticket)"].get_ydata().tolist() == [15, 15]
    layers = pd.DataFrame(
        {"round": ["00", "01"], "features.conv1.conv.weight": [1, 0.8], "output.weight": [1, 0.9]}
    )
    drawn = lines(figures.layer_densities(layers, "toy").axes[0])
    assert set(drawn) == {"conv1", "output"}
    assert drawn["conv1"].get_ydata().tolist() == [1, 0.8]


def test_equal_figures_give_equal_bytes(tmp_path):
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    for name in ("a", "b"):
        canvas.save(figures.strip([[image, image[..., 0]]], ["x", "y"], "toy"), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes().startswith(b"\x89PNG")


FOOTPRINT = pd.DataFrame(
    {
        "round": ["00", "01"],
        "density": [1.0, 0.1],
        "bytes_dense": [1000, 1000],
        "bytes_gzip": [900, 200],
        "bytes_bound": [1000, 110],
        "bytes_ticket": [950, 112],
        "ms_dense_1": [2.0, 2.0],
        "ms_best_1": [4.0, 0.5],
        "ms_dense_64": [3.0, 3.0],
        "ms_best_64": [3.0, 1.0],
    }
)


def test_sizes_are_drawn_in_kilobytes():
    figure = footprint_figures.sizes_by_density(FOOTPRINT, "toy")
    drawn = {line.get_label(): list(line.get_ydata()) for line in figure.axes[0].lines}
    assert drawn["ticket, lossless"] == [0.95, 0.112]
    assert set(drawn) == {label for label, _ in footprint_figures.SIZES.values()}


def test_speed_is_drawn_as_a_multiple_of_the_dense_networks():
    figure = footprint_figures.speedups_by_density(FOOTPRINT, "toy")
    drawn = {line.get_label(): list(line.get_ydata()) for line in figure.axes[0].lines}
    assert (drawn["1 image"], drawn["64 images"]) == ([0.5, 4.0], [1.0, 3.0])


def test_accuracy_by_size_has_a_line_for_each_codebook():
    rows = [
        {
            "density": density,
            "bits": bits,
            "times_smaller": 40 / bits / density,
            "accuracy": 0.9,
            "accuracy_dense": 0.95,
        }
        for density in (1.0, 0.1)
        for bits in (4, 32)
    ]
    figure = footprint_figures.accuracy_by_size(pd.DataFrame(rows), "toy")
    drawn = {line.get_label(): list(line.get_xdata()) for line in figure.axes[0].lines}
    assert drawn["4 bits"] == [10.0, 100.0]
    assert drawn["lossless"] == [1.25, 12.5]
    assert "dense" in drawn
