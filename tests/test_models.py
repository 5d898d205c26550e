import pytest
import torch

from prunet.base.errors import InputError
from prunet.networks.models import MODELS, MaxFeatureMap, initial_weights, light_cnn_9, prunable


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_parameter_counts_are_the_published_ones():
    assert count(MODELS["lenet-300-100"]((1, 28, 28), 10)) == 266_610
    assert count(MODELS["light-cnn-9"]((1, 128, 128), 7)) == 5_482_663


@pytest.mark.parametrize(("name", "shape"), [("lenet-300-100", (1, 8, 8)), ("light-cnn-9", (1, 64, 64))])
def test_models_map_a_batch_to_logits(name, shape):
    model = MODELS[name](shape, 7)
    assert model(torch.zeros(3, *shape)).shape == (3, 7)


def test_the_max_feature_map_pairs_feature_i_with_i_plus_n():
    features = torch.tensor([[1.0, 5.0, 3.0, 2.0]])
    assert MaxFeatureMap()(features).tolist() == [[3.0, 5.0]]


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 64, 48), (1, 60, 60)])
def test_light_cnn_refuses_other_images(shape):
    with pytest.raises(InputError, match="gray images whose side is a multiple of 16"):
        light_cnn_9(shape, 7)


def test_light_cnn_drops_half_of_the_embedding_in_training_only():
    model = light_cnn_9((1, 16, 16), 2)
    images = torch.rand(1, 1, 16, 16)
    torch.manual_seed(0)
    model.train()
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_weight_matrices_are_pruned_and_biases_are_not():
    model = MODELS["lenet-300-100"]((1, 2, 2), 10)
    assert prunable(model) == ["fc1.weight", "fc2.weight", "output.weight"]
    assert len(prunable(light_cnn_9((1, 16, 16), 7))) == 11


def test_initial_weights_are_gaussian_glorot_and_follow_their_seed():
    model = MODELS["lenet-300-100"]((1, 28, 28), 10)
    torch.manual_seed(99)  # the global generator has no say
    first = initial_weights(model, seed=1)
    torch.manual_seed(7)
    again, other = initial_weights(model, seed=1), initial_weights(model, seed=2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    weight = first["fc1.weight"]
    assert not torch.equal(weight, other["fc1.weight"])
    expected = (2 / (784 + 300)) ** 0.5
    assert weight.std().item() == pytest.approx(expected, rel=0.01)
    assert weight.abs().max() > 3.5 * expected  # a uniform distribution ends at 1.73
    assert not first["fc1.bias"].any()
