"""Times of every form of every network, one thread, in turns."""

import importlib.metadata
import tempfile
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from bench import machine
from bench.engines.forms import CHAINS_ONLY, FORMS, Form
from bench.engines.networks import Network, networks
from prunet.base import files
from prunet.base.errors import InputError
from prunet.deployment import latency

DENSE = "ONNX Runtime, dense"  # the speedups are over this
PACKAGES = ("torch", "onnxruntime", "scipy", "numba", "openvino", "ai-edge-litert", "executorch", "onednn")
SECONDS, LEAST = 1.0, 30  # for a form, and its measurements at least
TOLERANCE = 1e-4  # of outputs, absolute


def measure(output: Path, quick: bool) -> str:
    """Time the forms that are installed; write a JSON file, return a table.

    Args:
        output: {quick, machine, versions: {package: version}, times: a list of {network, batch, form,
            repeats, ms_fastest, ms_low, ms_median, ms_high, speedup (of medians), speedup_fastest}, missing:
            a list of {network, batch, form, reason}}.
        quick: time one network shortly.
    """
    torch.set_num_threads(1)
    times: list[dict[str, Any]] = []
    missing: list[dict[str, Any]] = []
    for network in tqdm(networks(quick), desc="engines", disable=None):
        about = {"network": network.name, "batch": len(network.images)}
        forms, reasons = made(network)
        missing += [about | {"form": form, "reason": reason} for form, reason in reasons.items()]
        times += [about | row for row in timed(forms, network, 0.01 if quick else SECONDS)]
    found = {"quick": quick, "machine": machine.about(1), "versions": versions()}
    files.write_json(output, found | {"times": times, "missing": missing})
    return table(times, missing)


def made(network: Network) -> tuple[dict[str, Form], dict[str, str]]:
    """Return the forms that can be made and give the network's outputs, and why the others cannot."""
    forms: dict[str, Form] = {}
    reasons: dict[str, str] = {}
    for name, make in FORMS.items():
        if name in CHAINS_ONLY and any(isinstance(layer, torch.nn.Conv2d) for layer in network.dense):
            continue
        try:
            with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
                form = make(network, Path(folder))
                check(form, network, name)
            forms[name] = form
        except (ImportError, OSError, InputError) as error:
            reasons[name] = str(error).splitlines()[0]
    return forms, reasons


def check(form: Form, network: Network, name: str) -> None:
    """Compare a form's outputs with those of PyTorch, of the dense network if its name says so.

    Raises:
        ValueError: they differ.
    """
    found = torch.as_tensor(form(network.images)).flatten()
    model = network.dense if name.endswith("dense") else network.pruned
    if not torch.allclose(found, model(network.images).flatten(), atol=TOLERANCE):
        raise ValueError(f"{name} has other outputs than {network.name}")


def timed(forms: dict[str, Form], network: Network, seconds: float) -> list[dict[str, Any]]:
    """Return a row for each form."""
    with torch.inference_mode():
        times = latency.alternate(forms, network.images, seconds, LEAST)
    rows: list[dict[str, Any]] = []
    for form, values in times.items():
        low, median, high = (1000 * value for value in latency.quartiles(values))
        row = {"form": form, "repeats": len(values), "ms_fastest": 1000 * min(values)}
        rows.append(row | {"ms_low": low, "ms_median": median, "ms_high": high})
    dense = next(row for row in rows if row["form"] == DENSE)
    for row in rows:
        row["speedup"] = dense["ms_median"] / row["ms_median"]
        row["speedup_fastest"] = dense["ms_fastest"] / row["ms_fastest"]
    return rows


def versions() -> dict[str, str]:
    """Return the versions of the installed packages."""
    installed = {one.metadata["Name"].lower() for one in importlib.metadata.distributions()}
    return {name: importlib.metadata.version(name) for name in PACKAGES if name in installed}


def table(times: list[dict[str, Any]], missing: list[dict[str, Any]]) -> str:
    """Format all times, and a sentence for each form that could not be run."""
    lines = []
    for row in times:
        if row["form"] == DENSE:
            lines.append(f"{row['network']}, batch {row['batch']}")
        lines.append(
            "  {form:28}{ms_median:9.4f} ms ({ms_low:.4f} to {ms_high:.4f}, fastest {ms_fastest:.4f}); "
            "{speedup:.2f} times as fast as ONNX Runtime, {speedup_fastest:.2f} by the fastest".format(**row)
        )
    lines += ["{network}, batch {batch}: {form} was left out: {reason}".format(**row) for row in missing]
    return "\n".join(lines)
