"""A small copy of the checkout that DVC runs in a minute or two, and comparison of its outputs."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pandas as pd

from prunet.base.files import write_json
from prunet.config import params

ROOT = Path(__file__).parent.parent
OUTPUTS = ("data", "models", "exports", "metrics", "plots")
TIMES = ("latency.csv", "speedups.png", "times.csv")  # contain only measured times
RESULTS = ("metrics/", "plots/", "studies/", ".checkpoints/")


def copy(clone: Path, photos: int = 12, steps: int = 500) -> None:
    """Copy the checkout to `clone`, with small parameters: two rounds, two schemes, few replicates.

    Args:
        clone: folder to make.
        photos: good photos of each person of the sample.
        steps: of training for digits; a kill needs time to hit one.
    """
    copy_checkout(clone)
    values = params.load(clone / "params.yaml")
    values["checkpoint_seconds"] = 0
    values["sample"]["photos"] = photos
    values["studies"]["digits"]["replicates"] = 2
    values["studies"]["faces"]["replicates"] = 1
    values["studies"]["digits"]["training"] |= {"steps": steps, "eval_every": 10}
    values["studies"]["faces"]["training"] |= {"steps": 4, "eval_every": 2, "warmup": 1}
    values["prune"] |= {"rounds": values["prune"]["rounds"][:2], "schemes": ["original", "random"]}
    values["report"]["round"] = values["export"]["round"] = "01"
    values["footprint"] |= {"rounds": 2, "seconds": 0.01, "batches": [1, 4], "bits": [4]}
    write_json(clone / "params.yaml", values)  # JSON is YAML


def copy_checkout(clone: Path) -> None:
    """Copy to `clone`, a new Git repository, the files that Git tracks or would track, but no results."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in files.splitlines():
        if (ROOT / name).is_file() and name != "dvc.lock" and not name.startswith(RESULTS):
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    subprocess.run(["git", "init", "-q"], cwd=clone, check=True)


@contextmanager
def started(clone: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", IO[str]]]:
    """Start DVC in `clone`, in its own process group, which is killed when the block ends.

    Yields:
        The process, and the lines that it and its stages print.
    """
    binaries = Path(sys.executable).parent
    settings = {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [binaries / "dvc", *arguments],
        cwd=clone,
        env=os.environ | settings | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            yield process, process.stdout
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def dvc(clone: Path, *arguments: str) -> tuple[int, str]:
    """Run DVC in `clone`; return its exit code and everything that was printed."""
    with started(clone, *arguments) as (process, lines):
        printed = lines.read()
        return process.wait(), printed


def undisturbed(clone: Path, *targets: str) -> dict[str, Any]:
    """Make a small copy, run it once without faults, and return its `contents`."""
    copy(clone)
    code, printed = dvc(clone, "repro", *targets)
    if code:
        raise RuntimeError(f"an undisturbed run fails: {printed[-500:]}")
    return contents(clone)


def stages(printed: str) -> list[str]:
    """Return the names of the stages that DVC started, in their order, from what it printed."""
    return re.findall(r"^Running stage '(.+)':", printed, re.MULTILINE)


def contents(clone: Path) -> dict[str, Any]:
    """Return the contents of every output by its path, without measured times.

    Scratch folders that a kill left beside whole outputs do not count: `leftovers` lists them.
    """
    files = [path for folder in OUTPUTS for path in sorted((clone / folder).rglob("*")) if path.is_file()]
    paths = [path.relative_to(clone) for path in files if path.name not in TIMES]
    return {str(path): _timeless(clone / path) for path in paths if ".partial/" not in str(path)}


def _timeless(path: Path) -> Any:
    if path.name == "footprint.csv":
        table = pd.read_csv(path, dtype=str)
        return table.drop(columns=[name for name in table if str(name).startswith(("ms_", "best_"))]).to_csv()
    return path.read_bytes()


def problems(clone: Path, expected: dict[str, Any], *targets: str) -> list[str]:
    """List what is wrong with a copy in which `targets` were made.

    That is outputs that differ from `expected`, damaged files in the cache, or a stage that would run again.
    """
    found = contents(clone)
    wrong = [f"{name} is missing" for name in expected.keys() - found.keys()]
    wrong += [f"{name} should not exist" for name in found.keys() - expected.keys()]
    wrong += [f"{name} differs" for name in expected.keys() & found.keys() if found[name] != expected[name]]
    wrong += [f"the cached file {path} is damaged" for path in damaged_cache(clone)]
    code, printed = dvc(clone, "repro", *targets)
    if code or stages(printed):
        wrong.append(f"another `dvc repro` runs {', '.join(stages(printed))} and ends with code {code}")
    return sorted(wrong)


def leftovers(clone: Path) -> list[str]:
    """List temporary files and the checkpoints of unfinished training.

    Finished cells among the checkpoints are not leftovers: later runs reuse them.
    """
    paths = [path for folder in (*OUTPUTS, ".checkpoints") for path in (clone / folder).rglob("*")]
    found = [path for path in paths if path.name.endswith(".partial") or path.match("*/.tmp*")]
    found += [path for path in paths if path.parent.match(".checkpoints/*/unfinished") and path not in found]
    return [f"{path.relative_to(clone)} was left behind" for path in found]


def damaged_cache(clone: Path) -> list[Path]:
    """Return the files of DVC's cache whose names are not the MD5 digests of their contents."""
    files = [path for path in (clone / ".dvc/cache/files/md5").glob("??/*") if path.is_file()]
    return [
        path
        for path in files
        if re.fullmatch("[0-9a-f]{30}(.dir)?", path.name)
        and hashlib.md5(path.read_bytes()).hexdigest() != path.parent.name + path.name.removesuffix(".dir")
    ]
