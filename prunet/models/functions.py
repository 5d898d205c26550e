"""Functions of one's own that build a network, and the files that they come from."""

import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from prunet.base.errors import InputError, cause


def find(name: str) -> Callable[..., Any]:
    """Return the function that a name stands for, such as `package.module:net` or `networks/mine.py:net`.

    Its code runs. What it imports is looked for in the working folder and among the installed packages.

    Raises:
        InputError: the file, module or function is missing, or cannot be imported.
    """
    source, _, own = name.rpartition(":")
    try:
        module = _from_file(Path(source)) if source.endswith(".py") else importlib.import_module(source)
    except FileNotFoundError:
        raise InputError(f"{source}, the file of the model, does not exist.") from None
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if f"{source}.".startswith(f"{missing}."):
            raise InputError(f"the model's module {source} is not found: there is no {missing}.") from None
        raise InputError(f"{source} imports {missing}, which is not installed.") from None
    except Exception as error:  # the user's code may raise anything
        raise InputError(f"{source} cannot be imported ({cause(error)}).") from None
    function = getattr(module, own, None)
    if not callable(function):
        raise InputError(f"{source} has no function {own}.")
    return function  # type: ignore[no-any-return]


def _from_file(path: Path) -> ModuleType:
    name = f"own_network_{path.stem}"
    loader = SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # data classes look their module up
    loader.exec_module(module)
    return module


def call(function: Callable[..., Any], classes: int) -> Any:
    """Call a function with `num_classes` if it takes that, otherwise without arguments."""
    parameters = inspect.signature(function).parameters.values()
    takes = any(each.name == "num_classes" or each.kind is each.VAR_KEYWORD for each in parameters)
    return function(num_classes=classes) if takes else function()


def files(name: str) -> list[Path]:
    """List the Python files below the working folder that a function's module consists of.

    These are its own and those that it imports, found without running the code. prunet's are not listed.

    Raises:
        InputError: a file is not Python.
    """
    source = name.rpartition(":")[0]
    found: set[Path] = set()
    new = {Path(source)} if source.endswith(".py") else _local(source)
    while new:
        found |= new
        new = {other for file in new for module in _imports(file) for other in _local(module)} - found
    return sorted(found)


def _imports(file: Path) -> list[str]:
    """List the modules that a file imports, and names in them, which may be modules too."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise InputError(f"{file} cannot be imported ({cause(error)}).") from None
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            folders = file.parent.parts
            start = folders[: len(folders) + 1 - node.level] if node.level else ()
            module = ".".join([*start, *([node.module] if node.module else [])])
            names += [f"{module}.{alias.name}" for alias in node.names]
    return names


def _local(module: str) -> set[Path]:
    """Return the files below the working folder that importing a module runs: its own, and its packages'."""
    parts = module.split(".")
    paths = [Path(*parts[:count]) for count in range(1, len(parts) + 1)]
    candidates = {file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py")}
    return {file for file in candidates if file.is_file() and parts[0] != "prunet"}
