"""Files of a ticket for users without prunet: the code on the card is run where prunet cannot be imported."""

import json
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from prunet.deployment import plain_files
from prunet.models import built_in
from prunet.structure.finding import find_units
from prunet.structure.masks import unit_masks
from prunet.structure.shrinking import apply_masks, shrink
from tests import toys  # noqa: F401 (one thread)

FILE = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.norm = nn.GroupNorm(4, 8)
        self.head = nn.Linear(8, 5)
    def forward(self, images):
        return self.head(self.norm(self.deep(self.stem(images).relu())).mean((2, 3)))
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.block = nn.TransformerEncoderLayer(8, 4, 16, batch_first=True)
        self.head = nn.Linear(8, 5)
    def forward(self, images):
        return self.head(self.block(self.first(images[:, 0])).mean(1))
"""
METADATA = {"study": "toy", "model": "nets.py:Net", "preparation": {"shape": [1, 6, 6], "side": 6}}


@pytest.fixture(params=["Net", "Attention"])
def exported(request, tmp_path, monkeypatch):
    """Return the folder with the files and the card of a network without half of its units."""
    (tmp_path / "nets.py").write_text(FILE)
    names = {}
    exec(compile(FILE, "nets.py", "exec"), names)
    torch.manual_seed(0)
    dense = names[request.param]().eval()
    images = torch.randn(3, 1, 6, 6)
    units = find_units(dense, images)
    masks = unit_masks(units, [np.arange(group.units) % 2 == 1 for group in units.groups])
    masked = names[request.param]().eval()
    masked.load_state_dict(dense.state_dict())
    apply_masks(masked, masks)
    small = shrink(dense, images, masks)
    own = {name: masks[name].numpy() for name in built_in.prunable(dense) if name in masks}
    plain_files.save(tmp_path, dense, small, own, images)
    sizes = {"test_accuracy": 0.5, "bytes": 1000}
    about = METADATA | {"forms": {"dense.onnx": sizes, "shrunk.onnx": sizes}}
    plain_files.write_card(tmp_path, about, dense, small, images)
    torch.save(
        {"images": images, "logits": masked(images).detach(), "dense": dense.state_dict()}, tmp_path / "seen"
    )
    return tmp_path, request.param


def code_of(card):
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", card, re.MULTILINE)
    return [textwrap.dedent(block) for block in blocks]


ALONE = """
import json, sys
sys.modules["prunet"] = None
for code in json.loads(sys.argv[1]):
    exec(code, {})
"""


def run(folder, *codes):
    """Run each code in a namespace of its own, without prunet; return the line that each prints."""
    command = [sys.executable, "-c", ALONE, json.dumps(codes)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


COMPARE = "print(float((logits - expected).abs().max() / expected.abs().max()))\n"
ZEROS = """
zeros = 0
for module in network.modules():
    for name in [name.removesuffix("_mask") for name in module._buffers if name.endswith("_mask")]:
        zeros += int((getattr(module, name) == 0).sum())
print(zeros)
"""


def test_the_code_on_the_card_loads_every_form_without_prunet(exported):
    folder, name = exported
    begin = (
        f"import torch\nfrom nets import {name} as YourClass\nseen = torch.load('seen', weights_only=True)\n"
    )
    images = "images, expected = seen['images'], seen['logits']\n"
    one = "images, expected = seen['images'][:1], seen['logits'][:1]\n"  # the example had three
    program, *own_class, masks = code_of((folder / "card.md").read_text())
    assert len(own_class) == (name == "Net")
    dense = "network = YourClass().eval()\nnetwork.load_state_dict(seen['dense'])\n"
    removed = sum(int((mask == 0).sum()) for mask in load_file(folder / "masks.safetensors").values())
    *differences, zeros = run(
        folder,
        *(begin + chosen + program + COMPARE for chosen in (images, one)),
        *(begin + images + code + "logits = network(images)\n" + COMPARE for code in own_class),
        begin + dense + masks + ZEROS,
    )
    assert len(differences) == 2 + len(own_class)
    assert all(float(difference) < 1e-5 for difference in differences)
    assert int(zeros) == removed > 0
