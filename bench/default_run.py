"""A whole `dvc repro` of this working tree in a copy of it, and what its time goes to."""

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

import yaml

from bench.machine import Found

ROOT = Path(__file__).parent.parent


def measure(quick: bool, threads: int) -> tuple[dict[str, Any], Found]:
    """Run the pipeline with params.yaml as it is; `quick`: with few photos, rounds and steps."""
    with TemporaryDirectory() as folder:
        clone, path, spent = Path(folder) / "prunet", Path(folder) / "path", Path(folder) / "spent.jsonl"
        copy_checkout(clone)
        if quick:
            shrink(clone / "params.yaml")
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


def copy_checkout(clone: Path) -> None:
    """Copy what git tracks or would track, without the lock file of earlier runs."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in files.splitlines():
        if name != "dvc.lock" and (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    subprocess.run(["git", "init", "-q"], cwd=clone, check=True)


def shrink(path: Path) -> None:
    """Make a params file quick to run."""
    params = yaml.safe_load(path.read_text())
    params["sample"]["photos"] = 20
    params["studies"]["digits"]["replicates"] = 2
    params["studies"]["digits"]["training"] |= {"steps": 20, "eval_every": 10}
    params["studies"]["faces"]["training"] |= {"steps": 4, "eval_every": 2}
    params["prune"]["rounds"] = params["prune"]["rounds"][:2]
    params["report"]["round"] = params["prune"]["rounds"][-1]["n"]
    path.write_text(yaml.safe_dump(params, sort_keys=False))


def split(records: list[dict[str, Any]], seconds: float) -> dict[str, float]:
    """Divide the `seconds` of a run among what they went to.

    Trainings run side by side, so evaluation is, of a stage's time with trainings, its share of their own
    times. Start-up is loading Python and modules, before the command and in it; `other` are the commands
    themselves: drawing, finding faces, tables, figures; `dvc` is all that no stage's process was running.
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
    """Return the seconds of each stage's processes, the most first."""
    seconds: Counter[str] = Counter()
    for record in records:
        if "stage" in record:
            seconds[record["stage"]] += record["seconds"]
    return dict(seconds.most_common())
