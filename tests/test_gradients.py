import pytest
import torch
from torch.nn import functional

from prunet.networks.gradients import differentiated, fully_connected, network
from prunet.networks.models import MODELS, initial_weights
from tests import toys


def lenet(count):
    model = MODELS["lenet-300-100"]((1, 6, 6), 3)
    drawn = [initial_weights(model, seed) for seed in range(count)]
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


def test_gradients_by_hand_are_those_of_pytorch():
    model, stack, images, labels = lenet(3)
    by_hand = fully_connected(model)
    together = gradients(by_hand, stack, images, labels)
    for number in range(3):
        model.load_state_dict({name: tensor[number] for name, tensor in stack.items()})
        loss = functional.cross_entropy(model(images[number]), labels[number])
        expected = torch.autograd.grad(loss, [model.get_parameter(name) for name in by_hand.parameters])
        for ours, theirs in zip(together, expected, strict=True):
            torch.testing.assert_close(ours[number], theirs, rtol=1e-4, atol=1e-7)
            assert theirs.abs().max() > 1e-3


def test_a_network_in_a_stack_has_the_bits_that_it_has_alone():
    model, stack, images, labels = lenet(5)
    by_hand = fully_connected(model)
    together = gradients(by_hand, stack, images, labels)
    logits = by_hand.logits(stack, images[0])
    for number in range(5):
        single = slice(number, number + 1)
        alone = gradients(by_hand, part(stack, number), images[single], labels[single])
        for ours, theirs in zip(together, alone, strict=True):
            assert torch.equal(ours[single], theirs)
        assert torch.equal(logits[single], by_hand.logits(part(stack, number), images[0]))


def test_both_ways_agree():
    model, stack, images, labels = lenet(1)
    ways = [fully_connected(model), differentiated(model, toys.SETTINGS)]
    assert ways[0].parameters == ways[1].parameters
    torch.testing.assert_close(*(way.logits(stack, images[0]) for way in ways))
    for ours, theirs in zip(*(gradients(way, stack, images, labels) for way in ways), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "dtype", "stackable"),
    [
        ("lenet-300-100", "float32", True),
        ("lenet-300-100", "bfloat16", False),
        ("light-cnn-9", "float32", False),
    ],
)
def test_by_hand_only_where_it_is_the_same_arithmetic(name, dtype, stackable):
    model = MODELS[name]((1, 16, 16), 3)
    assert network(model, toys.SETTINGS | {"dtype": dtype}).stackable == stackable


def test_dropout_is_for_training_alone():
    model = MODELS["light-cnn-9"]((1, 16, 16), 3)
    stack = {name: tensor.unsqueeze(0) for name, tensor in initial_weights(model, 0).items()}
    way = differentiated(model, toys.SETTINGS)
    images, labels = torch.rand(1, 4, 1, 16, 16), torch.zeros(1, 4, dtype=torch.long)
    assert torch.equal(way.logits(stack, images[0]), way.logits(stack, images[0]))
    first, second = (gradients(way, stack, images, labels)[-1] for _ in "ab")
    assert not torch.equal(first, second)
