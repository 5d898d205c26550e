"""Functions of one's own that build a network, and the files that they come from."""

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from modulefinder import ModuleFinder
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
    """List the Python files of a function's module, and of its imports from the working folder.

    Imports are found without running the code. prunet's own files, and those of installed packages, are not
    listed.

    Raises:
        InputError: a file has a syntax error.
    """
    source = name.rpartition(":")[0]
    finder = ModuleFinder(path=[str(Path.cwd())])
    try:
        if source.endswith(".py"):
            finder.run_script(source)
        else:
            finder.import_hook(source)
    except ImportError:
        return []
    except SyntaxError as error:
        raise InputError(f"{source} cannot be imported ({cause(error)}).") from None
    found = {
        Path(os.path.relpath(file))
        for name, module in finder.modules.items()
        if (file := getattr(module, "__file__", None)) and name.partition(".")[0] != "prunet"
    }
    return sorted(found)
