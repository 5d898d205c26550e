"""A whole `dvc repro` in a copy of this checkout, and how its time is spent."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.machine import Found
from faults import miniature


def measure(quick: bool, threads: int) -> tuple[dict[str, Any], Found]:
    """Run the pipeline with params.yaml as it is; with `quick` a small version of it."""
    with TemporaryDirectory() as folder:
        clone, path, spent = Path(folder) / "prunet", Path(folder) / "path", Path(folder) / "spent.jsonl"
        copy = miniature.copy if quick else miniature.copy_checkout
        copy(clone)
        path.mkdir()
        shutil.copy(Path(__file__).with_name("stopwatch.py"), path / "sitecustomize.py")
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep),
            "BENCH_SPENT": str(spent),
        }
        began = time.perf_counter()
        subprocess.run(["dvc", "repro"], cwd=clone, env=environment, check=True)
        seconds = time.perf_counter() - began
        records = [json.loads(line) for line in spent.read_text().splitlines()]
    parts = split(records, seconds)
    shares = {name: value / seconds for name, value in parts.items()}
    return {
        "default_run_seconds": seconds,
        "default_run_training_share": shares["training"] + shares["evaluation"],
        "default_run_split": shares,
        "default_run_stage_seconds": by_stage(records),
    }, {}


def split(records: list[dict[str, Any]], seconds: float) -> dict[str, float]:
    """Divide the `seconds` of a run into training, evaluation, startup, other and dvc.

    Networks are trained side by side: the time of training in a stage is divided into training and evaluation
    in proportion to their sums over the networks. `startup` is the time to load Python and modules, `other`
    the rest of the stages (drawing, detecting faces, tables, figures), and `dvc` the time in which no stage
    runs.
    """
    parts = dict.fromkeys(("training", "evaluation", "startup", "other"), 0.0)
    for process in (record for record in records if "stage" in record):
        own = [record for record in records if record["process"] == process["process"] and "train" in record]
        trained = sum(record["train"] for record in own)
        share = sum(record["evaluate"] for record in own) / trained if own else 0.0
        startup = process["startup"] + process["imports"]
        parts["training"] += process["side_by_side"] * (1 - share)
        parts["evaluation"] += process["side_by_side"] * share
        parts["startup"] += startup
        parts["other"] += process["seconds"] - process["side_by_side"] - startup
    return parts | {"dvc": seconds - sum(parts.values())}


def by_stage(records: list[dict[str, Any]]) -> dict[str, float]:
    """Return the seconds of each stage, summed over studies, rounds and schemes, in descending order."""
    seconds: Counter[str] = Counter()
    for record in records:
        if "stage" in record:
            seconds[record["stage"]] += record["seconds"]
    return dict(seconds.most_common())
