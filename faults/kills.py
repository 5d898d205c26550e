"""SIGKILL to a run and all that it started, at random moments of every stage."""

import os
import random
import signal
import tempfile
import threading
import time
from pathlib import Path

from tqdm import tqdm

from faults import miniature
from faults.outcomes import Outcome

TRIES = 6  # to kill a stage before it ends, each time sooner


def campaign(cases: int, *targets: str, seed: int = 0) -> Outcome:
    """Kill `dvc repro` of a small copy `cases` times, in every stage if there are enough, and let it finish.

    Nothing is mended by hand between two runs. In the end every output must be that of an undisturbed copy.

    Args:
        cases: how many kills.
        targets: stages to run, with what they need; all if none is named.
        seed: of the stages that are killed more than once, and of the moments.
    """
    with tempfile.TemporaryDirectory() as folder:
        undisturbed, clone = Path(folder) / "undisturbed", Path(folder) / "killed"
        miniature.copy(undisturbed)
        miniature.copy(clone)
        seconds = durations(undisturbed, targets)
        hits, problems = kill_all(clone, targets, seconds, cases, random.Random(seed))
        code, said = miniature.dvc(clone, "repro", *targets)
        if code:
            problems.append(f"after the kills `dvc repro` ends with code {code}: {said[-500:]}")
        else:
            problems += miniature.problems(clone, miniature.contents(undisturbed), *targets)
        # Of a stage whose output was whole already: the next run that writes it clears that away.
        left = miniature.leftovers(clone)
    never = [stage for stage in seconds if stage not in hits]
    notes = [f"killed in {len(set(hits))} of {len(seconds)} stages"]
    notes += [f"never killed: {', '.join(never)}"] if never else []
    return Outcome("SIGKILL to a run, then the next run", len(hits), problems, notes + left)


def durations(clone: Path, targets: tuple[str, ...]) -> dict[str, float]:
    """Run a copy undisturbed; return how many seconds each stage took, DVC's part with it, in their order."""
    said, began = [], {}
    with miniature.started(clone, "repro", *targets) as (process, lines):
        for line in lines:
            said.append(line)
            if stage := miniature.begun(line):
                began[stage] = time.monotonic()
        if process.wait():
            raise RuntimeError(f"an undisturbed run fails: {''.join(said[-20:])}")
    ends = [*began.values(), time.monotonic()]
    return {stage: ends[number + 1] - ends[number] for number, stage in enumerate(began)}


def kill_all(
    clone: Path, targets: tuple[str, ...], seconds: dict[str, float], cases: int, rng: random.Random
) -> tuple[list[str], list[str]]:
    """Kill run after run; return the stage that each kill hit, and a sentence if a run failed by itself."""
    hits: list[str] = []
    order = list(seconds)
    for stage in tqdm(planned(order, cases, rng), desc="kills", unit="kill", disable=None):
        for attempt in range(TRIES):
            # One that was done before the kill, or in an earlier run, runs once more by itself.
            arguments = ("--force", "--single-item", stage) if attempt else targets
            delay = rng.uniform(0, seconds[stage] / 2**attempt)
            hit, said = kill_in(clone, order[order.index(stage) :], delay, ("repro", *arguments))
            if said is not None:
                return hits, [f"the run after {len(hits)} kills failed by itself: {said[-500:]}"]
            hits += [hit] if hit else []
            if hit == stage:
                break
    return hits, []


def planned(stages: list[str], cases: int, rng: random.Random) -> list[str]:
    """Return the stages to kill, in their order: each once, then any again until there are `cases`."""
    count = min(cases, len(stages))
    once = [stages[number * len(stages) // count] for number in range(count)]
    return sorted(once + rng.choices(stages, k=cases - count), key=stages.index)


def kill_in(
    clone: Path, stages: list[str], delay: float, arguments: tuple[str, ...]
) -> tuple[str | None, str | None]:
    """Run DVC, and kill it `delay` seconds after it began one of `stages`.

    Returns:
        The stage that was running when it was killed, None if it ended before; what was said if it failed.
    """
    running, said = None, []
    with miniature.started(clone, *arguments) as (process, lines):
        killer = threading.Timer(delay, os.killpg, (process.pid, signal.SIGKILL))
        for line in lines:
            said.append(line)
            running = miniature.begun(line) or running
            if running in stages and not killer.ident:
                killer.start()
        killer.cancel()
        if killer.is_alive():  # before wait(): until then nobody else has the number of this group
            killer.join()
        code = process.wait()
    if code == -signal.SIGKILL:
        return running, None
    return None, "".join(said) if code else None
