"""A clock that jumps: files from other times. Nothing runs again, for what counts is what files hold."""

import os
import random
import tempfile
from pathlib import Path

from faults import miniature
from faults.outcomes import Outcome

TIMES = (0, 4_000_000_000)  # seconds since 1970: to the year 2096


def campaign(cases: int, *targets: str, seed: int = 0) -> Outcome:
    """Give every file of a finished run a random time, past or future; `dvc repro` must run nothing."""
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        miniature.copy(clone)
        code, said = miniature.dvc(clone, "repro", *targets)
        if code:
            raise RuntimeError(f"an undisturbed run fails: {said[-500:]}")
        expected = miniature.contents(clone)
        for number in range(cases):
            rng = random.Random(f"{seed}/{number}")
            for path in sorted(clone.rglob("*")):
                if ".git" not in path.parts:
                    os.utime(path, (rng.uniform(*TIMES),) * 2, follow_symlinks=False)
            code, said = miniature.dvc(clone, "repro", *targets)
            if code or any(map(miniature.begun, said.splitlines())):
                problems.append(f"case {number}: code {code}: {said[-500:]}")
        problems += miniature.problems(clone, expected, *targets) + miniature.leftovers(clone)
    return Outcome("files from the past and the future", cases, problems)
