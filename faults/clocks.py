"""A clock that jumps: files with times in the past and the future. DVC must trust contents alone."""

import os
import random
import tempfile
from pathlib import Path

from faults import miniature
from faults.outcomes import Outcome

TIMES = (0, 4_000_000_000)  # seconds since 1970: until the year 2096


def campaign(cases: int, *targets: str, seed: int = 0) -> Outcome:
    """Give every file of a finished run a random time; then `dvc repro` must run nothing."""
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        expected = miniature.undisturbed(clone, *targets)
        for number in range(cases):
            rng = random.Random(f"{seed}/{number}")
            for path in sorted(clone.rglob("*")):
                if ".git" not in path.parts:
                    os.utime(path, (rng.uniform(*TIMES),) * 2, follow_symlinks=False)
            code, printed = miniature.dvc(clone, "repro", *targets)
            if code or miniature.stages(printed):
                problems.append(f"case {number}: code {code}: {printed[-500:]}")
        problems += miniature.problems(clone, expected, *targets) + miniature.leftovers(clone)
    return Outcome("files from the past and the future", cases, problems)
