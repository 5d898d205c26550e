"""Files of a ticket that PyTorch reads without prunet, and the card that says how."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.export import Dim

from prunet.base.files import write_json
from prunet.deployment import latency
from prunet.deployment.operations import operations
from prunet.models.state import state
from prunet.structure.program import write_program

BATCHES = (1, 16)  # images whose time the card gives
CARD = """# {study}: {model}, smaller

| | {forms[0]} | {forms[1]} |
|---|--:|--:|
{rows}

Accuracy is that of the test split. Times are medians in milliseconds on one thread of the machine that
exported; the two networks took turns. The smaller network has the outputs of the masked one, `masked.onnx`.

## The smaller network

    import torch
    network = torch.export.load("shrunk.pt2").module()
    logits = network(images)

`images` is (N, {shape}) float32, prepared as `preparation` in about.json says: resize to {side} pixels a
side, {scaling}, and crop the centre.
ONNX Runtime reads `shrunk.onnx`, which holds these values too.
{own_class}
## The masks

    from safetensors.torch import load_file
    from torch.nn.utils import prune
    for name, mask in load_file("masks.safetensors").items():
        module, _, tensor = name.rpartition(".")
        prune.custom_from_mask(network.get_submodule(module), tensor, mask)

`network` is the dense network of the original class.
"""
STANDARDISED = "subtract the mean, divide by the standard deviation"
UNIT_NORM = "divide every image by its L2 norm over all channels (by 1 if that is 0)"
OWN_CLASS = """
The smaller network has the original class, with smaller tensors, and can be trained further:

{code}
    network = rebuild(YourClass(), ".")
"""
REBUILD = '''    import json
    from safetensors.torch import load_file
    from torch import nn

    def rebuild(network, folder):
        """Give a network of the original class the smaller tensors in a folder."""
        for name, tensor in load_file(f"{folder}/shrunk.safetensors").items():
            module, _, tensor_name = name.rpartition(".")
            owner = network.get_submodule(module)
            if tensor_name in owner._parameters:
                setattr(owner, tensor_name, nn.Parameter(tensor))
            else:
                setattr(owner, tensor_name, tensor)
        for name, numbers in json.load(open(f"{folder}/widths.json")).items():
            for attribute, number in numbers.items():
                setattr(network.get_submodule(name), attribute, number)
        return network.eval()
'''


def save(
    folder: Path, dense: nn.Module, small: nn.Module, masks: dict[str, NDArray[np.bool_]], images: Tensor
) -> None:
    """Write the smaller network as a program, and the masks; where it is of its own class, its tensors too.

    Files: `shrunk.pt2` for `torch.export.load`; `masks.safetensors`, true for each surviving weight, for
    `torch.nn.utils.prune.custom_from_mask`; and, if the smaller network is of the same class as the dense
    one, `shrunk.safetensors` with its tensors and `widths.json` with the numbers of features of its modules.

    Args:
        folder: exists.
        dense: the unpruned network.
        small: the smaller one.
        masks: (*shape) by weight name.
        images: (N, C, H, W), an example of their inputs.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            write_program(small, images[:2]), (images[:2],), dynamic_shapes=({0: Dim.AUTO},), strict=False
        )
    torch.export.save(program, folder / "shrunk.pt2")
    own = {name: torch.from_numpy(mask) for name, mask in masks.items()}
    (folder / "masks.safetensors").write_bytes(to_bytes(own))
    if is_own_class(dense, small):
        tensors = {name: tensor.detach().clone().contiguous() for name, tensor in small.state_dict().items()}
        (folder / "shrunk.safetensors").write_bytes(to_bytes(tensors))
        write_json(folder / "widths.json", widths(dense, small))


def is_own_class(dense: nn.Module, small: nn.Module) -> bool:
    """Return whether the smaller network has the modules and tensors of the dense one."""
    return type(small) is type(dense) and state(small).keys() == state(dense).keys()


def widths(dense: nn.Module, small: nn.Module) -> dict[str, dict[str, int]]:
    """Return {module: {attribute: number}} of the numbers of features that are not the dense network's."""
    found = {}
    for name, module in small.named_modules():
        before = vars(dense.get_submodule(name))
        own = {
            key: value for key, value in vars(module).items() if type(value) is int and value != before[key]
        }
        if own:
            found[name] = own
    return found


def write_card(
    folder: Path, metadata: Mapping[str, Any], dense: nn.Module, small: nn.Module, images: Tensor
) -> None:
    """Write card.md: accuracy, size and time of the dense and the smaller network, and how to load it.

    Args:
        folder: with the files of `save` and `shrunk.onnx`.
        metadata: of the ticket, with `forms`, {file: its test accuracy}.
        dense: the unpruned network.
        small: the smaller one.
        images: (N, C, H, W), prepared.
    """
    shape = tuple(metadata["preparation"]["shape"])
    networks = {"dense": dense, "smaller": small}
    batches = [images.repeat(-(-size // len(images)), 1, 1, 1)[:size] for size in BATCHES]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times = latency.measure(networks, batches, seconds=0.2)
    torch.set_num_threads(threads)
    rows = {
        "test accuracy": [
            f"{metadata['forms'][f'{name}.onnx']['test_accuracy']:.2%}" for name in ("dense", "shrunk")
        ],
        "parameters": [
            f"{sum(value.numel() for value in network.parameters()):,}" for network in networks.values()
        ],
        "bytes (ONNX)": [f"{metadata['forms'][f'{name}.onnx']['bytes']:,}" for name in ("dense", "shrunk")],
        "multiply-adds for one image": [
            f"{operations(network, {}, shape)['macs_dense']:,}" for network in networks.values()
        ],
    }
    for size in BATCHES:
        medians = [f"{row['ms_median']:.3f}" for row in times if row["batch"] == size]
        rows[f"ms for {size} image{'s' * (size > 1)}"] = medians
    own_class = OWN_CLASS.format(code=REBUILD) if is_own_class(dense, small) else ""
    card = CARD.format(
        study=metadata["study"],
        model=metadata["model"],
        forms=list(networks),
        rows="\n".join(f"| {name} | {' | '.join(values)} |" for name, values in rows.items()),
        shape=", ".join(map(str, shape)),
        side=metadata["preparation"]["side"],
        scaling=UNIT_NORM if metadata["preparation"].get("unit_norm") else STANDARDISED,
        own_class=own_class,
    )
    (folder / "card.md").write_text(card)
