"""SIGKILL to a run and everything it started, at random moments of every stage."""

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

TRIES = 6  # attempts to kill a stage before it ends, each one earlier


def campaign(cases: int, *targets: str, seed: int = 0) -> Outcome:
    """Kill `dvc repro` of a small copy `cases` times, in every stage if possible, and then let it finish.

    Nothing is fixed by hand between two runs. At the end every output must equal that of an undisturbed copy.

    Args:
        cases: number of kills.
        targets: stages to run with all that they depend on; every stage by default.
        seed: decides which stages are killed more than once, and when.
    """
    with tempfile.TemporaryDirectory() as folder:
        undisturbed, clone = Path(folder) / "undisturbed", Path(folder) / "killed"
        miniature.copy(undisturbed)
        miniature.copy(clone)
        seconds = durations(undisturbed, targets)
        hits, problems = kill_all(clone, targets, seconds, cases, random.Random(seed))
        code, printed = miniature.dvc(clone, "repro", *targets)
        if code:
            problems.append(f"after the kills `dvc repro` ends with code {code}: {printed[-500:]}")
        else:
            problems += miniature.problems(clone, miniature.contents(undisturbed), *targets)
        # From kills after a stage's outputs were complete: the next run that writes them removes these.
        left = miniature.leftovers(clone)
    never = [stage for stage in seconds if stage not in hits]
    notes = [f"killed in {len(set(hits))} of {len(seconds)} stages"]
    notes += [f"never killed: {', '.join(never)}"] if never else []
    return Outcome("SIGKILL to a run, then the next run", len(hits), problems, notes + left)


def durations(clone: Path, targets: tuple[str, ...]) -> dict[str, float]:
    """Run a copy undisturbed; return the seconds of each stage, DVC's part included, in running order."""
    printed: list[str] = []
    began: dict[str, float] = {}
    with miniature.started(clone, "repro", *targets) as (process, lines):
        for line in lines:
            printed.append(line)
            began |= dict.fromkeys(miniature.stages(line), time.monotonic())
        if process.wait():
            raise RuntimeError(f"an undisturbed run fails: {''.join(printed[-20:])}")
    ends = [*began.values(), time.monotonic()]
    return {stage: ends[number + 1] - ends[number] for number, stage in enumerate(began)}


def kill_all(
    clone: Path, targets: tuple[str, ...], seconds: dict[str, float], cases: int, rng: random.Random
) -> tuple[list[str], list[str]]:
    """Kill run after run; return the stage that each kill hit, and a sentence if a run failed on its own."""
    hits: list[str] = []
    order = list(seconds)
    for stage in tqdm(planned(order, cases, rng), desc="kills", unit="kill", disable=None):
        for attempt in range(TRIES):
            # A stage that finished before the kill, or in an earlier run, runs again alone.
            arguments = ("--force", "--single-item", stage) if attempt else targets
            delay = rng.uniform(0, seconds[stage] / 2**attempt)
            hit, failure = kill_in(clone, order[order.index(stage) :], delay, ("repro", *arguments))
            if failure is not None:
                return hits, [f"the run after {len(hits)} kills failed on its own: {failure[-500:]}"]
            hits += [hit] if hit else []
            if hit == stage:
                break
    return hits, []


def planned(stages: list[str], cases: int, rng: random.Random) -> list[str]:
    """Return the stages to kill, in running order: each once, then random ones until there are `cases`."""
    count = min(cases, len(stages))
    once = [stages[number * len(stages) // count] for number in range(count)]
    return sorted(once + rng.choices(stages, k=cases - count), key=stages.index)


def kill_in(
    clone: Path, stages: list[str], delay: float, arguments: tuple[str, ...]
) -> tuple[str | None, str | None]:
    """Run DVC, and kill it `delay` seconds after it started one of `stages`.

    Returns:
        The stage that was running when DVC was killed, or None if DVC ended before; and what was printed if
        DVC failed.
    """
    running, printed = None, []
    with miniature.started(clone, *arguments) as (process, lines):
        killer = threading.Timer(delay, os.killpg, (process.pid, signal.SIGKILL))
        for line in lines:
            printed.append(line)
            running = next(iter(miniature.stages(line)), running)
            if running in stages and not killer.ident:
                killer.start()
        killer.cancel()
        if killer.is_alive():  # before wait(): until then no other process gets the number of this group
            killer.join()
        code = process.wait()
    if code == -signal.SIGKILL:
        return running, None
    return None, "".join(printed) if code else None
