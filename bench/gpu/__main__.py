"""Everything that only a GPU can show: `python -m bench.gpu`, about ten minutes."""

import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from tqdm import tqdm

from bench.gpu import checks, convolutions, forms, lenets, memory
from bench.gpu.inputs import QUICK, Sizes
from bench.gpu.report import Row, table
from prunet.base import files
from prunet.base.errors import InputError, cause
from prunet.models.built_in import MODELS
from prunet.training import loop

Part = Callable[[torch.device, Sizes], Iterator[Row]]
PARTS: dict[str, Part] = {
    "tests": checks.tests,
    **{
        f"{name} {dtype}": partial(checks.train, name, dtype)
        for name in MODELS
        for dtype in checks.TOLERANCES
    },
    "lenets": lenets.lenets,
    "throughput": convolutions.throughput,
    "forms": forms.forms,
    "stacks": convolutions.stacks,
    "2:4 product": forms.product,
    "memory": memory.shortage,
    "graphs": lenets.graphs,  # last: a failed capture may leave the GPU unusable
}
FAILED = "failed"


@click.command()
@click.option("--device", default="cuda", type=click.Choice(["cuda", "cpu"]), help="`cpu`: rehearse.")
@click.option(
    "--quick", is_flag=True, help="Tiny sizes, to check that everything runs; the numbers mean nothing."
)
@click.option(
    "--only",
    multiple=True,
    metavar="PART",
    type=click.Choice([*PARTS]),
    help="Run only this part, such as lenets or 'resnet-20 bfloat16'; repeatable.",
)
@click.argument("output", type=click.Path(path_type=Path), default=Path("bench/gpu.json"))
def main(device: str, quick: bool, only: tuple[str, ...], output: Path) -> None:
    """Check and measure prunet on a GPU; write OUTPUT (JSON, bench/gpu.json if not given), print a table.

    It needs PyTorch, NumPy, SciPy, safetensors, click, psutil, tqdm, Pillow and threadpoolctl, and pytest for
    the tests; no DVC, no TensorFlow. If a part fails, the others run all the same, and the exit code is 1.
    """
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif not torch.cuda.is_available():
        raise InputError(
            "PyTorch finds no GPU here: rehearse with `python -m bench.gpu --device cpu --quick`."
        )
    chosen, sizes = loop.device(), QUICK if quick else Sizes()
    name_of_device = torch.cuda.get_device_name() if chosen.type == "cuda" else "cpu"
    about = {"device": name_of_device, "torch": torch.__version__, "quick": quick}
    rows: list[dict[str, Any]] = []
    seconds: dict[str, float] = {}
    for name in tqdm(only or PARTS, desc="gpu", disable=None, leave=False):
        began = time.perf_counter()
        rows += [{"part": name} | row._asdict() for row in safely(PARTS[name], chosen, sizes)]
        seconds[name] = time.perf_counter() - began
        files.write_json(output, about | {"seconds": seconds, "rows": rows})
        torch.cuda.empty_cache()
    click.echo(table(name_of_device, rows))
    sys.exit(any(row["name"] == FAILED for row in rows))


def safely(part: Part, device: torch.device, sizes: Sizes) -> Iterator[Row]:
    """Yield the rows of a part, and one named `FAILED` if it raises an error."""
    try:
        for row in part(device, sizes):
            finite = row.value is None or math.isfinite(row.value)
            yield row if finite else row._replace(value=None, note="not a finite number")
    except Exception as error:
        traceback.print_exc()
        yield Row(FAILED, None, note=cause(error))


if __name__ == "__main__":
    main()
