"""Stages whose disk is full, or whose place cannot be written: a sentence, and the old output as it was."""

import random
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

from tqdm import tqdm

from faults import damage, disks
from faults.outcomes import Outcome

KINDS = ("full", "read-only", "forbidden")
SIZE = 256 * 2**20  # bytes of the disk; the toy study takes a few


def campaign(cases: int, seed: int = 0) -> Outcome:
    """Run a random stage of the toy study, as often, where it cannot or can hardly write."""
    name = "a full, read-only or forbidden place, stage by stage"
    if reason := disks.mountable():
        return Outcome(name, 0, [], [f"{name}: not run: {reason}"])
    problems: list[str] = []
    refused = 0
    with tempfile.TemporaryDirectory() as place, disks.disk(Path(place), SIZE):
        folder = Path(place) / "toy"
        folder.mkdir()
        Path(place).chmod(0o755)
        damage.toy(folder)
        for number in tqdm(range(cases), desc="places", unit="stage", disable=None):
            rng = random.Random(f"{seed}/{number}")
            kind, stage = rng.choice(KINDS), rng.choice(list(damage.STEPS))
            before = damage.contents(folder, stage)
            with trouble(kind, Path(place), rng.randint(0, 2 * sum(map(len, before.values())))):
                result = damage.run(folder, damage.STEPS[stage])
            refused += result.exit_code == 2
            problem = damage.complaint(result) if result.exit_code else None
            if result.exit_code == 0 and kind != "full":
                problem = "ends as if nothing was wrong"
            elif damage.contents(folder, stage) != before:
                problem = "changed its output"
            elif left := [str(path) for path in folder.rglob("*.partial") if "unfinished" not in path.parts]:
                # The trainings beside one that fails are killed; what they were saving, the next run removes.
                problem = f"leaves {', '.join(left)}"
            if problem:
                problems.append(f"case {number} of seed {seed}: {stage}, {kind}: {problem}")
    return Outcome(name, cases, problems, [f"{name}: {refused} refused, for the others the space was enough"])


def trouble(kind: str, place: Path, left: int) -> AbstractContextManager[None]:
    """Return what makes the disk at `place` hard to write; of a full one `left` bytes are left."""
    if kind == "full":
        return disks.full(place, left)
    return disks.read_only(place) if kind == "read-only" else disks.nobody()
