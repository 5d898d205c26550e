import copy
from collections import OrderedDict
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from prunet.models.built_in import MODELS, initial_weights
from prunet.models.resnets import BasicBlock
from prunet.training import evaluation
from prunet.training.gradients import differentiated, fully_connected, network
from prunet.training.optimizers import OPTIMIZERS
from prunet.training.vectors import pack
from tests import toys
from tests.toy_training import drawn

SIDE, CLASSES = 6, 3


def lenet(count):
    model = MODELS["lenet-300-100"]((1, SIDE, SIDE), CLASSES)
    stack = drawn(model, count)
    generator = torch.Generator().manual_seed(1)
    for tensor in stack.values():
        tensor.add_(torch.rand(tensor.shape, generator=generator) * 0.1)  # biases that are not zero
    images = torch.rand((count, 8, 1, SIDE, SIDE), generator=generator)
    return model, stack, images, torch.arange(count * 8).view(count, 8) % CLASSES


def gradients(functions, stack, images, labels):
    """Return the gradients in the network's order, written over other values."""
    output = {name: torch.full_like(stack[name], torch.nan) for name in functions.parameters}
    functions.gradients(stack, images, labels, output)
    return list(output.values())


def one(stack, number):
    return {name: tensor[number : number + 1] for name, tensor in stack.items()}


@pytest.mark.parametrize(("make", "count"), [(fully_connected, 3), (differentiated, 1)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_logits_and_gradients_are_those_of_the_model(make, count, smoothing):
    model, stack, images, labels = lenet(count)
    functions = make(model, toys.SETTINGS | {"label_smoothing": smoothing})
    together, logits = gradients(functions, stack, images, labels), functions.logits(stack, images[0])
    for number in range(count):
        model.load_state_dict({name: tensor[number] for name, tensor in stack.items()})
        torch.testing.assert_close(logits[number], model(images[0]))
        loss = functional.cross_entropy(model(images[number]), labels[number], label_smoothing=smoothing)
        expected = torch.autograd.grad(loss, list(model.parameters()))
        for ours, theirs in zip(together, expected, strict=True):
            torch.testing.assert_close(ours[number], theirs, rtol=1e-4, atol=1e-7)
            assert theirs.abs().max() > 1e-3


@pytest.mark.parametrize(("make", "count"), [(fully_connected, 3), (differentiated, 1)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_labels_may_be_probabilities(make, count, smoothing):
    """The loss is linear in the label: so is the gradient."""
    model, stack, images, labels = lenet(count)
    functions, others = make(model, toys.SETTINGS | {"label_smoothing": smoothing}), (labels + 1) % CLASSES
    shares = 0.3 * functional.one_hot(labels, CLASSES) + 0.7 * functional.one_hot(others, CLASSES)
    first, second = (gradients(functions, stack, images, whole) for whole in (labels, others))
    for mixture, one, other in zip(gradients(functions, stack, images, shares), first, second, strict=True):
        torch.testing.assert_close(mixture, 0.3 * one + 0.7 * other, rtol=1e-4, atol=1e-7)
        assert (one - other).abs().max() > 1e-3


def test_a_network_has_the_same_bits_in_a_stack_and_alone():
    model, stack, images, labels = lenet(5)
    by_hand = fully_connected(model, toys.SETTINGS)
    together = gradients(by_hand, stack, images, labels)
    logits = by_hand.logits(stack, images[0])
    for number in range(5):
        single = slice(number, number + 1)
        alone = gradients(by_hand, one(stack, number), images[single], labels[single])
        for ours, theirs in zip(together, alone, strict=True):
            assert torch.equal(ours[single], theirs)
        assert torch.equal(logits[single], by_hand.logits(one(stack, number), images[0]))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["lenet-300-100", "mlp-1000-1000-500-200", "lenet-5", "light-cnn-9"])
def test_built_in_fully_connected_networks_are_differentiated_by_hand_in_float32(name, dtype):
    with torch.device("meta"):
        model = MODELS[name]((1, 16, 16), CLASSES)
    connected = name in ("lenet-300-100", "mlp-1000-1000-500-200")
    assert network(model, toys.SETTINGS | {"dtype": dtype}).stackable == (connected and dtype == "float32")


class Doubled(nn.Sequential):
    def forward(self, images):
        return 2 * super().forward(images)


class Tanh(nn.Module):
    """The layers of a fully connected network, with another function between them."""

    def __init__(self):
        super().__init__()
        self.flatten, self.fc, self.output = nn.Flatten(), nn.Linear(36, 8), nn.Linear(8, CLASSES)

    def forward(self, images):
        return self.output(self.fc(self.flatten(images)).tanh())


class Scaled(nn.Linear):
    def forward(self, values):
        return 2 * super().forward(values)


class LeakyReLU(nn.ReLU):
    def forward(self, values):
        return functional.leaky_relu(values, 0.5)


def flat(*layers):
    return nn.Sequential(nn.Flatten(), *layers)


def twice(first, second):
    return flat(first, nn.ReLU(), second, nn.ReLU(), nn.Linear(36, CLASSES))


def tied():
    first, second = nn.Linear(36, 36), nn.Linear(36, 36)
    second.weight = first.weight
    return twice(first, second)


OTHERS = {
    "tanh between the layers": Tanh,
    "a subclass with its own forward": lambda: Doubled(nn.Flatten(), nn.Linear(36, CLASSES)),
    "a layer with its own forward": lambda: flat(Scaled(36, CLASSES)),
    "an activation with its own forward": lambda: flat(nn.Linear(36, 8), LeakyReLU(), nn.Linear(8, CLASSES)),
    "two ReLUs": lambda: flat(nn.Linear(36, 8), nn.ReLU(), nn.ReLU(), nn.Linear(8, CLASSES)),
    "a ReLU before the first layer": lambda: flat(nn.ReLU(), nn.Linear(36, CLASSES)),
    "a ReLU after the output": lambda: flat(nn.Linear(36, CLASSES), nn.ReLU()),
    "a missing ReLU": lambda: flat(nn.Linear(36, 8), nn.Linear(8, CLASSES)),
    "no bias": lambda: flat(nn.Linear(36, 8, bias=False), nn.ReLU(), nn.Linear(8, CLASSES)),
    "layers before flattening": lambda: nn.Sequential(
        nn.Linear(6, 4), nn.ReLU(), nn.Flatten(), nn.Linear(24, CLASSES)
    ),
    "another way to flatten": lambda: nn.Sequential(
        nn.Flatten(2), nn.Linear(36, 8), nn.ReLU(), nn.Flatten(), nn.Linear(8, CLASSES)
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_networks_are_differentiated_by_autograd(kind):
    torch.manual_seed(0)
    model = OTHERS[kind]()
    functions = network(model, toys.SETTINGS)
    assert not functions.stackable
    images, labels = torch.randn(8, 1, SIDE, SIDE), torch.arange(8) % CLASSES
    stack = {name: tensor.detach().clone().unsqueeze(0) for name, tensor in model.state_dict().items()}
    torch.testing.assert_close(functions.logits(stack, images)[0], model(images))
    found = gradients(functions, stack, images.unsqueeze(0), labels.unsqueeze(0))
    loss = functional.cross_entropy(model(images), labels)
    expected = torch.autograd.grad(loss, list(model.parameters()))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours[0], theirs)


@pytest.mark.parametrize("make", [tied, lambda: twice(*[nn.Linear(36, 36)] * 2), nn.Sequential, flat])
def test_networks_with_shared_weights_or_no_layers_are_not_differentiated_by_hand(make):
    assert not network(make(), toys.SETTINGS).stackable


def test_dropout_is_active_in_training_only():
    model = MODELS["light-cnn-9"]((1, 16, 16), CLASSES)
    stack = drawn(model, 1)
    functions = differentiated(model, toys.SETTINGS)
    images, labels = torch.rand(1, 4, 1, 16, 16), torch.zeros(1, 4, dtype=torch.long)
    assert torch.equal(functions.logits(stack, images[0]), functions.logits(stack, images[0]))
    first, second = (gradients(functions, stack, images, labels)[-1] for _ in "ab")
    assert not torch.equal(first, second)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("limit", [2, 5, 500])
def test_evaluation_returns_the_mean_cross_entropy_and_accuracy(count, limit, monkeypatch):
    monkeypatch.setattr(evaluation, "MAX_IMAGES", limit)
    model, stack, _, _ = lenet(count)
    generator = torch.Generator().manual_seed(2)
    images, labels = torch.randn(23, 1, SIDE, SIDE, generator=generator), torch.arange(23) % CLASSES
    functions = fully_connected(model, toys.SETTINGS)
    losses, accuracies = evaluation.evaluate(functions, stack, (images, labels), SIDE)
    for number in range(count):
        model.load_state_dict({name: tensor[number] for name, tensor in stack.items()})
        logits = model.double()(images.double())
        assert losses[number] == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-6)
        assert accuracies[number] == (logits.argmax(1) == labels).double().mean().item()
        model.float()


def test_evaluation_uses_the_centre_and_bounded_batches(monkeypatch):
    monkeypatch.setattr(evaluation, "MAX_PIXELS", 3 * 8 * 8)
    model, stack, _, _ = lenet(1)
    functions, sizes = fully_connected(model, toys.SETTINGS), []

    def logits(stack, images):
        sizes.append(len(images))
        return functions.logits(stack, images)

    images, labels = torch.randn(8, 1, 8, 8), torch.arange(8) % CLASSES
    found = evaluation.evaluate(functions._replace(logits=logits), stack, (images, labels), SIDE)
    assert sizes == [3, 3, 2]
    losses, accuracies = evaluation.evaluate(functions, stack, (images[..., 1:7, 1:7], labels), SIDE)
    assert found == (pytest.approx(losses), accuracies)
    monkeypatch.setattr(evaluation, "MAX_PIXELS", 1)
    evaluation.evaluate(functions._replace(logits=logits), stack, (images[:1], labels[:1]), SIDE)
    assert sizes[3:] == [1]


def test_running_statistics_are_measured_anew_as_means_over_batches_without_dropout():
    model = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(18, CLASSES))
    stack = {name: tensor.detach().clone().unsqueeze(0) for name, tensor in model.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    batches = [scale * torch.randn(4, 2, 3, 3, generator=generator) for scale in (1, 2, 3)]
    functions = network(model, toys.SETTINGS)
    labels = torch.zeros(1, 4, dtype=torch.long)
    gradients(functions, stack, 9 + batches[0].unsqueeze(0), labels)
    stale, state = stack["1.running_mean"].clone(), torch.get_rng_state()
    functions.recalibrate(stack, batches)
    moments = [torch.var_mean(images, (0, 2, 3)) for images in batches]
    torch.testing.assert_close(stack["1.running_var"][0], sum(var for var, _ in moments) / 3)
    torch.testing.assert_close(stack["1.running_mean"][0], sum(mean for _, mean in moments) / 3)
    assert (stack["1.running_mean"] - stale).abs().min() > 0.1
    assert torch.equal(torch.get_rng_state(), state)
    before = stack["1.running_mean"].clone()
    gradients(functions, stack, 9 + batches[0].unsqueeze(0), labels)
    # Training goes on with the norm's momentum of 0.1: means move by a tenth of the way, to about 9.
    moved = (stack["1.running_mean"] - before).abs()
    assert 0.5 < moved.min() <= moved.max() < 1.5


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_network_with_norms_trains_as_in_pytorch_with_its_running_statistics(channels_last):
    model = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 4, 3, bias=False),
            norm1=nn.BatchNorm2d(4),
            relu1=nn.ReLU(),
            block=BasicBlock(4, 8),
            pool=nn.AdaptiveAvgPool2d((1, 1)),
            flatten=nn.Flatten(),
            output=nn.Linear(8, 3),
        )
    ).double()  # so that rounding hides nothing
    settings = toys.SETTINGS | {"nesterov": True, "weight_decay": 1e-3, "label_smoothing": 0.1}
    stack = {
        name: tensor.unsqueeze(0)
        for name, tensor in initial_weights(partial(copy.deepcopy, model), 1, "he").items()
    }
    reference = copy.deepcopy(model)
    reference.load_state_dict({name: tensor[0] for name, tensor in stack.items()})
    theirs, _ = OPTIMIZERS["sgd"](list(reference.parameters()), settings)

    functions = network(model, settings)
    vector, trained = pack({name: stack[name] for name in functions.parameters}, channels_last)
    gradient, parts = pack(trained, channels_last)
    stack |= trained
    ours, _ = OPTIMIZERS["sgd"]([vector], settings)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        images = 3 + torch.rand(8, 1, 7, 7, generator=generator, dtype=torch.float64)
        labels = torch.randint(3, (8,), generator=generator)
        functions.gradients(stack, images.unsqueeze(0), labels.unsqueeze(0), parts)
        ours([gradient], 0.1)
        loss = functional.cross_entropy(reference(images), labels, label_smoothing=0.1)
        with torch.no_grad():
            theirs(list(torch.autograd.grad(loss, list(reference.parameters()))), 0.1)

    for name, tensor in reference.state_dict().items():
        torch.testing.assert_close(stack[name][0], tensor)
    assert stack["block.norm2.num_batches_tracked"].tolist() == [5]
    before = {name: tensor.clone() for name, tensor in stack.items()}
    logits = functions.logits(stack, images)[0]
    torch.testing.assert_close(logits, reference.eval()(images))
    by_batch = reference.train()(images)  # with the statistics of the batch
    assert not torch.allclose(logits, by_batch, atol=1e-2)
    assert all(torch.equal(before[name], stack[name]) for name in stack)  # evaluation changes nothing
