"""Published claims beside measured values."""

import math

import pytest
from click.testing import CliRunner

from prunet.analysis import claims
from prunet.base import files, tables
from stages import claims as stage
from tests.test_summary import cell


def study(**points):
    """Return the results of three dense networks and of tickets with these differences, by round."""
    rounds = {number: (density, *values) for number, (density, *values) in points.items()}
    return {("dense", "00"): cell(1.0, 0.9, 0.9, 0.9)} | {
        ("original", number): cell(density, *(0.9 + value / 100 for value in values))
        for number, (density, *values) in rounds.items()
    }


def found(results, measure, number, **published):
    claim = {
        "claim": "it is so",
        "measure": measure,
        "scheme": "original",
        "against": "dense",
        "round": number,
    }
    return claims.table([claim | {"equals": None, "above": None} | published], results).iloc[0]


@pytest.mark.parametrize(
    ("published", "shown", "agrees"),
    [
        # Differences of 1, 2 and 3 points: mean 2, interval 2 ± 4.3027 / sqrt(3) = 2 ± 2.4841
        ({"equals": 4.4}, "4.4", "yes"),
        ({"equals": 4.5}, "4.5", "no"),
        ({"equals": -0.5}, "-0.5", "no"),
        ({"above": -0.5}, "> -0.5", "yes"),
        ({"above": 0.0}, "> 0", "not shown"),
        ({"above": 2.1}, "> 2.1", "no"),
    ],
)
def test_a_claim_of_accuracy_is_held_against_the_paired_interval(published, shown, agrees):
    row = found(study(**{"01": (0.8, 1, 2, 3)}), "accuracy", "01", **published)
    assert (row["published"], row["agrees"]) == (shown, agrees)
    assert (row["measured"], row["low"], row["high"]) == pytest.approx((2, -0.4841, 4.4841), abs=1e-4)


def test_two_replicates_are_too_few_for_any_claim():
    cells = {("dense", "00"): cell(1.0, 0.8, 0.8), ("original", "01"): cell(0.5, 0.9, 0.9)}
    assert found(cells, "accuracy", "01", above=0.0)["agrees"] == "too few replicates"


def stopping(density, *steps):
    result = cell(density, *[0.9] * len(steps))
    for network, step in zip(result["networks"], steps, strict=True):
        network["early_stop_step"] = step
    return result


def test_how_much_earlier_is_a_ratio_of_means_with_the_interval_of_its_residuals():
    cells = {("dense", "00"): stopping(1.0, 100, 200, 300), ("original", "01"): stopping(0.5, 60, 100, 140)}
    row = found(cells, "earlier", "01", equals=50)
    # Residuals from half of the dense steps are 10, 0 and -10 of 200: standard error 5 / sqrt(3) percent.
    assert (row["measured"], row["high"] - 50) == pytest.approx((50, 4.30265 * 5 / math.sqrt(3)), rel=1e-4)
    assert row["agrees"] == "yes"
    exact = {("dense", "00"): stopping(1.0, 100, 200, 300), ("original", "01"): stopping(0.5, 50, 100, 150)}
    row = found(exact, "earlier", "01", equals=50)
    assert (row["measured"], row["low"], row["high"]) == pytest.approx((50, 50, 50))
    at_once = {("dense", "00"): stopping(1.0, 0, 0, 0), ("original", "01"): stopping(0.5, 0, 0, 0)}
    assert math.isnan(found(at_once, "earlier", "01", equals=0)["measured"])


FALLING = {
    "01": (0.8, 1.0, 1.1, 1.2),  # shown to be above
    "02": (0.64, -1.0, -1.1, -1.2),  # shown to be below, but see the next
    "03": (0.51, 1, -0.5, 0.5),
    "04": (0.41, -1, 0.5, -0.5),  # below from here on
    "05": (0.33, -1.0, -1.1, -1.2),  # shown to be
}


@pytest.mark.parametrize(("number", "agrees"), [("01", "no"), ("02", "yes"), ("04", "yes"), ("05", "yes")])
def test_a_scheme_falls_below_where_it_stays_below(number, agrees):
    row = found(study(**FALLING), "falls-below", number)
    assert (row["measured"], row["low"], row["high"]) == pytest.approx((41, 33, 64))
    assert row["agrees"] == agrees


def test_a_scheme_that_is_not_shown_to_fall_below_leaves_the_claim_open():
    open_end = study(**{number: FALLING[number] for number in ("01", "02", "03")})
    row = found(open_end, "falls-below", "03")
    assert (math.isnan(row["measured"]), math.isnan(row["low"]), row["high"]) == (True, True, 64)
    assert row["agrees"] == "not shown"
    assert found(open_end, "falls-below", "01")["agrees"] == "no"
    above = found(study(**{"01": FALLING["01"]}), "falls-below", "01")
    assert (math.isnan(above["high"]), above["agrees"]) == (True, "no")


@pytest.mark.parametrize(("number", "agrees"), [("01", "no"), ("02", "yes"), ("03", "yes"), ("04", "no")])
def test_the_best_densities_are_those_not_shown_to_be_worse(number, agrees):
    points = {
        "01": (0.8, 0, 0, 0),
        "02": (0.64, 2.0, 2.1, 1.9),
        "03": (0.51, 1.9, 2.0, 2.0),
        "04": (0.41, 1, 1, 1),
    }
    row = found(study(**points), "best", number)
    assert (row["measured"], row["low"], row["high"]) == pytest.approx((64, 51, 64))
    assert row["agrees"] == agrees


def test_the_stage_writes_a_row_for_each_claim(tmp_path):
    for (scheme, number), result in study(**{"01": (0.8, 1, 2, 3)}).items():
        folder = tmp_path / ("dense" if scheme == "dense" else f"cells/{scheme}/{number}")
        files.write_json(folder / "result.json", result)
    claim = {"measure": "accuracy", "scheme": "original", "against": "dense", "round": "01", "above": -1.0}
    published = [claim | {"claim": name, "equals": None} for name in ("one", "other")]
    params = {"study": "toy", "schemes": ["original"], "rounds": ["01"], "published": published}
    files.write_json(tmp_path / "params.json", params)
    given = [str(tmp_path / name) for name in ("params.json", "", "claims.csv")]
    done = CliRunner().invoke(stage.main, given, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    table = tables.read(tmp_path / "claims.csv", ("measured", "low", "high"))
    assert table["claim"].tolist() == ["one", "other"]
    assert table["agrees"].tolist() == ["yes", "yes"]
