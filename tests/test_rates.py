import pytest

from prunet.base.errors import InputError
from prunet.pruning.rates import compounded, group_rates, own_rates

LAYERS = ["conv1.weight", "conv2.weight", "output.weight"]


def test_own_rates_of_layers():
    assert own_rates([], [], LAYERS) == {}
    own = own_rates(["output.weight"], ["conv1.weight=0.1", "conv2.weight=.5"], LAYERS)
    assert own == {"output.weight": 0, "conv1.weight": 0.1, "conv2.weight": 0.5}
    assert own_rates(["conv1.weight"], ["conv1.weight=0"], LAYERS) == {"conv1.weight": 0}


@pytest.mark.parametrize(
    ("leave_out", "own_rate", "says"),
    [
        (["conv3.weight"], [], "'conv3.weight', and the layers are conv1.weight, conv2.weight, output.wei"),
        ([], ["conv3.weight=0.1"], "names 'conv3.weight'"),
        ([], ["conv1.weight=0.1", "conv1.weight=0.2"], "conv1.weight two rates, 0.1 and 0.2"),
        (["conv1.weight"], ["conv1.weight=0.2"], "conv1.weight two rates, 0 and 0.2"),
        *(([], [entry], "write NAME=RATE") for entry in ("0.1", "=0.1", "conv1.weight")),
        *(([], [f"conv1.weight={rate}"], "write NAME=RATE") for rate in ("1.1", "-1", "nan", "much")),
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
