"""Checks of params.yaml that need a study's network, by the stage `check`."""

import pytest
import torch

from prunet.base.errors import InputError
from prunet.config.params import stage_params
from prunet.config.unit_rules import report
from prunet.models.built_in import MODELS
from prunet.pruning.unit_criteria import UNIT_CRITERIA
from prunet.structure.finding import find_units
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
            "sweep.criteria: criterion filter-l1 finds no units",
        ),
        (
            {"sensitivity": {"studies": ["toy"], "criterion": "batchnorm-scale"}},
            "sensitivity.criterion: criterion batchnorm-scale needs a batch norm behind every layer, and fc1",
        ),
        (
            {"sensitivity": {"studies": ["toy"], "criterion": "filter-l2"}},
            "sensitivity.criterion: criterion filter-l2 finds no units in fc1.weight, fc2.weight",
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
            "prune: target.macs is 0.001, and 0.001494 is left when every layer has lost all that it may",
        ),
        (
            {"prune": {"criterion": "unit-l2", "target": {"macs": 0.3}, "round_to": 100}},
            "prune: target.macs is 0.3, and 0.3466 is left when every layer has lost all that it may",
        ),
        (
            {"prune": {"criterion": "magnitude", "target": {"parameters": 0.00001}}},
            "prune.target.parameters is 1e-05, and 5.976e-05 is left when every layer has lost all",
        ),
        (
            {
                "study": layers(["fc2"], fc1=0.5),
                "prune": {"criterion": "magnitude", "target": {"parameters": 0.7}},
            },
            "prune.target.parameters is 0.7, and 0.7889 is left when every layer has lost all",
        ),
        (
            {"prune": {"criterion": "unit-l2", "scope": "sensitivity", "target": {"macs": 0.05}}},
            "prune.scope sensitivity takes at most 75% of a group in a round: target.macs is 0.05, and 0.1",
        ),
    ],
)
def test_what_does_not_fit_the_network_is_refused_before_anything_runs(changes, says):
    with pytest.raises(InputError) as refused:
        rules(**changes)
    assert refused.value.message.startswith("params.yaml: studies.toy: ")
    assert says in refused.value.message


@pytest.mark.parametrize("criterion", UNIT_CRITERIA)
def test_criteria_of_units_fit_a_network_that_has_them(criterion):
    study = RESNET | layers(["output"])
    assert rules(study=study, prune={"criterion": criterion})["own"] == {"output.weight": 0}


def test_a_sweep_and_a_sensitivity_have_rules_of_their_own():
    """Targets and layers that may lose all are those of the rounds."""
    rounds_ = {"criterion": "magnitude", "target": {"parameters": 0.001}}
    swept = {"studies": ["toy"], "criteria": ["unit-l2"], "sparsities": [0.999]}
    assert rules(prune=rounds_, sweep=swept, sensitivity={"studies": ["toy"], "criterion": "unit-l2"})


def test_a_target_that_sensitivity_reaches_in_several_rounds_is_not_refused():
    how = {"criterion": "unit-l2", "scope": "sensitivity", "target": {"macs": 0.05}}
    assert rules(prune=how, last_round=2)["scope"] == "sensitivity"


def test_of_a_network_of_ones_own_it_is_printed_what_can_go_and_what_stays(capsys):
    own = {"study": {"model": "tests.own_network:VisionTransformer", "init": "own"}, "networks": "tests"}
    rules(**own)
    rules(prune={"criterion": "unit-l2"})
    assert capsys.readouterr().out == ""
    rules(**own, prune={"criterion": "unit-l2"})
    assert capsys.readouterr().out == (
        "studies.toy: tests.own_network:VisionTransformer: 18 units in 2 groups of layers can be removed.\n"
        "  Left whole in 1 place: a LayerNorm normalises over it.\n"
    )


def test_of_many_reasons_the_most_frequent_are_printed():
    units = find_units(MODELS["lenet-300-100"]((1, 8, 8), 10), torch.zeros(2, 1, 8, 8))
    units.reasons = {f"reason {number}": number for number in range(1, 8)}
    first, *others = report("mine", units)
    assert first == "mine: 400 units in 2 groups of layers can be removed."
    assert others[0] == "  Left whole in 7 places: reason 7."
    assert others[3:] == ["  Left whole in 4 places: reason 4.", "  Left whole for 3 other reasons."]


def test_the_studies_that_do_not_fit_are_listed_together(tmp_path):
    text = toys.PARAMS.read_text()
    (tmp_path / "params.yaml").write_text(text.replace("leave_out: []", "leave_out: [typo]"))
    done = invoke(check, tmp_path / "params.yaml", tmp_path / "models", tmp_path / "params")
    assert done.exit_code == 2
    for name in ("digits", "faces"):
        assert f"studies.{name}: layers names 'typo'" in done.output
    assert not (tmp_path / "params").exists()
