import pytest
import torch
from torch import nn

from prunet.deployment.memory import forward_peak_bytes, parameter_bytes
from prunet.models.built_in import MODELS
from prunet.models.light_cnn import MaxFeatureMap


def test_parameters_and_buffers_count_with_their_size_in_bytes_a_shared_tensor_once():
    assert parameter_bytes(nn.Linear(4, 8)) == (32 + 8) * 4
    assert parameter_bytes(nn.Linear(4, 8).double()) == (32 + 8) * 8
    assert parameter_bytes(MODELS["light-cnn-9"]((1, 128, 128), 7)) == 4 * 5_482_663
    norm = nn.BatchNorm2d(3)  # weight, bias, mean, variance, and a 64-bit counter
    assert parameter_bytes(norm) == 4 * 3 * 4 + 8
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    assert parameter_bytes(nn.Sequential(first, second)) == (4 + 2 + 2) * 4


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([nn.Linear(4, 8), nn.Linear(8, 2)], 8 + 2),  # both exist when the second is made
        ([nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)], 8 + 8),  # the first is freed before the third is made
        ([nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Linear(8, 2)], 8 + 2),
        ([nn.Unflatten(1, (2, 2)), nn.Flatten()], 0),  # views of the images
        # a view keeps its storage
        ([nn.Linear(4, 8), nn.Unflatten(1, (2, 4)), nn.Flatten(), nn.Linear(8, 2)], 8 + 2),
        ([nn.Linear(4, 8), MaxFeatureMap()], 8 + 4),
        ([nn.Linear(4, 8), nn.Linear(8, 2), nn.Linear(2, 16)], 2 + 16),
    ],
)
def test_the_peak_is_the_sum_of_the_tensors_that_exist_at_one_time(layers, expected):
    model = nn.Sequential(*layers)
    assert forward_peak_bytes(model, torch.zeros(1, 4)) == 4 * expected
    assert forward_peak_bytes(model, torch.zeros(5, 4)) == 5 * 4 * expected


def test_the_peak_of_light_cnn_is_its_first_max_feature_map():
    model = MODELS["light-cnn-9"]((1, 32, 32), 7).eval()
    positions = 32 * 32  # 96 maps and 48 maxima
    assert forward_peak_bytes(model, torch.zeros(1, 1, 32, 32)) == 4 * positions * (96 + 48)


def test_all_results_of_an_operation_count():
    pool = nn.MaxPool2d(2, return_indices=True)
    assert forward_peak_bytes(pool, torch.zeros(1, 1, 4, 4)) == 4 * (4 + 8)  # maxima, and 64-bit indices


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_peak_on_a_gpu_is_at_least_that_of_the_tensors():
    model = MODELS["light-cnn-9"]((1, 32, 32), 7).eval()
    images = torch.zeros(16, 1, 32, 32)
    expected = forward_peak_bytes(model, images)
    found = forward_peak_bytes(model.cuda(), images.cuda())
    assert expected <= found < 100 * expected
