"""A disk that fills up during a run, again and again, and grows a little each time."""

import tempfile
from pathlib import Path

from tqdm import tqdm

from faults import disks, miniature
from faults.outcomes import Outcome

SLACK = 2**17  # bytes that Git and DVC need to start


def campaign(cases: int, *targets: str) -> Outcome:
    """Run a small copy on disks of `cases` sizes that are too small, then on one that is large enough.

    Args:
        cases: number of sizes, evenly spaced from nothing to all that a run needs.
        targets: stages to run with all that they depend on; every stage by default.
    """
    name = "a full disk during a run, then the next run"
    if reason := disks.mountable():
        return Outcome(name, 0, [], [f"{name}: not run: {reason}"])
    problems: list[str] = []
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        undisturbed, mounted = Path(folder) / "undisturbed", Path(folder) / "disk"
        mounted.mkdir()
        clone = mounted / "clone"
        expected = miniature.undisturbed(undisturbed, *targets)
        needed = _size(undisturbed)
        large = 4 * needed + 512 * SLACK
        with disks.disk(mounted, large):
            miniature.copy(clone)
            empty = disks.used(mounted)
            for number in tqdm(range(cases), desc="full disk", unit="size", disable=None):
                size = empty + SLACK + (needed - empty) * number // cases
                disks.resize(mounted, max(size, disks.used(mounted) + SLACK))
                code, printed = miniature.dvc(clone, "repro", *targets)
                failed += code != 0
                if "Traceback" in printed:
                    problems.append(f"size {number}: {printed[-800:]}")
            disks.resize(mounted, large)
            code, printed = miniature.dvc(clone, "repro", *targets)
            if code:
                problems.append(f"with space again `dvc repro` ends with code {code}: {printed[-500:]}")
            else:
                problems += miniature.problems(clone, expected, *targets) + miniature.leftovers(clone)
    return Outcome(name, cases, problems, [f"{name}: {failed} of {cases} sizes were too small"])


def _size(folder: Path) -> int:
    """Return the bytes that the files below `folder` take in whole pages, hard links counted once."""
    found = {stat.st_ino: stat.st_size for stat in (path.lstat() for path in folder.rglob("*"))}
    return sum(-(-size // 4096) * 4096 for size in found.values())
