"""All networks with all libraries, one after another."""

import importlib.util
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from bench.coverage import networks
from bench.coverage.checks import Row, check
from bench.coverage.children import limited
from bench.coverage.table import table
from prunet.base import files
from prunet.base.errors import InputError
from prunet.structure.finding import find_units

CHECKOUT = Path(__file__).parents[2]
LIBRARIES = {"prunet": "prunet", "Torch-Pruning": "torch_pruning"}  # {name in PRUNERS: module}
SECONDS, GIGABYTES = 200, 18  # processor time and memory of one network with one library
FEW = ("own:residual with projection", "own:one layer")  # of a quick run


def measure(output: Path, names: Sequence[str] = ()) -> str:
    """Prune networks with prunet, and with Torch-Pruning if it is installed; write rows, return a table.

    Args:
        output: JSON list of {library, model, result, reason, forms (the equal ones), parameters,
            parameters_after, multiply_adds, multiply_adds_after (for one input), seconds, precision,
            difference}.
        names: of networks; all if there are none.

    Raises:
        InputError: a library of networks is not installed.
    """
    libraries = [name for name, module in LIBRARIES.items() if importlib.util.find_spec(module)]
    torch.set_num_threads(1)  # a process that used more cannot be forked
    torch.backends.mha.set_fastpath_enabled(False)  # the multiply-adds of its operations are not counted
    names = names or networks.names()
    _import(*{name.partition(":")[0] for name in names} - {"own"}, *(LIBRARIES[name] for name in libraries))
    rows = []
    with tqdm(names, desc="coverage", disable=None) as progress:
        for name in progress:
            progress.set_postfix_str(name)
            rows += [row_of(library, name) for library in libraries]
            for row in rows[-len(libraries) :]:
                if row["result"] != "equal":
                    progress.write("{library}, {model}: {result}: {reason}".format(**row), file=sys.stderr)
    files.write_json(output, rows)
    return table(rows)


def _import(*modules: str) -> None:
    """Import modules once, so that no process has to, and what is imported at the first export."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise InputError(f"{module} is not installed: `pip install -r requirements-bench.txt`.")
        importlib.import_module(module)
    find_units(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).eval(), torch.zeros(2, 4))


def row_of(library: str, name: str) -> Row:
    """Check a network in a process of its own."""
    try:
        found = limited(partial(check, library, name), SECONDS, GIGABYTES)
    except RuntimeError as error:
        found = {"result": "refused", "reason": str(error)}
    found["reason"] = found["reason"].replace(f"{CHECKOUT}/", "")
    return {"library": library, "model": name, **found}
