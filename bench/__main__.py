"""Run the benchmarks: `python -m bench`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch

from bench import crop, default_run, inference, ingest, lenet, light_cnn, machine
from bench.coverage import measure as coverage
from bench.engines import measure as engines
from bench.scale import measure as scale
from prunet.base import files

PARTS = {
    "lenet": lenet.measure,
    "light-cnn": light_cnn.measure,
    "inference": inference.measure,
    "crop": crop.measure,
    "ingest": ingest.measure,
    "default-run": default_run.measure,
}
ALONE: dict[str, Callable[[Path, bool], str]] = {
    "coverage": lambda output, quick: coverage.measure(output, coverage.FEW if quick else ()),
    "scale": scale.measure,
    "engines": engines.measure,
}
AT_LEAST = {
    "step_share_of_roofline": 0.5,
    "round_speedup_over_plain_loop": 10,
    "lightcnn_share_of_roofline": 0.5,
    "lenet_sparse_speedup_95": 3,
    "lightcnn_shrunk_share_of_flop_reduction": 0.8,
    "crop_speedup_over_plain_loop": 2,
    "ingest_least_share_of_bound": 0.9,
    "default_run_training_share": 0.75,
}
AT_MOST = {"evaluation_share_of_training": 0.2}


@click.command()
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([*PARTS, *ALONE]),
    help="Run only this part; repeatable. `coverage`, `scale` and `engines` run alone, with their own files.",
)
@click.option(
    "--quick", is_flag=True, help="Tiny sizes, to check that everything runs; the numbers mean nothing."
)
@click.option("--profile", is_flag=True, help="Only print the time of each operator in LeNet training.")
@click.argument("output", type=click.Path(path_type=Path), required=False)
def main(only: tuple[str, ...], quick: bool, profile: bool, output: Path | None) -> None:
    """Measure how fast prunet is on this machine; write OUTPUT (JSON) and print the results and targets.

    All parts take about a quarter of an hour on two cores, most of it the default `dvc repro`. Nothing else
    should run on the machine. OUTPUT is bench/results.json, if it is not given.

    `--only coverage` prunes networks of torchvision and timm (requirements-bench.txt) and writes
    bench/coverage.json; it takes about half an hour. `--only scale` measures how the cost of a study grows
    and writes bench/scale.json, in about six minutes. `--only engines` times sparse networks in engines
    (requirements-engines.txt; what is not installed is left out) and writes bench/engines.json, in about
    three minutes.
    """
    if alone := set(only) & ALONE.keys():
        if len(only) > 1:
            raise click.UsageError(f"{', '.join(sorted(alone))} runs alone: leave out the other parts.")
        click.echo(ALONE[only[0]](output or Path(f"bench/{only[0]}.json"), quick))
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a process that used more cannot be forked
    if profile:
        lenet.profile()
        return
    results: dict[str, Any] = {"quick": quick, "machine": machine.about(threads)}
    spread: dict[str, dict[str, float]] = {}
    for name in only or PARTS:
        values, found = PARTS[name](quick, threads)
        medians = machine.medians(found)
        results |= values
        spread |= {
            key: {"min": min(times), "median": medians[key], "max": max(times)}
            for key, times in found.items()
        }
    files.write_json(output or Path("bench/results.json"), results | {"spread": spread})
    click.echo(table(results, spread))


def table(results: dict[str, Any], spread: dict[str, dict[str, float]]) -> str:
    """Format every result with its range over the repeats and its target."""
    lines = [f"{'result':50}{'value':>10}  {'min to max':20}target"]
    for key, value in results.items():
        if isinstance(value, dict | bool):
            continue
        ends = spread.get(key)
        between = f"{ends['min']:.4g} to {ends['max']:.4g}" if ends else ""
        target = ""
        if key in AT_LEAST:
            target = f"at least {AT_LEAST[key]}: {'met' if value >= AT_LEAST[key] else 'missed'}"
        elif key in AT_MOST:
            target = f"at most {AT_MOST[key]}: {'met' if value <= AT_MOST[key] else 'missed'}"
        lines.append(f"{key:50}{value:>10.4g}  {between:20}{target}".rstrip())
    for name, share in results.get("default_run_split", {}).items():
        lines.append(f"{'  default run: ' + name:50}{share:>10.1%}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
