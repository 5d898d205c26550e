"""Damaged files between the stages: a stage names the file in one sentence, or the damage does no harm."""

import random
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from click.testing import CliRunner, Result
from tqdm import tqdm

from faults.outcomes import Outcome
from prunet.analysis.footprint_figures import SIZES
from prunet.base import tables
from prunet.base.files import write_json
from prunet.config import params
from prunet.data.images import dataset
from stages import check, plot, prune, retrain, summarize, train

ROOT = Path(__file__).parent.parent
SCHEMES = ("original", "rewind", "trained", "random", "random-mask", "rigl")
MODELS = "models/toy"
INIT, REWIND, DENSE = f"{MODELS}/init.safetensors", f"{MODELS}/rewind.safetensors", f"{MODELS}/dense"
MASKS = f"{MODELS}/masks/01.safetensors"
DENSE_FILES = [f"{DENSE}/weights.safetensors", f"{DENSE}/masks.safetensors"]


class Step(NamedTuple):
    """A stage of the toy study, with the inputs to damage and all its outputs."""

    command: Any
    arguments: list[str]
    inputs: list[str]
    outputs: list[str]


def pruned(number: str) -> Step:
    """Return the stage `prune` of a round."""
    return Step(
        prune.main,
        ["params/toy/prune.json", number, "data", MODELS, DENSE],
        ["data", INIT, *DENSE_FILES],
        [f"{MODELS}/masks/{number}.safetensors", f"{MODELS}/chain/{number}"],
    )


def retrained(scheme: str) -> Step:
    """Return the stage `retrain` of a scheme."""
    output = f"{MODELS}/cells/{scheme}"
    start = {"trained": DENSE_FILES, "rewind": [REWIND], "random": []}.get(scheme, [INIT])
    arguments = [f"params/toy/retrain-{scheme}.json", "data", MODELS, output]
    return Step(retrain.main, arguments, ["data", MASKS, *start], [output])


STEPS = {
    "train": Step(
        train.main, ["params/toy/train.json", "data", INIT, REWIND, DENSE], ["data"], [INIT, REWIND, DENSE]
    ),
    "prune": pruned("01"),
    **{f"retrain {scheme}": retrained(scheme) for scheme in SCHEMES},
    "summarize": Step(
        summarize.main,
        ["params/toy/summarize.json", "data", MODELS, "metrics", "plot_data"],
        ["data"]
        + [f"{MODELS}/{cell}/result.json" for cell in ("dense", "cells/original/01", "cells/random/00")],
        ["metrics", "plot_data"],
    ),
    "plot": Step(
        plot.main,
        ["params/toy/plot.json", "metrics", "plot_data", "figures"],
        [f"metrics/{name}.csv" for name in ("summary", "footprint", "latency", "quantised")]
        + [f"plot_data/{name}.csv" for name in ("curves", "layers")],
        ["figures"],
    ),
}


def campaign(cases: int, seed: int = 0) -> Outcome:
    """Damage a random input of a random stage, run the stage and restore the input, `cases` times."""
    problems: list[str] = []
    refused = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        toy(folder)
        for number in tqdm(range(cases), desc="damage", unit="file", disable=None):
            rng = random.Random(f"{seed}/{number}")
            stage = rng.choice(list(STEPS))
            path = folder / rng.choice(STEPS[stage].inputs)
            whole, before = path.read_bytes(), contents(folder, stage)
            replace(path, damaged(whole, path.suffix, rng))
            result = run(folder, stage)
            replace(path, whole)
            refused += result.exit_code == 2
            problem = complaint(result) if result.exit_code else None
            if result.exit_code and contents(folder, stage) != before:
                problem = "was refused and changed its output"
            if problem:
                problems.append(f"case {number} of seed {seed}: {stage} with a damaged {path.name} {problem}")
    notes = [f"{refused} refused, the others did no harm"]
    return Outcome("damaged files between stages", cases, problems, notes)


def complaint(result: Result) -> str | None:
    """Return how a refusal is wrong, or None if it has exit code 2 and prints one sentence."""
    lines = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
    if result.exit_code != 2 or not isinstance(result.exception, SystemExit):
        return f"ends with {result.exception!r}"
    if len(lines) != 1 or not lines[0].startswith("Error: "):
        return f"does not print one sentence but {result.stderr!r}"
    return None


def replace(path: Path, content: bytes) -> None:
    """Write a new file at `path`: the old one may have hard links elsewhere."""
    path.unlink()
    path.write_bytes(content)


def damaged(content: bytes, suffix: str, rng: random.Random) -> bytes:
    """Truncate or empty a file, or replace all of its bytes or, except in text files, a few of them."""
    kind = rng.randrange(4 if suffix in (".json", ".csv") else 6)
    if kind == 0:
        return b""
    if kind <= 2:
        return content[: rng.randrange(len(content))]
    if kind == 3:
        return rng.randbytes(rng.randint(1, 500))
    changed = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed) if kind == 4 else min(len(changed), 400))] = rng.randrange(256)
    return bytes(changed)


def contents(folder: Path, stage: str) -> dict[str, bytes]:
    """Return the bytes of every file in a stage's outputs."""
    outputs = [folder / output for output in STEPS[stage].outputs]
    paths = [path for output in outputs for path in (output, *output.rglob("*"))]
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


def run(folder: Path, stage: str) -> Result:
    """Run a stage in `folder`."""
    return _run(folder, STEPS[stage])


def _run(folder: Path, step: Step) -> Result:
    with chdir(folder):
        return CliRunner().invoke(step.command, step.arguments)


def toy(folder: Path) -> None:
    """Make a study of noise with a bright row, and run all its stages once."""
    values = params.load(ROOT / "params.yaml")
    study = values["studies"]["digits"] | {"replicates": 2}
    study["training"] |= {"steps": 6, "eval_every": 3, "batch_size": 8}
    values |= {"checkpoint_seconds": 60, "studies": {"toy": study}}
    values["dynamic"]["every"] = 1
    values["prune"] |= {"rounds": values["prune"]["rounds"][:2], "schemes": list(SCHEMES)}
    values["report"]["round"] = values["export"]["round"] = "01"
    write_json(folder / "params.yaml", values)  # JSON is YAML
    rng = np.random.default_rng(0)
    labels, split = np.arange(60) % 3, np.repeat([0, 1, 2], 20).astype(np.uint8)
    images = rng.integers(0, 120, (60, 1, 6, 6), np.uint8)
    images[np.arange(60), 0, labels] += 100
    dataset.save(folder / "data", images, labels, split, ["a", "b", "c"])
    rows = [{"round": number, "density": density} for number, density in (("00", 1.0), ("01", 0.8))]
    sizes = dict.fromkeys(SIZES, 7.0)
    tables.write(folder / "metrics" / "footprint.csv", pd.DataFrame([row | sizes for row in rows]))
    times = {"batch": 1, "device": "cpu", "ms_low": 6.0, "ms_median": 7.0, "ms_high": 8.0}
    timed = [row | times | {"form": form} for row in rows for form in ("dense", "sparse")]
    tables.write(folder / "metrics" / "latency.csv", pd.DataFrame(timed))
    codebook = {"bits": 32, "times_smaller": 2.0, "accuracy": 0.5, "accuracy_dense": 0.5}
    tables.write(folder / "metrics" / "quantised.csv", pd.DataFrame([row | codebook for row in rows]))
    checked = Step(check.main, ["params.yaml", "models", "params"], [], ["params"])
    training, *others = STEPS.values()
    for step in (checked, training, pruned("00"), *others):
        result = _run(folder, step)
        if result.exit_code:
            raise RuntimeError(f"an undamaged toy fails: {result.output}")
