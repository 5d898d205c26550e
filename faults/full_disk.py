"""A disk that is full again and again while a whole run is under way, and grows a little each time."""

import os
import tempfile
from pathlib import Path

from tqdm import tqdm

from faults import disks, miniature
from faults.outcomes import Outcome

SLACK = 2**17  # bytes that Git and DVC need to begin at all


def campaign(cases: int, *targets: str) -> Outcome:
    """Run a small copy on disks of `cases` sizes that are too small, then on one that is large enough.

    Its outputs are hard links to DVC's cache, so that whoever writes in place would damage both.

    Args:
        cases: how many sizes, evenly from nothing to all that a run needs.
        targets: stages to run, with what they need; all if none is named.
    """
    name = "a full disk under a run, then the next run"
    if reason := disks.mountable():
        return Outcome(name, 0, [], [f"{name}: not run: {reason}"])
    problems: list[str] = []
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        undisturbed, place = Path(folder) / "undisturbed", Path(folder) / "disk"
        place.mkdir()
        clone = place / "clone"
        miniature.copy(undisturbed)
        code, said = miniature.dvc(undisturbed, "repro", *targets)
        if code:
            raise RuntimeError(f"an undisturbed run fails: {said[-500:]}")
        large = (
            4 * sum(path.stat().st_size for path in undisturbed.rglob("*") if path.is_file()) + 512 * SLACK
        )
        with disks.disk(place, large):
            miniature.copy(clone)
            miniature.dvc(clone, "config", "cache.type", "hardlink")
            empty, needed = disks.used(place), _size(undisturbed)
            for number in tqdm(range(cases), desc="full disk", unit="size", disable=None):
                size = empty + SLACK + (needed - empty) * number // cases
                disks.resize(place, max(size, disks.used(place) + SLACK))
                code, said = miniature.dvc(clone, "repro", *targets)
                failed += code != 0
                if "Traceback" in said:
                    problems.append(f"size {number}: {said[-800:]}")
            disks.resize(place, large)
            code, said = miniature.dvc(clone, "repro", *targets)
            if code:
                problems.append(f"with space again `dvc repro` ends with code {code}: {said[-500:]}")
            else:
                problems += miniature.problems(clone, miniature.contents(undisturbed), *targets)
                problems += miniature.leftovers(clone)
    return Outcome(name, cases, problems, [f"{name}: {failed} of {cases} sizes were too small"])


def _size(folder: Path) -> int:
    """Return how many bytes the files below `folder` take, in whole pages."""
    sizes = [os.lstat(path).st_size for path in folder.rglob("*")]
    return sum(-(-size // 4096) * 4096 for size in sizes)
