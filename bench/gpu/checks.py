"""Checks of correctness: the tests that have a branch for GPUs, and every built-in model trained."""

import copy
import importlib.util
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import numpy as np
import torch
from torch import Tensor

from bench import prunet_loop
from bench.gpu.inputs import Sizes, job
from bench.gpu.report import Row
from prunet.training import batches, gradients, loop
from prunet.training.checkpoints import Checkpoint
from prunet.training.loop import Finished

IMAGES = 8  # whose logits are compared
SECONDS = 300  # at most, for the tests
CHECKOUT = Path(__file__).parents[2]
# Largest difference of logits from those of the CPU, as a share of the largest logit. In float32 a GPU rounds
# the inputs of convolutions to 11 bits (TF32), in bfloat16 to 8.
TOLERANCES = {"float32": 0.01, "bfloat16": 0.1}


def tests(device: torch.device, sizes: Sizes) -> Iterator[Row]:
    """Run the tests whose code takes another way on a GPU."""
    if importlib.util.find_spec("pytest") is None:
        yield Row("tests", None, note="pytest is not installed")
        return
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        paths = [f"tests/{name}.py" for name in sizes.tests]
        options = ["-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", f"--junit-xml={report}"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *paths],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # those of other packages
        )
        if not report.exists():
            yield Row("tests", None, note=(done.stderr or done.stdout).strip().splitlines()[-1])
            return
        (suite,) = ElementTree.parse(report).getroot()
    counts = {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    if counts["failures"]:
        print(done.stdout, file=sys.stderr)
    yield Row("tests passed", counts["tests"] - sum(list(counts.values())[1:]))
    yield Row("tests skipped", counts["skipped"])
    yield Row("tests failed", counts["failures"], at_most=0)
    broken = [case.attrib["name"] for case in suite if case.find("error") is not None]
    yield Row(
        "tests with errors, such as a package that is not installed", len(broken), note=", ".join(broken)
    )


def train(name: str, dtype: str, device: torch.device, sizes: Sizes) -> Iterator[Row]:
    """Train a built-in model twice and compare with the CPU, with its masks and with itself."""
    training = {"batch_size": sizes.checked, "steps": sizes.check_steps, "eval_every": sizes.check_steps // 2}
    work = job(name, sizes, device, dtype=dtype, **training)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        first, second = outcome(work), outcome(work)
    losses = [loss for result in first.results for loss in result["curve"]["val_loss"]]
    yield Row("losses not finite", sum(not np.isfinite(loss) for loss in losses), at_most=0)
    nonzero = sum(int(np.count_nonzero(first.weights[layer][~mask])) for layer, mask in first.masks.items())
    yield Row("masked weights that are not zero", nonzero, at_most=0)
    differ = sum(not np.array_equal(first.weights[key], second.weights[key]) for key in first.weights)
    varying = {str(warning.message).partition(" ")[0] for warning in caught if "determin" in str(warning)}
    yield Row("tensors that differ after a second run", differ, at_most=0, note=", ".join(sorted(varying)))
    state = {key: torch.from_numpy(values) for key, values in first.weights.items()}
    here, there = logits(work, state, device), logits(work, state, torch.device("cpu"))
    difference = float((here - there).abs().max() / there.abs().max())
    yield Row("logits: largest difference from the CPU", difference, at_most=TOLERANCES[dtype])


def outcome(work: prunet_loop.Job) -> Finished:
    """Return the outcome of a training."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.safetensors"
        list(prunet_loop.train(work, path))
        return loop.load_finished(Checkpoint(path, "bench", 0))


def logits(work: prunet_loop.Job, weights: Mapping[str, Tensor], device: torch.device) -> Tensor:
    """Return the logits (1, `IMAGES`, classes) of validation images, computed on a device."""
    network = gradients.network(copy.deepcopy(work.model).to(device), work.settings)
    stack = {name: tensor.to(device) for name, tensor in weights.items()}
    images, _ = batches.take(work.splits["val"], torch.arange(IMAGES))
    return network.logits(stack, images.to(device)).float().cpu()
