"""Networks to make smaller, with random or chosen values under masks."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from prunet.models.built_in import prunable
from prunet.models.light_cnn import MaxFeatureMap
from prunet.models.resnets import Shortcut
from prunet.shrinking.shrinking import shrink


class Model(nn.Module):
    """Layers by name, and a function of the model and the images that connects them."""

    def __init__(self, follow, **layers):
        super().__init__()
        self.follow = follow
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, images):
        return self.follow(self, images)


class Net(nn.Module):
    """A network with several kinds of branches, for images (2, H, W)."""

    def __init__(self, norms):
        super().__init__()
        self.stem = nn.Conv2d(2, 6, 3, padding=1)
        self.mfm = MaxFeatureMap()
        self.convs = nn.ModuleList([nn.Conv2d(3, 3, 3, padding=1, bias=not norms) for _ in range(2)])
        self.norms = nn.ModuleList([nn.BatchNorm2d(3) if norms else nn.Dropout() for _ in range(2)])
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = Shortcut(2)
        self.wide = nn.Conv2d(3, 10, 3, 2, padding=1)
        self.last = nn.Conv2d(5, 5, 1)
        self.pool = nn.AdaptiveAvgPool2d((2, 2))
        self.fc = nn.Linear(20, 4)
        self.output = nn.Linear(4, 3)

    def forward(self, images):
        seen = self.mfm(self.stem(images))
        change = self.relu(self.norms[0](self.convs[0](seen)))
        seen = self.relu(self.norms[1](self.convs[1](change)) + seen)
        wide = self.shortcut(seen) + self.mfm(self.wide(seen))
        features = torch.flatten(self.pool(wide + self.last(wide)), 1)
        return self.output(functional.relu(self.fc(features)))


def chain(*layers):
    return nn.Sequential(*layers).double().eval()


def count(model):
    """Count the parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def images(shape, number=3):
    return torch.randn(number, *shape, generator=torch.Generator().manual_seed(0)).double()


def whole(rng, shape):
    return np.ones(shape, bool)


def single_weights(rng, shape, density):
    return rng.random(shape) < density


def rows(rng, shape, density):
    """Keep some rows, drawn independently for every layer."""
    alive = rng.random(shape[:1]) < density
    return alive.reshape(-1, *[1] * (len(shape) - 1)) & np.ones(shape, bool)


def whole_outputs(rng, shape, density):
    """Keep some rows, at least one, the same in both halves for the max-feature-maps."""
    kept = rng.permutation(-(-shape[0] // 2)) < max(1, density * shape[0] // 2)
    return np.tile(kept, 2)[: shape[0]].reshape(-1, *[1] * (len(shape) - 1)) & np.ones(shape, bool)


def prune(model, mask, *density, seed=0, bias=0.1):
    """Mask every prunable tensor by `mask(rng, shape, *density)`; images reach the outputs of the model."""
    rng = np.random.default_rng(seed)
    masks = {name: mask(rng, tuple(model.get_parameter(name).shape), *density) for name in prunable(model)}
    for name, values in model.double().eval().state_dict().items():
        if name in masks:
            scale = (2 / max(1, masks[name].sum() / len(values))) ** 0.5
            values.copy_(torch.from_numpy(scale * rng.standard_normal(values.shape) * masks[name]))
        elif name.endswith(("bias", "running_mean")):
            values.copy_(torch.from_numpy(bias * rng.standard_normal(values.shape)))
        elif name.endswith(("weight", "running_var")):  # of a norm
            values.copy_(torch.from_numpy(rng.uniform(0.5, 1.5, values.shape)))
    return model, masks


@torch.no_grad()
def fill(layer, weight, bias):
    """Set a layer's values and return its mask, which is where they are not zero."""
    layer.weight.copy_(torch.tensor(weight).view_as(layer.weight))
    layer.bias.copy_(torch.tensor(bias))
    return layer.weight.numpy() != 0


@torch.no_grad()
def difference(model, smaller, shape):
    """Return the largest difference and the largest influence of the image, relative to the outputs."""
    given = images(shape)
    outputs, others = model(given), smaller(given)
    assert others.shape == outputs.shape
    size = outputs.abs().max().clamp(min=1e-300)
    return float((others - outputs).abs().max() / size), float(outputs.std(0).max() / size)


@torch.no_grad()
def shrunk(model, masks, shape, tolerance=1e-15):
    """Set pruned weights to zero; return the smaller network, which must have the same outputs."""
    for name, mask in masks.items():
        model.get_parameter(name)[torch.from_numpy(~mask)] = 0
    smaller = shrink(model, masks)
    assert difference(model, smaller, shape)[0] < tolerance
    return smaller
