"""Stages on a full, read-only or forbidden disk: one sentence, and the old output stays as it was."""

import random
import shutil
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

from tqdm import tqdm

from faults import damage, disks
from faults.outcomes import Outcome

KINDS = ("full", "read-only", "forbidden")
SIZE = 256 * 2**20  # bytes of the disk; the toy study takes a few


def campaign(cases: int, seed: int = 0) -> Outcome:
    """Run a random stage of the toy study where it cannot write, or hardly, `cases` times."""
    name = "a full, read-only or forbidden disk, stage by stage"
    if reason := disks.mountable():
        return Outcome(name, 0, [], [f"{name}: not run: {reason}"])
    problems: list[str] = []
    refused = 0
    with tempfile.TemporaryDirectory() as mounted, disks.disk(Path(mounted), SIZE):
        folder = Path(mounted) / "toy"
        folder.mkdir()
        damage.toy(folder)
        for path in (Path(mounted), folder):
            path.chmod(0o755)  # any user may enter
        for number in tqdm(range(cases), desc="places", unit="stage", disable=None):
            rng = random.Random(f"{seed}/{number}")
            kind, stage = rng.choice(KINDS), rng.choice(list(damage.STEPS))
            shutil.rmtree(folder / ".checkpoints", ignore_errors=True)  # so that the stage trains
            before = damage.contents(folder, stage)
            with trouble(kind, Path(mounted), rng.randint(0, 2 * sum(map(len, before.values())))):
                result = damage.run(folder, stage)
            refused += result.exit_code == 2
            problem = damage.complaint(result) if result.exit_code else None
            if result.exit_code == 0 and kind != "full":
                problem = "ends without an error"
            elif damage.contents(folder, stage) != before:
                problem = "changed its output"
            elif left := [str(path) for path in folder.glob("[!.]*/**/*.partial")]:
                problem = f"leaves {', '.join(left)}"
            if problem:
                problems.append(f"case {number} of seed {seed}: {stage}, {kind}: {problem}")
    return Outcome(name, cases, problems, [f"{name}: {refused} refused, the others had enough space"])


def trouble(kind: str, mounted: Path, left: int) -> AbstractContextManager[None]:
    """Return a context in which the disk at `mounted` is hard to write; a full one has `left` free bytes."""
    if kind == "full":
        return disks.full(mounted, left)
    return disks.read_only(mounted) if kind == "read-only" else disks.nobody()
