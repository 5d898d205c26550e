"""Parameters of each stage: a stage depends on its own, and on no others."""

import copy
import json

import pytest

from prunet.config.params import load, stage_params
from prunet.config.pruning import rounds
from stages import check
from tests import toys
from tests.toy_tools import invoke

SCHEMES = ["original", "random", "fine-tune", "rigl", "static"]
FIRST = stage_params(toys.params_values(schemes=SCHEMES))


def different(**changes):
    """Return the files that differ from the first ones, without the study's folder."""
    found = stage_params(toys.params_values(**{"schemes": SCHEMES} | changes))
    changed = {name.removeprefix("toy/") for name in FIRST | found if FIRST.get(name) != found.get(name)}
    return changed - {"report"}  # which shows all parameters of the study


RETRAIN = {f"retrain-{name}" for name in SCHEMES}
TRAINING = {"train", "prune", "stability", *RETRAIN}
STUDY = {*TRAINING, "footprint", "export", "sweep", "sensitivity", "mistakes", "new_people", "compress"}


@pytest.mark.parametrize(
    ("changes", "stages"),
    [
        ({"training": {"lr": 0.02}}, STUDY),
        ({"study": {"replicates": 3}}, STUDY),
        ({"study": {"reinits": 3}}, {"retrain-random"}),
        (
            {"study": {"data": toys.params_values()["studies"]["toy"]["data"] | {"val": 9}}},
            {"images", "embed"},
        ),
        ({"seed": 1}, {*STUDY, "images", "embed", "sample"}),
        ({"checkpoint_seconds": 1.0}, {*TRAINING, "compress"}),
        ({"prune": {"rate": 0.3}}, {"prune"}),
        ({"prune": {"attention": "widths"}}, STUDY),
        ({"prune": {"target": {"parameters": 0.5}}}, {"prune"}),
        ({"study": {"layers": {"leave_out": ["fc1"], "own_rate": {}}}}, {"prune", "sweep"}),
        ({"prune": {"scope": "global"}}, {"prune"}),
        ({"prune": {"criterion": "taylor"}}, {"prune"}),
        ({"prune": {"chain": "fine-tune"}}, {"prune", "summarize"}),
        ({"prune": {"criterion_images": 9}}, {"prune", "sweep"}),
        # Not the rounds before it. The toy's report and export are of the last round.
        (
            {"last_round": 2},
            {
                *RETRAIN,
                "footprint",
                "summarize",
                "claims",
                "export",
                "plot",
                "mistakes",
                "new_people",
                "compress",
            },
        ),
        ({"schemes": [*SCHEMES, "set"]}, {"retrain-set", "summarize", "claims", "plot"}),
        ({"dynamic": {"drop": 0.2}}, {"retrain-rigl", "retrain-static"}),
        ({"dynamic": {"multiplier": 2}}, {"retrain-rigl", "retrain-static"}),
        ({"report": {"scheme": "random"}}, {"footprint", "summarize", "mistakes", "new_people"}),
        ({"report": {"round": "00"}}, {"summarize", "plot", "mistakes", "new_people"}),
        ({"report": {"margin": 1.0}}, {"summarize", "compress"}),
        ({"export": {"replicate": 1}}, {"export"}),
        ({"export": {"false_accepts": 0.1}}, {"export", "strangers"}),
        ({"export": {"strangers": "elsewhere"}}, set()),
        ({"export": {"known": 0.5}}, {"export", "embed"}),
        ({"footprint": {"seconds": 0.1}}, {"footprint"}),
        ({"sweep": {"sparsities": [0.5]}}, {"sweep"}),
        ({"sweep": {"studies": ["toy"]}}, set()),
        ({"sensitivity": {"shares": [0.5]}}, {"sensitivity"}),
        ({"compress": {"bits": 3}}, {"compress"}),
        ({"compress": {"search": toys.params_values()["compress"]["search"] | {"bits": [8]}}}, set()),
        ({"compress": {"scheme": "random", "studies": ["toy"]}}, set()),
        ({"stability": {"rounds": ["01"]}}, {"stability"}),
        ({"new_people": {"photos": [3]}}, {"new_people"}),
        ({"sample": {"photos": 1}}, {"sample"}),
        ({"ingest": {"retries": 1}}, {"ingest"}),
        ({"crop": {"margin": 0.3}}, {"crop", "strangers"}),
        ({"resize": {"size": 64}}, {"resize", "strangers"}),
        ({"resize": {"exclude": "other.csv"}}, set()),
    ],
)
def test_a_change_reaches_the_stages_that_depend_on_it_and_no_others(changes, stages):
    assert different(**changes) == stages


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"prune": {"rate": 0.3}}, True),
        ({"training": {"lr": 0.02}}, True),
        ({"crop": {"margin": 0.3}}, False),
    ],
)
def test_the_report_shows_what_decides_the_results_of_its_study(changes, shown):
    found = stage_params(toys.params_values(**{"schemes": SCHEMES} | changes))
    assert (found["toy/report"] != FIRST["toy/report"]) == shown
    assert found["toy/report"]["round"] == "01"


def test_extended_training_stretches_the_learning_rates_of_dynamic_schemes_alone():
    training = {"steps": 30, "warmup": 2, "schedule": "step", "milestones": [10, 20], "eval_every": 10}
    values = toys.params_values(schemes=SCHEMES, training=training, dynamic={"multiplier": 3})
    found = {name: stage_params(values)[f"toy/retrain-{name}"]["study"]["training"] for name in SCHEMES}
    stretched = {"steps": 90, "warmup": 6, "milestones": [30, 60]}
    for name in SCHEMES:
        expected = stretched if name in ("rigl", "static") else {}
        assert found[name] == {**values["studies"]["toy"]["training"], **expected}


def test_of_faces_all_that_finds_a_face_is_exported():
    found = stage_params(load(toys.PARAMS))
    assert found["digits/export"]["finding"] is None
    assert set(found["faces/export"]["finding"]) == {"crop", "resize"}


def test_the_distance_of_near_duplicates_reaches_the_shared_gray_faces_from_studies_of_faces():
    values = load(toys.PARAMS)
    for name, distance in (("digits", 9), ("faces", 2)):
        values["studies"][name]["data"]["near_duplicate_distance"] = distance
    assert stage_params(values)["resize"]["near_duplicate_distance"] == 2
    values["studies"]["more"] = copy.deepcopy(values["studies"]["faces"])
    values["studies"]["more"]["data"]["near_duplicate_distance"] = 5
    assert stage_params(values)["resize"]["near_duplicate_distance"] == 5
    for name in ("faces", "more"):
        del values["studies"][name]
    assert stage_params(values)["resize"]["near_duplicate_distance"] == 0


@pytest.mark.parametrize(
    ("schedule", "sources"),
    [("iterative", ["dense", "dense", "chain/01", "chain/02"]), ("one-shot", ["dense"] * 4)],
)
def test_a_round_prunes_the_chains_networks_of_the_round_before(schedule, sources):
    found = rounds(4, schedule)
    assert [entry["n"] for entry in found] == ["00", "01", "02", "03"]
    assert [entry["from"] for entry in found] == sources


def run(tmp_path, file=toys.PARAMS):
    done = invoke(check, file, tmp_path / "models", tmp_path / "params")
    assert done.exit_code == 0, done.output


def test_check_writes_one_file_for_each_stage_in_place_of_earlier_ones(tmp_path):
    run(tmp_path)
    stale = tmp_path / "params" / "digits" / "retrain-set.json"
    stale.write_text("{}")
    run(tmp_path)
    written = {
        path.relative_to(tmp_path / "params").with_suffix("").as_posix(): json.loads(path.read_text())
        for path in (tmp_path / "params").rglob("*.json")
    }
    assert written == stage_params(load(toys.PARAMS))


def test_check_removes_stale_rounds_and_schemes_from_models_and_nothing_else(tmp_path):
    models = tmp_path / "models"
    current = [
        *("digits/init.safetensors", "digits/dense/result.json", "digits/cells/random/01/result.json"),
        *("digits/masks/08.safetensors", "digits/masks/.gitignore", "digits/chain/08/result.json"),
        *("digits/chain/.gitignore", "digits/cells/.gitignore", "digits/notes/09/text"),
        *("other/cells/rigl/01/result.json", "other/masks/12.safetensors", "faces/rewind.safetensors"),
    ]
    stale = [
        *("digits/cells/rigl/01/result.json", "digits/masks/09.safetensors", "digits/chain/09/result.json"),
        "faces/cells/lr-rewind/01/result.json",
    ]
    for name in current + stale:
        (models / name).parent.mkdir(parents=True, exist_ok=True)
        (models / name).write_text("")
    run(tmp_path)
    left = {path.relative_to(models).as_posix() for path in models.rglob("*") if path.is_file()}
    assert left == set(current)
    assert not (models / "digits" / "chain" / "09").exists()
    assert not (models / "digits" / "cells" / "rigl").exists()
