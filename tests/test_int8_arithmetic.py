"""The arithmetic of int8 files, simulated."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from prunet.base.errors import InputError
from prunet.compression import int8
from prunet.compression.int8_arithmetic import simulate
from prunet.compression.int8_rounding import Activation, Weight, observe
from prunet.deployment import onnx_file
from tests.toy_networks import Model

SIDE = 8


def images(count, seed=0):
    return torch.randn(count, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def seeded(make):
    """Return a network with random values, and norms whose statistics are not trivial."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make().eval()
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.running_mean.normal_(0, 0.3)
                norm.running_var.uniform_(0.5, 2)
                norm.weight.detach().uniform_(-0.5, 1.5)
    return model


def residual():
    """Return a network with norms, a ReLU in place, a shortcut and pooling."""

    def follow(model, given):
        seen = torch.relu(model.norm1(model.conv1(given)))
        change = torch.relu_(model.norm2(model.conv2(seen)))
        seen = torch.relu(model.norm3(model.conv3(change)) + seen)
        return model.output(nn.functional.max_pool2d(seen, 2).flatten(1))

    convolutions = {
        "conv1": nn.Conv2d(1, 4, 3, padding=1, bias=False),
        "conv2": nn.Conv2d(4, 4, 3, padding=1, groups=2),
        "conv3": nn.Conv2d(4, 4, 1),
    }
    norms = {f"norm{number}": nn.BatchNorm2d(4) for number in (1, 2, 3)}
    return Model(follow, **convolutions, **norms, output=nn.Linear(4 * 16, 3))


def factored():
    """Return a network of layers in two parts, a parametrised one and a transposed one."""
    return nn.Sequential(
        nn.ConvTranspose2d(1, 4, 2, 2),
        nn.ReLU6(),
        nn.Sequential(nn.Conv2d(4, 2, 3, bias=False), nn.Conv2d(2, 6, 1)),
        nn.ReLU(),
        nn.Flatten(),
        parametrizations.weight_norm(nn.Linear(6 * 14 * 14, 3)),
    )


def simulated(model, seen, percentile=100.0, ends=True):
    """Return a network in simulated arithmetic whose ranges come from images."""
    found = simulate(model, torch.zeros(2, *seen.shape[1:]), ends)
    observe(found, found, [seen], percentile)
    return found


def outputs(model, given):
    with torch.no_grad():
        return model(given)


def test_a_weight_is_the_nearest_multiple_of_its_outputs_scale():
    weight = torch.tensor([[127.0, 2.4], [0.5, -1.27], [0.0, 0.0]], requires_grad=True)
    expected = torch.tensor([[127.0, 2.0], [0.5, -1.27], [0.0, 0.0]])
    torch.testing.assert_close(Weight(0)(weight), expected)
    torch.testing.assert_close(Weight(1)(weight.T), expected.T)
    Weight(0)(weight).sum().backward()
    assert weight.grad.tolist() == torch.ones(3, 2).tolist()


def test_an_activation_is_rounded_in_its_range_and_cut_off_outside():
    activation = Activation()
    activation.low, activation.high = -1.0, 4.1  # a level is 0.02
    given = torch.tensor([-3.0, -1.0, 0.0, 0.511, 4.1, 9.0], requires_grad=True)
    found = activation(given)
    torch.testing.assert_close(found, torch.tensor([-1.0, -1.0, 0.0, 0.52, 4.1, 4.1]))
    found.sum().backward()
    assert given.grad.tolist() == [0, 1, 1, 1, 1, 0]


def test_a_layer_computes_what_the_integers_of_the_file_give():
    """Products of integers, by hand: (q - zero) x scale of the activations, times the numbers x scales."""
    layer = nn.Linear(2, 2)
    layer.weight.detach().copy_(torch.tensor([[1.27, 0.304], [-0.5, 2.54]]))
    layer.bias.detach().copy_(torch.tensor([0.25, -1.0]))
    seen = torch.tensor([[-0.5, 2.05], [0.0, 1.0]])  # a level is 0.01, zero is 50
    found = simulated(layer, seen)
    given = torch.tensor([[0.118, 1.996]])
    sums = [12 * 127 + 200 * 30, 12 * -25 + 200 * 127]
    exact = torch.tensor([[sums[0] * 0.01 * 0.01 + 0.25, sums[1] * 0.01 * 0.02 - 1.0]])
    low, high = (seen @ layer.weight.T + layer.bias).detach().aminmax()
    level = (high - min(low, torch.tensor(0.0))) / 255
    torch.testing.assert_close(outputs(found, given), (exact / level).round() * level)


@pytest.mark.parametrize(
    ("make", "percentile", "ends"),
    [(residual, 100.0, True), (residual, 99.0, False), (factored, 99.0, True)],
)
def test_the_file_of_int8_has_the_same_ranges_and_outputs(tmp_path, make, percentile, ends):
    """Sums differ by less than a millionth, so that few numbers land on another level."""
    model, seen, given = seeded(make), images(12), images(64, seed=1)
    about = {"stored": SIDE, "side": SIDE, "shape": [1, SIDE, SIDE], "mean": 30.5, "std": 70.25}
    onnx_file.save(tmp_path / "float.onnx", model, about, list("abc"))
    int8.quantise(tmp_path / "float.onnx", tmp_path / "int8.onnx", [seen], percentile, ends)
    network = simulated(model, seen, percentile, ends)
    graph = onnx.load(tmp_path / "int8.onnx").graph
    constants = {entry.name: onnx.numpy_helper.to_array(entry) for entry in graph.initializer}
    expected = {float(constants[node.input[1]]) for node in graph.node if node.op_type == "QuantizeLinear"}
    activations = [each for each in network.modules() if isinstance(each, Activation)]
    scales = [(each.high - each.low) / 255 for each in activations]
    # ONNX Runtime's histogram of images that come one by one has a few bins more.
    tolerance = 1e-5 if percentile == 100 else 0.01
    np.testing.assert_allclose(sorted(scales), sorted(expected), rtol=tolerance)

    found = onnx_file.runner(tmp_path / "int8.onnx")(given)
    rounding = (outputs(model, given) - found).abs().mean()
    assert float((outputs(network, given) - found).abs().mean()) < 0.3 * float(rounding)


def test_the_model_stays_as_it_is_and_batches_may_have_any_size():
    model = seeded(residual).train()
    before = outputs(model.eval(), images(3))
    found = simulated(model.train(), images(12))
    assert model.training
    assert torch.equal(outputs(model.eval(), images(3)), before)
    assert [len(outputs(found, images(count))) for count in (1, 2, 7)] == [1, 2, 7]
    assert set(dict(found.named_parameters())) == set(dict(model.named_parameters()))


def test_a_transformer_is_simulated_without_gradients_too():
    """PyTorch's shortcut for evaluation without gradients has no graph."""
    encoder = nn.TransformerEncoderLayer(SIDE, 2, 16, batch_first=True)
    model = seeded(lambda: nn.Sequential(nn.Flatten(1, 2), encoder, nn.Flatten(), nn.Linear(SIDE * SIDE, 3)))
    with torch.no_grad():
        found = simulated(model, images(12))
    assert sum(isinstance(each, Weight) for each in found.modules()) == 5
    assert set(dict(found.named_parameters())) == set(dict(model.named_parameters()))
    level = 2 * float(outputs(model, images(12)).abs().max()) / 255
    assert float((outputs(found, images(7, 1)) - outputs(model, images(7, 1))).abs().mean()) < 3 * level


def test_a_network_that_cannot_be_exported_is_refused():
    model = Model(lambda own, given: own.fc(given.flatten(1) * float(given.sum())), fc=nn.Linear(64, 3))
    with pytest.raises(InputError, match=r"^PyTorch cannot export this network for int8-train \(.*take int8"):
        simulate(model, images(2))


@pytest.mark.parametrize(
    ("layers", "ends", "reason"),
    [
        ([], True, r"finds none: choose another step\.$"),
        ([nn.Linear(64, 8), nn.Linear(8, 3)], False, r"finds none between the first and the last"),
    ],
)
def test_a_network_without_layers_to_simulate_is_refused(layers, ends, reason):
    with pytest.raises(
        InputError, match=r"^int8-train simulates linear layers and convolutions, and " + reason
    ):
        simulate(nn.Sequential(nn.Flatten(), *layers), images(2), ends)
