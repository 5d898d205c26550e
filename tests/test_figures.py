import numpy as np
import pandas as pd
import pytest
from PIL import Image

from prunet.analysis import canvas, figures, footprint_figures, summary, sweep_figures
from prunet.deployment.crossover import crossover
from prunet.retraining import scheme
from tests.test_summary import RESULTS

TABLE = summary.summarize(RESULTS, 40)
CURVES = summary.curves(RESULTS, ["original", "random"], "01")
SCHEMES = {
    "original": {"label": "the ticket", "color": "#0072B2", "linestyle": "-", "marker": "o"},
    "random": {"label": "new values", "color": "#009E73", "linestyle": [0, [6, 1]], "marker": "^"},
}


def lines(figure):
    return {line.get_label(): line for line in figure.axes[0].lines if not line.get_label().startswith("_")}


def test_accuracy_by_density_draws_each_scheme_the_interval_and_the_dense_line():
    figure = figures.accuracy_by_density(TABLE, SCHEMES, "toy")
    drawn, axes = lines(figure), figure.axes[0]
    assert set(drawn) == {"the ticket", "new values", "dense", "hollow: trained too briefly"}
    assert drawn["new values"].get_xdata().tolist() == [1.0, 0.5]
    assert drawn["new values"].get_ydata() == pytest.approx([0.5, 0.3])
    assert (drawn["new values"].get_color(), drawn["new values"].get_marker()) == ("#009E73", "^")
    assert list(drawn["dense"].get_ydata()) == pytest.approx([0.85, 0.85])
    assert len(axes.collections) == 2
    left, right = axes.get_xlim()
    assert left > 1 > 0.5 > right  # densities fall from left to right
    assert axes.get_ylim() == (-0.02, 1.02)  # though the interval of scheme random is 2.5 wide


def test_a_single_replicate_has_no_band():
    single = TABLE.assign(accuracy_ci95=np.nan)
    assert len(figures.accuracy_by_density(single, SCHEMES, "toy").axes[0].collections) == 0


def test_curves_early_stops_and_layers_draw_their_columns():
    curves = lines(figures.curves(CURVES, SCHEMES, "toy"))
    assert curves["the ticket"].get_ydata() == pytest.approx([0.1, 0.7, 0.7])
    early = lines(figures.early_stop_by_density(TABLE, SCHEMES, "toy"))
    assert early["the ticket"].get_ydata().tolist() == [15, 15]
    shares = {"features.conv1.conv.weight": [1, 0.8], "output.weight": [1, 0.9]}
    layers = pd.DataFrame({"round": ["00", "01"]} | shares)
    drawn = lines(figures.layer_densities(layers, "toy"))
    assert set(drawn) == {"conv1", "output"}
    assert drawn["conv1"].get_ydata().tolist() == [1, 0.8]


def learning_curve(*accuracies, half=0.0):
    table = pd.DataFrame({"scheme": "original", "accuracy": accuracies, "accuracy_ci95": half})
    return table.assign(epoch=range(len(table)))


def test_a_long_training_run_is_drawn_from_the_end_of_its_first_tenth():
    table = learning_curve(0.1, 0.8, *[0.95] * 18, 0.97)
    assert canvas.learning_curve_limits(table) == pytest.approx((0.949, 0.971))
    assert figures.curves(table, {}, "toy").axes[0].get_ylim() == pytest.approx((0.949, 0.971))
    table = learning_curve(0.1, 0.8, *[0.95] * 18, 0.97, half=0.02)
    assert canvas.learning_curve_limits(table) == pytest.approx((0.927, 0.993))
    table = learning_curve(0.1, 0.8, *[0.95] * 18, 0.97, half=0.2)
    assert canvas.learning_curve_limits(table) == (pytest.approx(0.729), 1.0)
    assert canvas.learning_curve_limits(learning_curve(0.1, *[0.9] * 19)) == pytest.approx((0.899, 0.901))


@pytest.mark.parametrize(
    "accuracies", [[0.1, 0.5, 0.6, 0.7, 0.8, 0.9], [0.5] * 30, [0.9], [0.1, *[0.9] * 18]]
)
def test_learning_curves_without_a_steep_beginning_are_drawn_whole(accuracies):
    assert canvas.learning_curve_limits(learning_curve(*accuracies)) is None
    low, high = figures.curves(learning_curve(*accuracies), {}, "toy").axes[0].get_ylim()
    assert low < min(accuracies) <= max(accuracies) < high


@pytest.mark.parametrize(("count", "every"), [(3, 1), (25, 1), (26, 2), (251, 11)])
def test_a_learning_curve_has_at_most_25_markers(count, every):
    (line,) = figures.curves(learning_curve(*[0.5] * count), {}, "toy").axes[0].lines
    assert line.get_markevery() == every


def test_layers_whose_names_begin_with_an_underscore_are_in_the_legend():
    layers = pd.DataFrame({"round": [0, 1], "_conv_stem.weight": [1, 0.5], "_fc.weight": [1, 0.5]})
    (legend,) = figures.layer_densities(layers, "toy").legends
    assert [text.get_text() for text in legend.get_texts()] == ["conv_stem", "fc"]


@pytest.mark.parametrize("count", [1, 4, 5, 6, 7, 12])
@pytest.mark.parametrize("name", ["fc", "rewound learning rate", "_blocks._depthwise_conv.weight"])
def test_the_legend_fits_into_the_figure(count, name):
    names = [f"{name}{number}" for number in range(count)]
    figure = figures.layer_densities(
        pd.DataFrame({"round": [0, 1]} | {name: [1, 0.5] for name in names}), "toy"
    )
    figure.canvas.draw()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width


@pytest.mark.parametrize("count", range(1, 15))
def test_the_legend_of_schemes_is_within_the_picture_that_is_written(count, tmp_path):
    styles = {name: {"label": scheme.load(name).label} for name in scheme.names()[: count - 1]}
    styles["hollow"] = {"label": "hollow: trained too briefly"}
    table = pd.concat(learning_curve(0.5, 0.6).assign(scheme=name) for name in styles)
    canvas.save(figures.curves(table, styles, "toy"), tmp_path / "curves.png")
    pixels = np.asarray(Image.open(tmp_path / "curves.png").convert("L"))
    assert pixels.shape[1] == 700
    assert pixels.min() == 0
    assert (pixels[:, [0, -1]] == 255).all()  # nothing is cut off on the left or right


def test_a_scheme_without_a_style_gets_one_of_its_own():
    drawn = lines(figures.curves(CURVES, {}, "toy"))
    assert set(drawn) == {"original", "random"}
    assert drawn["original"].get_color() != drawn["random"].get_color()


@pytest.mark.parametrize("study", ["toy", "weights-and-units-mnist", "M" * 60])
def test_titles_fit_into_the_figure(study):
    figure, _ = canvas.new_figure(f"{study}: pruned once, without retraining")
    figure.canvas.draw()
    box = figure.texts[0].get_window_extent()
    assert box.x0 > 0
    assert box.x1 < figure.bbox.x1
    assert figure.texts[0].get_text().startswith(f"{study}: " if study == "toy" else f"{study}\n")


def test_equal_figures_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        canvas.save(figures.curves(CURVES, SCHEMES, "toy"), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes().startswith(b"\x89PNG")


FOOTPRINT = pd.DataFrame(
    {
        **{"round": ["00", "01"], "density": [1.0, 0.1]},
        **{"bytes_dense": 1000, "bytes_gzip": [900, 200]},
        **{"bytes_bound": [1000, 110], "bytes_ticket": [950, 112]},
    }
)
QUANTISED = pd.DataFrame({"density": [1.0, 1.0, 0.1, 0.1], "bits": [4, 32] * 2}).assign(
    times_smaller=lambda rows: 40 / rows["bits"] / rows["density"], accuracy=0.9, accuracy_dense=0.95
)


def test_sizes_are_drawn_in_kilobytes():
    drawn = lines(footprint_figures.sizes_by_density(FOOTPRINT, "toy"))
    assert list(drawn["ticket, lossless"].get_ydata()) == [0.95, 0.112]
    assert len(drawn) == 4


def timed(batch, density, form, low, median, high, device="cpu"):
    names = ("batch", "density", "form", "ms_low", "ms_median", "ms_high", "device")
    return dict(zip(names, (batch, density, form, low, median, high, device), strict=True))


LATENCY = pd.DataFrame(
    [
        timed(1, 1.0, "dense", 7.9, 8, 8.1),
        timed(1, 0.1, "dense", 7.9, 8, 8.1),
        timed(1, 1.0, "numpy", 3.8, 4, 4.2),
        timed(1, 0.1, "numpy", 3.8, 4, 4.2),
        timed(1, 1.0, "sparse", 3.9, 4, 4.1),
        timed(1, 0.1, "sparse", 0.8, 1, 1.2),
        timed(64, 1.0, "dense", 30, 30, 30),
        timed(64, 0.1, "dense", 30, 30, 30),
        timed(64, 1.0, "shrunk", 30, 30, 30),
        timed(64, 0.1, "shrunk", 10, 10, 10),
        timed(64, 0.1, "sparse", 1, 1, 1, device="cuda"),
    ]
)


@pytest.mark.field
def test_the_figure_of_speed_shows_what_the_sentence_says():
    """Both divide by the fastest dense form, and both have the spread of busy times."""
    drawn = {
        container.get_label(): container.lines
        for container in footprint_figures.speedups_by_density(LATENCY, "toy").axes[0].containers
    }
    line, _, (bars,) = drawn["1 image, busy machine"]
    assert line.get_ydata().tolist() == [4.0, 1.0]
    assert [segment[:, 1].round(3).tolist() for segment in bars.get_segments()] == [
        [3.167, 5.25],
        [0.927, 1.077],
    ]
    assert drawn["64 images"][0].get_ydata().tolist() == [3.0, 1.0]
    rows = LATENCY[(LATENCY["batch"] == 1)].to_dict("records")
    assert crossover(rows).faster == [0.1]


def test_accuracy_by_size_has_a_line_for_each_codebook_however_many():
    drawn = lines(footprint_figures.accuracy_by_size(QUANTISED, "toy"))
    assert list(drawn["4 bits"].get_xdata()) == [10.0, 100.0]
    assert list(drawn["lossless"].get_xdata()) == [1.25, 12.5]
    assert "dense" in drawn
    many = pd.concat([QUANTISED.assign(bits=bits) for bits in range(1, 15)])
    assert len(lines(footprint_figures.accuracy_by_size(many, "toy"))) == 15


SWEEP = pd.DataFrame(
    {
        "criterion": ["magnitude", "magnitude", "unit-l2", "unit-l2"],
        "sparsity": [0.0, 0.5, 0.0, 0.5],
        "accuracy_mean": [0.9, 0.8, 0.9, 0.4],
        "accuracy_ci95": 0.1,
        "bytes_ticket": [1000, 500, 1000, 400],
    }
)
PUBLISHED = [{"criterion": "unit-l2", "sparsity": 0.5, "accuracy": 0.45}]


def test_a_sweep_has_a_line_for_each_criterion_and_hollow_markers_for_published_values():
    drawn = lines(sweep_figures.accuracy_by_sparsity(SWEEP, PUBLISHED, "toy"))
    assert set(drawn) == {"magnitude", "unit-l2", "unit-l2, published"}
    assert drawn["unit-l2, published"].get_ydata().tolist() == [0.45]
    assert drawn["unit-l2, published"].get_markerfacecolor() == "none"
    assert lines(sweep_figures.bytes_by_sparsity(SWEEP, "toy"))["unit-l2"].get_ydata().tolist() == [1, 0.4]


def test_every_criterion_of_a_sweep_has_a_style_of_its_own_however_many():
    table = pd.DataFrame({"criterion": [str(n) for n in range(40)], "sparsity": 0.0, "bytes_ticket": 1})
    drawn = lines(sweep_figures.bytes_by_sparsity(table, "all"))
    assert len({(line.get_color(), line.get_marker()) for line in drawn.values()}) == 40
