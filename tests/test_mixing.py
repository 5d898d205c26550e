"""Mixup and CutMix of training batches, drawn from the generators of each network."""

import pytest
import torch
from torch.nn import functional

from prunet.training.augmentation import drawing_from
from prunet.training.mixing import mixed
from prunet.training.plan import TrainingPlan
from tests.toy_training import Toy, cut_off, same

BOTH = {"mixup": 0.2, "cutmix": 1.0}


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def mixtures(steps, seeds=(0, 1), **settings):
    """Return the mixed batches of so many steps: 4 images for each network, filled with their label."""
    labels = torch.tensor([[0, 1, 2, 3], [3, 2, 1, 0]])
    images = labels.float().view(2, 4, 1, 1, 1).expand(2, 4, 1, 8, 8)
    given = [(step, (images, labels)) for step in range(steps)]
    return list(mixed(given, 4, {"mixup": 0.0, "cutmix": 0.0} | settings, generators(*seeds)))


@pytest.mark.parametrize("settings", [{"mixup": 1.0}, {"cutmix": 1.0}, BOTH])
def test_a_label_takes_the_shares_that_its_image_has(settings):
    kinds = set()
    for _, (images, labels) in mixtures(40, **settings):
        assert labels.shape == (2, 4, 4)
        torch.testing.assert_close(labels.sum(2), torch.ones(2, 4))
        # Images are filled with their label, so that their mean is that of the labels.
        torch.testing.assert_close(images.mean((2, 3, 4)), labels @ torch.arange(4.0))
        kinds |= {"blended" if (part != part.round()).any() else "pasted" for part in images.flatten(0, 1)}
    assert ("blended" in kinds) == ("mixup" in settings)
    assert ("pasted" in kinds) == ("cutmix" in settings)


def test_images_are_mixed_with_those_before_them_by_a_share_of_each_network():
    ((_, (_, labels)),) = mixtures(1, mixup=1.0)
    shares = []
    for own, kept in zip(labels, ([0, 1, 2, 3], [3, 2, 1, 0]), strict=True):
        whole = functional.one_hot(torch.tensor(kept), 4).float()
        share = own[0, kept[0]]
        torch.testing.assert_close(own, share * whole + (1 - share) * whole.roll(1, 0))
        shares.append(float(share))
    assert shares[0] != shares[1]


def test_a_seed_gives_the_same_mixtures_beside_any_network_and_leaves_the_global_generator():
    state = torch.get_rng_state()
    first, again = mixtures(5, (0, 1), **BOTH), mixtures(5, (0, 2), **BOTH)
    assert torch.equal(torch.get_rng_state(), state)
    for (_, one), (_, other) in zip(first, again, strict=True):
        assert all(torch.equal(part[0], same_part[0]) for part, same_part in zip(one, other, strict=True))
        assert not torch.equal(one[0][1], other[0][1])


def test_draws_follow_a_generator_that_advances():
    found = []
    for generator in generators(3, 3, 4):
        for _ in range(2):
            with drawing_from(generator):
                found.append(float(torch.rand(())))
    assert found[:2] == found[2:4]
    assert len(set(found)) == 4


def test_a_mixed_training_that_was_killed_ends_with_the_same_bits_and_rewinds(tmp_path):
    run = Toy(tmp_path, 2, 9, 8, augment="crop-flip", optimizer="sgd", momentum=0.0, **BOTH)
    run.masks = {name: torch.ones_like(mask) for name, mask in run.masks.items()}
    run.plan = TrainingPlan(keep=7)
    whole, plain = run.finish(), Toy(tmp_path, 2, 9, 8, augment="crop-flip").finish()
    assert not same(whole, plain)
    assert same(cut_off(run, 13), whole)
    run.start = {name: torch.from_numpy(values) for name, values in whole.kept.items()}
    run.plan = TrainingPlan(first=7)
    again = run.finish()
    assert all((whole.weights[name] == again.weights[name]).all() for name in whole.weights)
