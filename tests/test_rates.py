import pytest

from prunet.base.errors import InputError
from prunet.pruning.rates import compounded, find_layer, group_rates, own_rates, pace, partway

LAYERS = ["conv1.weight", "conv2.weight", "output.weight"]


def test_own_rates_of_layers():
    assert own_rates([], {}, LAYERS) == {}
    own = own_rates(["output.weight"], {"conv1.weight": 0.1, "conv2": 0.5}, LAYERS)
    assert own == {"output.weight": 0, "conv1.weight": 0.1, "conv2.weight": 0.5}
    assert own_rates(["conv1.weight"], {"conv1": 0.0}, LAYERS) == {"conv1.weight": 0}


@pytest.mark.field
@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("stem", "stem.weight"),
        ("stem.weight", "stem.weight"),  # not the one inside a block, which has a longer name
        ("conv4a", "features.conv4a.conv.weight"),
        ("features.conv4a", "features.conv4a.conv.weight"),
        ("attention.in_proj_weight", "attention.in_proj_weight"),
    ],
)
def test_a_layer_may_be_named_by_a_part_of_its_name_that_no_other_has(name, layer):
    layers = ["stem.weight", "block1.stem.weight", "features.conv4a.conv.weight"]
    layers += ["attention.in_proj_weight", "attention.out_proj.weight"]
    assert find_layer(name, layers) == layer
    with pytest.raises(InputError, match=r"several layers: write one of attention\.in_proj_weight, atten"):
        find_layer("attention", layers)


@pytest.mark.field
def test_of_a_misspelt_layer_the_close_names_and_all_layers_are_listed():
    with pytest.raises(InputError) as refused:
        find_layer("ouput", LAYERS)
    assert refused.value.message == (
        "names 'ouput', which is not a layer: did you mean output.weight? "
        "The layers are conv1.weight, conv2.weight, output.weight"
    )
    with pytest.raises(InputError, match=r"'fully', which is not a layer\. The layers are conv1"):
        find_layer("fully", LAYERS)


@pytest.mark.parametrize(
    ("leave_out", "own_rate", "says"),
    [
        (["conv3.weight"], {}, "'conv3.weight', which is not a layer: did you mean"),
        ([], {"conv3": 0.1}, "names 'conv3'"),
        ([], {"conv1": 0.1, "conv1.weight": 0.2}, "conv1.weight two rates, 0.1 and 0.2"),
        (["conv1"], {"conv1.weight": 0.2}, "conv1.weight two rates, 0 and 0.2"),
    ],
)
def test_wrong_rates_are_refused(leave_out, own_rate, says):
    with pytest.raises(InputError, match=says):
        own_rates(leave_out, own_rate, LAYERS)


def test_the_rate_of_a_layer_holds_for_its_group():
    groups = {"first": ["a", "b"], "second": ["c"], "third": ["d"]}
    assert group_rates(groups, {"b": 0.1, "c": 0.0, "output": 0.5}) == {"first": 0.1, "second": 0.0}
    assert group_rates(groups, {"a": 0.1, "b": 0.1}) == {"first": 0.1}
    with pytest.raises(InputError, match=r"go together: a=0, b=0\.1"):
        group_rates(groups, {"a": 0.0, "b": 0.1})


def test_rates_compound_over_rounds():
    assert compounded(0.2, 0) == 0
    assert [compounded(rate, 1) for rate in (0.2, 0.3, 1.0)] == [0.2, 0.3, 1.0]  # to the bit
    assert compounded(0.2, 8) == pytest.approx(1 - 0.8**8)
    assert compounded(1.0, 3) == 1


@pytest.mark.field
def test_equal_steps_remove_a_rate_together():
    assert partway(0.2, 1) == 0.2
    assert 1 - (1 - partway(0.75, 0.5)) ** 2 == 0.75
    assert partway(1, 0.01) == 1


def test_the_pace_of_a_layer_follows_the_rounds_that_the_others_need():
    """After eight rounds at 20% the others have kept 0.8^8, and a layer at 10% has kept 0.9^8."""
    assert (0.8**8) ** pace(0.1, 0.2) == pytest.approx(0.9**8)
    assert pace(0.0, 0.2) == 0
    assert pace(0.2, 0.2) == 1
