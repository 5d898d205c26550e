"""The schemes' template of `dvc plots`, and its page that needs no network."""

from pathlib import Path

import pytest
import vl_convert
from click.testing import CliRunner
from dvc.config import Config
from dvc_render import VegaRenderer, render_html

from prunet.analysis import summary
from prunet.base import files
from prunet.retraining import scheme
from stages import plots_page
from tests.test_figures import SWEEP
from tests.test_summary import RESULTS, cell

ROOT = Path(__file__).parent.parent
TEMPLATES = ROOT / ".dvc" / "plots"


def renderer(table, revisions, **properties):
    """Return the renderer of a table, given as DVC gives it: all values as text."""
    rows = table.astype(object).where(table.notna(), "").astype(str).to_dict("records")
    points = [row | {"rev": revision} for revision in revisions for row in rows]
    return VegaRenderer(points, "toy", template="schemes", template_dir=str(TEMPLATES), **properties)


def svg(*arguments, **properties):
    return vl_convert.vegalite_to_svg(renderer(*arguments, **properties).get_filled_template())


def test_the_template_has_the_colors_of_the_schemes():
    template = files.read_json(TEMPLATES / "schemes.json")
    params = {param["name"]: param["value"] for param in template["params"]}
    assert len(set(params["colors"].values()) | set(params["other_colors"])) == 24
    schemes = {name: scheme.load(name).color for name in scheme.names()}
    for name in set(params["colors"]) - {"dense"}:
        assert params["colors"][name] == schemes[name]


@pytest.mark.parametrize("revisions", [["workspace"], ["HEAD", "workspace"]])
def test_accuracy_by_density_is_drawn_in_the_colors_of_the_schemes(revisions):
    table = summary.summarize(RESULTS | {("mine", "01"): cell(0.5, 0.6, 0.5)}, 40)
    drawn = svg(table, revisions, x="density", y="accuracy_mean", title="toy", x_label="weights that survive")
    for text in ("dense", "original", "random", "mine", "100%", "50%", "toy", "weights that survive"):
        assert f">{text}</text>" in drawn
    for color in ("#0072B2", "#009E73", "#7F7F7F"):
        assert f'stroke="{color}"' in drawn
    assert drawn.count('"area mark"') == drawn.count('"line mark"') == 3 * len(revisions)
    assert all(f">{revision}</text>" in drawn for revision in revisions)


def test_curves_without_intervals_have_no_band():
    table = summary.curves({("original", "01"): cell(0.5, 0.9)}, ["original"], "01")
    drawn = svg(table, ["workspace"], x="epoch", y="accuracy")
    assert 'stroke="#0072B2"' in drawn
    assert "area mark" not in drawn


def test_a_sweep_has_a_line_for_each_criterion():
    drawn = svg(SWEEP, ["workspace"], x="sparsity", y="accuracy_mean")
    assert drawn.count('"area mark"') == drawn.count('"line mark"') == 2
    assert ">unit-l2</text>" in drawn


def test_the_page_contains_vega_and_is_set_for_the_root_and_every_study(tmp_path):
    projects = [tmp_path, tmp_path / "studies" / "one"]
    for project in projects:
        (project / ".dvc").mkdir(parents=True)
        (project / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    done = CliRunner().invoke(plots_page.main, [str(tmp_path)])
    assert done.exit_code == 0, done.output
    for project in projects:
        template = project / ".dvc" / Config(str(project / ".dvc"))["plots"]["html_template"]
        assert template.samefile(tmp_path / ".dvc" / "tmp" / "plots.html")
        table = summary.curves(RESULTS, ["original"], "01")
        plots = [renderer(table, ["workspace"], x="epoch", y="accuracy")]
        text = render_html(plots, project / "index.html", template).read_text()
        assert "window.vegaEmbed=" in text
        assert "vegaEmbed('#toy', spec)" in text
        assert 'src="http' not in text
