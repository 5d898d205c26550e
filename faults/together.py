"""Two runs at once in one checkout: each works or reports why it cannot, and nothing is lost."""

import random
import tempfile
from pathlib import Path

from faults import kills, miniature
from faults.outcomes import Outcome


def campaign(cases: int, *targets: str, seed: int = 0) -> Outcome:
    """Start a second `dvc repro` while the first is in a random stage, `cases` times; compare the outputs."""
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        undisturbed = Path(folder) / "undisturbed"
        miniature.copy(undisturbed)
        stages = list(kills.durations(undisturbed, targets))
        expected = miniature.contents(undisturbed)
        rng = random.Random(seed)
        for number in range(cases):
            clone = Path(folder) / str(number)
            miniature.copy(clone)
            stage = rng.choice(stages)
            found = pair(clone, stage, *targets)
            code, printed = miniature.dvc(clone, "repro", *targets)
            if code:
                found.append(f"the next run fails: {printed[-500:]}")
            else:
                found += miniature.problems(clone, expected, *targets) + miniature.leftovers(clone)
            problems += [f"with two runs in {stage}: {problem}" for problem in found]
    return Outcome("two runs at once", cases, problems)


def pair(clone: Path, stage: str, *targets: str) -> list[str]:
    """Run DVC, and once more while the first run is in `stage`; list what is wrong with their messages."""
    printed, problems = "", []
    with miniature.started(clone, "repro", *targets) as (first, lines):
        for line in lines:
            printed += line
            if stage not in miniature.stages(line):
                continue
            code, other = miniature.dvc(clone, "repro", *targets)
            if code and "is busy" not in other and "lock" not in other:
                problems.append(f"the second run prints {other[-500:]!r}")
            if "Traceback" in other:
                problems.append(f"the second run ends with a traceback: {other[-500:]}")
        # On a busy machine the second run may hold DVC's lock for longer than the first one waits for it.
        if first.wait() and "Unable to acquire lock" not in printed:
            problems.append(f"the first run fails: {printed[-500:]}")
    return problems
