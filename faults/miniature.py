"""A small copy of the checkout that DVC runs in a minute or two, and what its outputs say."""

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
import yaml

ROOT = Path(__file__).parent.parent
OUTPUTS = ("data", "models", "exports", "metrics", "plots")
TIMES = ("latency.csv", "speedups.png")  # hold nothing but times


def copy(clone: Path) -> None:
    """Copy to `clone` what git would, with few photos, two rounds and few steps, and none of the results."""
    files = _run(ROOT, ["git", "ls-files", "--cached", "--others", "--exclude-standard"]).splitlines()
    for name in files:
        result = name.startswith(("metrics/", "plots/", "studies/")) or name == "dvc.lock"
        if (ROOT / name).is_file() and not result:
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    values = yaml.safe_load((clone / "params.yaml").read_text())
    values["checkpoint_seconds"] = 0
    values["sample"]["photos"] = 12
    values["studies"]["digits"]["replicates"] = 2
    values["studies"]["digits"]["training"] |= {"steps": 500, "eval_every": 10}
    values["studies"]["faces"]["training"] |= {"steps": 4, "eval_every": 2}
    values["prune"] |= {"rounds": values["prune"]["rounds"][:2], "schemes": ["original", "random"]}
    values["report"]["round"] = values["export"]["round"] = "01"
    values["footprint"] |= {"seconds": 0.01, "batches": [1, 4], "bits": [4]}
    (clone / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    _run(clone, ["git", "init", "-q"])


def _run(folder: Path, command: list[str]) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@contextmanager
def started(clone: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", IO[str]]]:
    """Start DVC in `clone`, in a process group of its own; it ends with the block.

    Yields:
        The process, and line by line what it and its stages say.
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
    """Run DVC in `clone`; return its exit code and all that was said."""
    with started(clone, *arguments) as (process, lines):
        said = lines.read()
        return process.wait(), said


def begun(line: str) -> str | None:
    """Return the name of the stage that DVC says it begins, if this line says so."""
    found = re.match(r"Running stage '(.+)':", line)
    return found[1] if found else None


def contents(clone: Path) -> dict[str, Any]:
    """Return what every output says, by its path, but for times and what follows from them."""
    paths = [path for folder in OUTPUTS for path in sorted((clone / folder).rglob("*")) if path.is_file()]
    return {str(path.relative_to(clone)): _timeless(path) for path in paths if path.name not in TIMES}


def _timeless(path: Path) -> Any:
    if path.name == "footprint.csv":
        table = pd.read_csv(path, dtype=str)
        return table.drop(columns=[name for name in table if str(name).startswith(("ms_", "best_"))]).to_csv()
    if path.name in ("report.json", "rounds.json"):
        return re.sub(r'"ms_.*', "", path.read_text())
    return path.read_bytes()


def problems(clone: Path, expected: dict[str, Any], *targets: str) -> list[str]:
    """Say what is wrong with a copy in which `targets` are made.

    That is other outputs than `expected`, a damaged cache, or a stage that would run again.
    """
    found = contents(clone)
    wrong = [f"{name} is missing" for name in expected.keys() - found.keys()]
    wrong += [f"{name} should not be there" for name in found.keys() - expected.keys()]
    wrong += [f"{name} differs" for name in expected.keys() & found.keys() if found[name] != expected[name]]
    wrong += [f"the cached file {path} is damaged" for path in damaged_cache(clone)]
    code, said = dvc(clone, "repro", *targets)
    again = [stage for line in said.splitlines() if (stage := begun(line))]
    if code or again:
        wrong.append(f"another `dvc repro` runs {', '.join(again)} and ends with code {code}")
    return sorted(wrong)


def leftovers(clone: Path) -> list[str]:
    """Name temporary files and checkpoints that are still there."""
    own = [path for folder in OUTPUTS for path in (clone / folder).rglob("*")]
    kept = [path for path in (clone / ".unfinished").rglob("*") if path.is_file()]
    found = [path for path in own if path.name.endswith(".partial") or path.match("*/.tmp*")] + kept
    return [f"{path.relative_to(clone)} was left behind" for path in found]


def damaged_cache(clone: Path) -> list[Path]:
    """Return the files of DVC's cache whose content is not what their name, an MD5, says."""
    files = [path for path in (clone / ".dvc/cache/files/md5").glob("??/*") if path.is_file()]
    return [
        path
        for path in files
        if re.fullmatch("[0-9a-f]{30}(.dir)?", path.name)
        and hashlib.md5(path.read_bytes()).hexdigest() != path.parent.name + path.name.removesuffix(".dir")
    ]
