"""Dense networks teach pruned ones."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from prunet.base.errors import InputError
from prunet.models.built_in import MODELS
from prunet.training import distillation
from prunet.training.batches import training_batches
from prunet.training.gradients import differentiated, fully_connected, network
from tests import toys
from tests.toy_cells import maker, train
from tests.toy_training import Toy, drawn

SHARE, TEMPERATURE = 0.7, 3.0
DISTILL = {"share": SHARE, "temperature": TEMPERATURE}


@pytest.mark.parametrize(("make", "count"), [(fully_connected, 3), (differentiated, 1)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_gradients_are_those_of_the_papers_loss(make, count, smoothing):
    model = MODELS["lenet-300-100"]((1, 6, 6), 3)
    stack, generator = drawn(model, count), torch.Generator().manual_seed(1)
    images = torch.rand((count, 8, 1, 6, 6), generator=generator)
    labels = torch.arange(count * 8).view(count, 8) % 3
    taught = 5 * torch.randn((count, 8, 3), generator=generator)
    functions = make(model, toys.SETTINGS | {"label_smoothing": smoothing, "distill": DISTILL})
    output = {name: torch.full_like(stack[name], torch.nan) for name in functions.parameters}
    functions.gradients(stack, images, labels, output, taught)
    for number in range(count):
        model.load_state_dict({name: tensor[number] for name, tensor in stack.items()})
        logits = model(images[number])
        hard = functional.cross_entropy(logits, labels[number], label_smoothing=smoothing)
        teacher, student = (torch.softmax(values / TEMPERATURE, 1) for values in (taught[number], logits))
        divergence = (teacher * (teacher.log() - student.log())).sum(1).mean()
        loss = (1 - SHARE) * hard + SHARE * TEMPERATURE**2 * divergence
        for name, expected in zip(output, torch.autograd.grad(loss, list(model.parameters())), strict=True):
            torch.testing.assert_close(output[name][number], expected, rtol=1e-4, atol=1e-6)


def test_known_logits_are_those_of_the_images_of_each_step(tmp_path):
    toy = Toy(tmp_path, count=2)
    given = toy.splits["train"], toy.size, toy.settings, toy.runs
    teach = distillation.logits(distillation.Teachers(toy.network, toy.start), *given, 3)
    steps = list(training_batches(*given, [torch.Generator() for _ in toy.runs], 3))
    assert len(steps) > 10
    for _, (images, _) in steps:
        found = teach(images)
        for number in range(2):
            one = {name: values[number : number + 1] for name, values in toy.start.items()}
            torch.testing.assert_close(found[number], toy.network.logits(one, images[number])[0])


def test_changed_images_are_shown_to_the_teachers(tmp_path):
    toy = Toy(tmp_path, count=2, augment="pad-crop-flip")
    given = toy.splits["train"], toy.size, toy.settings, toy.runs
    images = torch.rand((2, 4, 1, 6, 6))
    found = distillation.logits(distillation.Teachers(toy.network, toy.start), *given, 0)(images)
    for number in range(2):
        one = {name: values[number : number + 1] for name, values in toy.start.items()}
        torch.testing.assert_close(found[number], toy.network.logits(one, images[number])[0])


def test_with_the_whole_share_a_network_learns_the_teachers_answers_and_not_the_labels(tmp_path):
    """The teacher was trained with other labels."""
    settings = {"steps": 300, "eval_every": 300, "lr": 0.003, "weight_decay": 0.0}
    toy = Toy(tmp_path, **settings)
    images, labels = toy.splits["train"]
    others = (labels + 1) % 3
    toy.splits["train"] = images, others
    teacher = {name: torch.from_numpy(values) for name, values in toy.finish().weights.items()}
    answers = network(toy.model, toy.settings).logits(teacher, images)[0].argmax(1)
    assert (answers == others).float().mean() > 0.9

    student = Toy(tmp_path, **settings, distill={"share": 1.0, "temperature": 2.0})
    student.teachers = teacher
    learned = {name: torch.from_numpy(values) for name, values in student.finish().weights.items()}
    found = student.network.logits(learned, images)[0].argmax(1)
    assert (found == answers).float().mean() > 0.9


def test_a_share_of_zero_is_training_without_teachers(tmp_path):
    plain, taught = Toy(tmp_path), Toy(tmp_path, distill={"share": 0.0, "temperature": 4.0})
    taught.teachers = taught.start
    for one, other in zip(plain.finish().weights.values(), taught.finish().weights.values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_teachers_of_other_classes_are_refused(tmp_path):
    trainer = maker(tmp_path)(distill=DISTILL)
    teachers = trainer.initial_weights("init")
    teachers["output.weight"] = teachers["output.weight"][:, :2]
    with pytest.raises(InputError, match="belong to another model, input size or number of replicates; run"):
        train(trainer, teachers=teachers)
