"""Two runs at once in one checkout: each works, or says why it cannot, and nothing is lost."""

import random
import tempfile
from pathlib import Path

from faults import kills, miniature
from faults.outcomes import Outcome


def campaign(cases: int, *targets: str, seed: int = 0) -> Outcome:
    """Start a second `dvc repro` while the first is in a random stage, `cases` times, then compare.

    Outputs are hard links to DVC's cache, so that whoever writes in place would damage both.
    """
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
            miniature.dvc(clone, "config", "cache.type", "hardlink")
            stage = rng.choice(stages)
            problems += [f"beside {stage}: {problem}" for problem in _pair(clone, stage, targets)]
            code, said = miniature.dvc(clone, "repro", *targets)
            wrong = (
                miniature.problems(clone, expected, *targets) + miniature.leftovers(clone)
                if code == 0
                else [f"the next run fails: {said[-500:]}"]
            )
            problems += [f"after two runs beside {stage}: {problem}" for problem in wrong]
    return Outcome("two runs at once", cases, problems)


def _pair(clone: Path, stage: str, targets: tuple[str, ...]) -> list[str]:
    """Run DVC, and again when the first run is in `stage`; say what is wrong with what they said."""
    said, problems = [], []
    with miniature.started(clone, "repro", *targets) as (first, lines):
        for line in lines:
            said.append(line)
            if miniature.begun(line) != stage:
                continue
            code, other = miniature.dvc(clone, "repro", *targets)
            if code and "is busy" not in other and "lock" not in other:
                problems.append(f"the second run says {other[-500:]!r}")
            if "Traceback" in other:
                problems.append(f"the second run ends with a traceback: {other[-500:]}")
        # On a busy machine the second run may hold DVC's lock for longer than the first one waits for it.
        if first.wait() and "Unable to acquire lock" not in "".join(said):
            problems.append(f"the first run fails: {''.join(said)[-500:]}")
    return problems
