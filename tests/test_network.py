"""Checks of params.yaml that need a study's network, by the stage `check`."""

import pytest

from prunet.base.errors import InputError
from prunet.config.params import stage_params
from stages import check
from tests import toys
from tests.toy_tools import invoke

pytestmark = pytest.mark.field


def rules(**changes):
    return stage_params(toys.params_values(**changes))["toy/prune"]["prune"]


def layers(leave_out=(), **own_rate):
    return {"layers": {"leave_out": list(leave_out), "own_rate": own_rate}}


def test_layers_are_named_by_study_and_resolved_to_the_rates_of_a_round():
    assert rules()["own"] == {}
    found = rules(study=layers(["output"], fc1=0.1), prune={"output_rate_factor": 0.5})
    assert found["own"] == {"output.weight": 0, "fc1.weight": 0.1}


def test_the_output_layer_has_its_own_rate_in_scope_layer():
    factor = {"output_rate_factor": 0.5, "rate": 0.2}
    assert rules(prune=factor)["own"] == {"output.weight": 0.1}
    assert rules(prune=factor, study=layers(output=0.3))["own"] == {"output.weight": 0.3}
    assert rules(prune=factor | {"scope": "global"})["own"] == {}


def test_the_sweep_prunes_layers_at_their_own_pace():
    values = toys.params_values(study=layers(["output"], fc1=0.36), prune={"rate": 0.2})
    pace = stage_params(values)["toy/sweep"]["sweep"]["pace"]
    assert pace == {"output.weight": 0, "fc1.weight": pytest.approx(2)}


SLIM = {"scale_l1": 0.1}
RESNET = {"model": "resnet-20", "input_size": 8}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"study": layers(["ouput"])},
            "layers names 'ouput', which is not a layer: did you mean output.weight?",
        ),
        ({"study": layers(conv1=0.1)}, "The layers are fc1.weight, fc2.weight, output.weight"),
        (
            {"study": RESNET | layers(["conv2"])},
            "'conv2', which fits several layers: write one of block1_1.conv2",
        ),
        ({"study": {"model": "lenet-5"}}, "lenet-5 takes images of at least 16 pixels a side, not (1, 8, 8)"),
        ({"study": {"model": "resnet-50", "input_size": 64}}, "resnet-50 takes colour images"),
        (
            {"training": SLIM},
            "training.scale_l1 penalises the scales of norms, and lenet-300-100 has no norms",
        ),
        (
            {"training": {"recalibrate": 60}},
            "training.recalibrate measures the running statistics of norms, and lenet-300-100 has no norms",
        ),
        (
            {"prune": {"criterion": "batchnorm-scale"}},
            "needs a batch norm behind every layer, and fc1.weight,",
        ),
        (
            {"prune": {"criterion": "filter-l2"}},
            "criterion filter-l2 finds no units in fc1.weight, fc2.weight",
        ),
        (
            {"sweep": {"studies": ["toy"], "criteria": ["magnitude", "filter-l1"]}},
            "criterion filter-l1 finds no units",
        ),
        (
            {"study": RESNET | layers(["block1_1.conv2"], conv1=0.1), "prune": {"criterion": "filter-l2"}},
            "gives different rates to layers whose units go together",
        ),
        (
            {"prune": {"criterion": "unit-l2", "rate": 0.999, "empty_layers": "refuse"}},
            "would remove all weights of fc1.weight at a rate of 0.999",
        ),
        (
            {"prune": {"criterion": "unit-l2", "target": {"macs": 0.001}}},
            "target.macs is 0.001, and 0.001494 is left when every layer has lost all that it may",
        ),
    ],
)
def test_what_does_not_fit_the_network_is_refused_before_anything_runs(changes, says):
    with pytest.raises(InputError) as refused:
        rules(**changes)
    assert refused.value.message.startswith("params.yaml: studies.toy: ")
    assert says in refused.value.message


@pytest.mark.parametrize("criterion", ["filter-l2", "batchnorm-scale", "geometric-median", "unit-random"])
def test_criteria_of_units_fit_a_network_that_has_them(criterion):
    study = RESNET | layers(["output"])
    assert rules(study=study, prune={"criterion": criterion})["own"] == {"output.weight": 0}


def test_the_studies_that_do_not_fit_are_listed_together(tmp_path):
    text = toys.PARAMS.read_text()
    (tmp_path / "params.yaml").write_text(text.replace("leave_out: []", "leave_out: [typo]"))
    done = invoke(check, tmp_path / "params.yaml", tmp_path / "models", tmp_path / "params")
    assert done.exit_code == 2
    for name in ("digits", "faces"):
        assert f"studies.{name}: layers names 'typo'" in done.output
    assert not (tmp_path / "params").exists()
