"""Damaged files between the stages: each is refused by name in one sentence, or does no harm."""

import random
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml
from click.testing import CliRunner, Result
from tqdm import tqdm

from faults.outcomes import Outcome
from prunet.analysis import summary
from prunet.data import dataset
from stages import plot, prune, retrain, summarize, train

ROOT = Path(__file__).parent.parent
STUDY = ("--params", "params.yaml", "--study", "toy", "--unfinished", "unfinished")
SCHEMES = ("original", "rewind", "trained", "random", "random-mask", "rigl")
RATES = ("--schedule", "iterative", "--rate", "0.2", "--output-rate-factor", "0.5", "--scope", "layer")
RANKS = ("--criterion", "magnitude", "--criterion-images", "8", "--empty-layers", "keep-one", "--seed", "0")
CELL = ("weights.safetensors", "masks.safetensors")


class Step(NamedTuple):
    """A stage on the toy study: `inputs` can be damaged, what is at `output` comes whole or not at all."""

    command: Any
    arguments: list[str]
    inputs: list[str]
    output: str


def pruned(number: str, before: str) -> Step:
    """Return the stage that makes the masks of a round from the networks `before`."""
    about = ["--params", "params.yaml", "--study", "toy", "--round", number, *RATES, *RANKS]
    arguments = [*about, "data", "init", before, f"{number}.masks"]
    return Step(prune.main, arguments, [f"{before}/{name}" for name in CELL], f"{number}.masks")


def retrained(scheme: str, number: str, before: str) -> Step:
    """Return the stage that trains a scheme in a round, whose masks come from the networks `before`."""
    output = f"{scheme}/{number}"
    places = ["data", "init", "early", before, f"{number}.masks", output]
    inputs = ["data", f"{number}.masks"]
    if scheme == "trained":
        inputs += [f"{before}/{name}" for name in CELL]
    elif scheme != "random":
        inputs.append("early" if scheme == "rewind" else "init")
    arguments = [*STUDY, "--scheme", scheme, "--round", number, *places]
    return Step(retrain.main, arguments, inputs, output)


STEPS = {
    "train": Step(train.main, [*STUDY, "data", "init", "early", "dense"], ["data"], "dense"),
    "prune": pruned("01", "original/00"),
    **{f"retrain {scheme}": retrained(scheme, "01", "original/00") for scheme in SCHEMES},
    "summarize": Step(
        summarize.main,
        ["--params", "params.yaml", ".", "metrics/footprint.csv", "metrics", "plot_data"],
        ["original/01/result.json", "random/00/result.json", "metrics/footprint.csv"],
        "plot_data",
    ),
    "plot": Step(
        plot.main,
        ["--study", "toy", "--round", "01", "metrics", "plot_data", "figures"],
        [f"metrics/{name}.csv" for name in ("summary", "footprint", "quantised")]
        + [f"plot_data/{name}.csv" for name in ("curves", "layers")],
        "figures",
    ),
}


def campaign(cases: int, seed: int = 0) -> Outcome:
    """Damage one input of one stage at random, run the stage, and mend the input; `cases` times."""
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
            path.write_bytes(damaged(whole, path.suffix, rng))
            result = run(folder, STEPS[stage])
            path.write_bytes(whole)
            refused += result.exit_code == 2
            problem = complaint(result) if result.exit_code else None
            if result.exit_code and contents(folder, stage) != before:
                problem = "was refused and changed its output"
            if problem:
                problems.append(f"case {number} of seed {seed}: {stage} with a damaged {path.name} {problem}")
    notes = [f"{refused} refused, the others did no harm"]
    return Outcome("damaged files between stages", cases, problems, notes)


def complaint(result: Result) -> str | None:
    """Say how a refusal is not what it should be: exit code 2 and one sentence; None if it is."""
    lines = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
    if result.exit_code != 2 or not isinstance(result.exception, SystemExit):
        return f"ends with {result.exception!r}"
    if len(lines) != 1 or not lines[0].startswith("Error: "):
        return f"does not say one sentence but {result.stderr!r}"
    return None


def damaged(content: bytes, suffix: str, rng: random.Random) -> bytes:
    """Cut a file off, empty it, or replace all or (of one that is no table) some of its bytes."""
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
    """Return the bytes of all that is at the place of a stage's output."""
    output = folder / STEPS[stage].output
    paths = [output, *output.rglob("*")]
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


def run(folder: Path, step: Step) -> Result:
    """Run a stage in `folder`."""
    with chdir(folder):
        return CliRunner().invoke(step.command, step.arguments)


def toy(folder: Path) -> None:
    """Make a study of noise with a bright row, and run all its stages once."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    block = values["studies"]["digits"] | {"replicates": 2}
    block["training"] |= {"steps": 6, "eval_every": 3, "batch_size": 8}
    values |= {"checkpoint_seconds": 60, "studies": {"toy": block}, "image_studies": ["toy"]}
    values["dynamic"]["every"] = 1
    values["prune"] |= {"rounds": values["prune"]["rounds"][:2], "schemes": list(SCHEMES)}
    values["report"]["round"] = values["export"]["round"] = "01"
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    rng = np.random.default_rng(0)
    labels, split = np.arange(60) % 3, np.repeat([0, 1, 2], 20).astype(np.uint8)
    images = rng.integers(0, 120, (60, 1, 6, 6), np.uint8)
    images[np.arange(60), 0, labels] += 100
    dataset.save(folder / "data", images, labels, split, ["a", "b", "c"])
    rows = [{"round": number, "density": density} for number, density in (("00", 1.0), ("01", 0.8))]
    costs = dict.fromkeys([*summary.COSTS, "ms_dense_1", "ms_best_1"], 7.0)
    summary.write(folder / "metrics" / "footprint.csv", pd.DataFrame([row | costs for row in rows]))
    sizes = {"bits": 32, "times_smaller": 2.0, "accuracy": 0.5, "accuracy_dense": 0.5}
    summary.write(folder / "metrics" / "quantised.csv", pd.DataFrame([row | sizes for row in rows]))
    first = [pruned("00", "dense"), *(retrained(scheme, "00", "dense") for scheme in SCHEMES)]
    train_, *others = STEPS.values()
    for step in (train_, *first, *others):
        result = run(folder, step)
        if result.exit_code:
            raise RuntimeError(f"an undamaged toy fails: {result.output}")
