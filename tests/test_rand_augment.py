"""RandAugment of training batches, drawn from the generators of each network."""

import torch

from prunet.training.pixels import normalise, pixel_values
from prunet.training.plan import TrainingPlan
from prunet.training.rand_augment import distorted
from tests.toy_training import Toy, cut_off, same

MOMENTS = (100.0, 50.0)


def distortions(images, seeds=(0, 1)):
    """Return the pixels of two networks' images (2, B, C, H, W) uint8 after one step, and the labels."""
    batch = torch.stack([normalise(own.float(), *MOMENTS) for own in images]), torch.zeros(2, 1)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    ((step, (found, labels)),) = distorted([(7, batch)], MOMENTS, generators)
    assert step == 7
    assert labels is batch[1]
    return torch.stack([pixel_values(own, *MOMENTS) for own in found])


def test_distortions_are_as_strong_as_torchvisions_and_come_twice():
    """Brightness changes by 27%; by few others a constant gray image would change at all."""
    images = torch.full((2, 200, 1, 9, 9), 128, dtype=torch.uint8)
    centres = distortions(images)[..., 0, 4, 4].flatten().tolist()
    # Of 14 distortions one changes the brightness: of 400 images, about 53 once and 2 twice.
    once, twice = (
        sum(centre in values for centre in centres) for values in ({93, 162}, {67, 68, 118, 205, 206})
    )
    assert 35 < once < 75
    assert 0 < twice < 10
    assert centres.count(128) > 280


def test_a_seed_gives_the_same_bits_beside_any_network_and_leaves_the_global_generator():
    images = torch.randint(0, 256, (2, 20, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator())
    state = torch.get_rng_state()
    first, again = distortions(images, (0, 1)), distortions(images, (0, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[1], again[1])
    alike = distortions(images[:, :1].expand(-1, 20, -1, -1, -1))[0]
    assert len({tuple(image.flatten().tolist()) for image in alike}) > 9


def test_a_distorted_training_that_was_killed_ends_with_the_same_bits_and_rewinds(tmp_path):
    run = Toy(tmp_path, 2, 16, 14, augment="rand-augment", mixup=0.2, optimizer="sgd", momentum=0.0, steps=10)
    run.masks = {name: torch.ones_like(mask) for name, mask in run.masks.items()}
    run.plan = TrainingPlan(keep=4, moments=MOMENTS)
    whole = run.finish()
    assert same(cut_off(run, 6), whole)
    run.start = {name: torch.from_numpy(values) for name, values in whole.kept.items()}
    run.plan = TrainingPlan(first=4, moments=MOMENTS)
    again = run.finish()
    assert all((whole.weights[name] == again.weights[name]).all() for name in whole.weights)
