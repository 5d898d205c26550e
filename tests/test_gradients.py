import copy
from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn import functional

from prunet.models.built_in import MODELS, initial_weights
from prunet.models.resnets import Block
from prunet.training import evaluation
from prunet.training.gradients import differentiated, fully_connected, network
from prunet.training.optimizers import OPTIMIZERS
from prunet.training.vectors import packed
from tests import toys


def lenet(count):
    model = MODELS["lenet-300-100"]((1, 6, 6), 3)
    drawn = [initial_weights(model, seed, "glorot") for seed in range(count)]
    stack = {name: torch.stack([weights[name] for weights in drawn]) for name in drawn[0]}
    generator = torch.Generator().manual_seed(1)
    for tensor in stack.values():
        tensor.add_(torch.rand(tensor.shape, generator=generator) * 0.1)  # biases that are not zero
    images = torch.rand((count, 8, 1, 6, 6), generator=generator)
    return model, stack, images, torch.arange(count * 8).view(count, 8) % 3


def gradients(way, stack, images, labels):
    """The gradients in the order of the network, from tensors that held something else before."""
    output = {name: torch.full_like(stack[name], torch.nan) for name in way.parameters}
    way.gradients(stack, images, labels, output)
    return list(output.values())


def part(stack, number):
    return {name: tensor[number : number + 1] for name, tensor in stack.items()}


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_gradients_by_hand_are_those_of_pytorch(smoothing):
    model, stack, images, labels = lenet(3)
    by_hand = fully_connected(model, toys.SETTINGS | {"label_smoothing": smoothing})
    together = gradients(by_hand, stack, images, labels)
    for number in range(3):
        model.load_state_dict({name: tensor[number] for name, tensor in stack.items()})
        loss = functional.cross_entropy(model(images[number]), labels[number], label_smoothing=smoothing)
        expected = torch.autograd.grad(loss, [model.get_parameter(name) for name in by_hand.parameters])
        for ours, theirs in zip(together, expected, strict=True):
            torch.testing.assert_close(ours[number], theirs, rtol=1e-4, atol=1e-7)
            assert theirs.abs().max() > 1e-3


def test_a_network_in_a_stack_has_the_bits_that_it_has_alone():
    model, stack, images, labels = lenet(5)
    by_hand = fully_connected(model, toys.SETTINGS)
    together = gradients(by_hand, stack, images, labels)
    logits = by_hand.logits(stack, images[0])
    for number in range(5):
        single = slice(number, number + 1)
        alone = gradients(by_hand, part(stack, number), images[single], labels[single])
        for ours, theirs in zip(together, alone, strict=True):
            assert torch.equal(ours[single], theirs)
        assert torch.equal(logits[single], by_hand.logits(part(stack, number), images[0]))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_both_ways_agree(smoothing):
    model, stack, images, labels = lenet(1)
    settings = toys.SETTINGS | {"label_smoothing": smoothing}
    ways = [fully_connected(model, settings), differentiated(model, settings)]
    assert ways[0].parameters == ways[1].parameters
    torch.testing.assert_close(*(way.logits(stack, images[0]) for way in ways))
    for ours, theirs in zip(*(gradients(way, stack, images, labels) for way in ways), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "dtype", "stackable"),
    [
        ("lenet-300-100", "float32", True),
        ("mlp-1000-1000-500-200", "float32", True),
        ("lenet-300-100", "bfloat16", False),
        ("lenet-5", "float32", False),
        ("light-cnn-9", "float32", False),
    ],
)
def test_by_hand_only_where_it_is_the_same_arithmetic(name, dtype, stackable):
    model = MODELS[name]((1, 16, 16), 3)
    assert network(model, toys.SETTINGS | {"dtype": dtype}).stackable == stackable


def test_dropout_is_for_training_alone():
    model = MODELS["light-cnn-9"]((1, 16, 16), 3)
    stack = {name: tensor.unsqueeze(0) for name, tensor in initial_weights(model, 0, "glorot").items()}
    way = differentiated(model, toys.SETTINGS)
    images, labels = torch.rand(1, 4, 1, 16, 16), torch.zeros(1, 4, dtype=torch.long)
    assert torch.equal(way.logits(stack, images[0]), way.logits(stack, images[0]))
    first, second = (gradients(way, stack, images, labels)[-1] for _ in "ab")
    assert not torch.equal(first, second)


@pytest.mark.parametrize("way", [fully_connected, differentiated])
def test_a_smoothed_label_goes_in_part_to_all_classes_alike(way):
    model = nn.Sequential(OrderedDict(flatten=nn.Flatten(), output=nn.Linear(1, 4)))
    stack = {"output.weight": torch.zeros(1, 4, 1), "output.bias": torch.zeros(1, 4)}
    images, labels = torch.full((1, 1, 1, 1, 1), 2.0), torch.tensor([[1]])
    settings = toys.SETTINGS | {"label_smoothing": 0.2}
    weight, bias = gradients(way(model, settings), stack, images, labels)
    # Every class has probability 1/4; the label is 0.85 for class 1 and 0.05 for the others.
    torch.testing.assert_close(bias, torch.tensor([[0.2, -0.6, 0.2, 0.2]]))
    torch.testing.assert_close(weight, torch.tensor([[[0.4], [-1.2], [0.4], [0.4]]]))


@pytest.mark.parametrize("way", [fully_connected, differentiated])
def test_labels_are_smoothed_in_training_alone(way):
    model, stack, images, labels = lenet(1)
    plain, smoothed = (way(model, toys.SETTINGS | {"label_smoothing": share}) for share in (0.0, 0.5))
    split = (images[0], labels[0])
    assert evaluation.evaluate(plain, stack, split, 6) == evaluation.evaluate(smoothed, stack, split, 6)
    first, second = (gradients(network, stack, images, labels)[0] for network in (plain, smoothed))
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_network_with_norms_trains_as_in_pytorch_with_its_running_statistics(channels_last):
    model = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 4, 3, bias=False),
            norm1=nn.BatchNorm2d(4),
            relu1=nn.ReLU(),
            block=Block(4, 8),
            pool=nn.AdaptiveAvgPool2d((1, 1)),
            flatten=nn.Flatten(),
            output=nn.Linear(8, 3),
        )
    ).double()  # so that rounding hides nothing
    settings = toys.SETTINGS | {
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 1e-3,
        "label_smoothing": 0.1,
    }
    stack = {name: tensor.unsqueeze(0) for name, tensor in initial_weights(model, 1, "he").items()}
    reference = copy.deepcopy(model)
    reference.load_state_dict({name: tensor[0] for name, tensor in stack.items()})
    theirs = torch.optim.SGD(reference.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3)

    way = network(model, settings)
    vector, trained = packed({name: stack[name] for name in way.parameters}, channels_last)
    gradient, parts = packed(trained, channels_last)
    stack |= trained
    ours, _ = OPTIMIZERS["sgd"]([vector], settings)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        images = 3 + torch.rand(8, 1, 7, 7, generator=generator, dtype=torch.float64)
        labels = torch.randint(3, (8,), generator=generator)
        way.gradients(stack, images.unsqueeze(0), labels.unsqueeze(0), parts)
        ours([gradient], 0.1)
        theirs.zero_grad()
        functional.cross_entropy(reference(images), labels, label_smoothing=0.1).backward()
        theirs.step()

    for name, tensor in reference.state_dict().items():
        torch.testing.assert_close(stack[name][0], tensor)
    assert stack["block.norm2.num_batches_tracked"].tolist() == [5]
    before = {name: tensor.clone() for name, tensor in stack.items()}
    logits = way.logits(stack, images)[0]
    torch.testing.assert_close(logits, reference.eval()(images))
    assert not torch.allclose(logits, reference.train()(images), atol=1e-2)  # the batch's own statistics
    assert all(torch.equal(before[name], stack[name]) for name in stack)  # evaluation moves nothing
