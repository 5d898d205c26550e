"""Fingerprints of what decides the bits of a result: the code and the processor."""

import ast
import hashlib
import platform
from pathlib import Path

ROOT = Path(__file__).parents[2]  # the checkout
CPUINFO = Path("/proc/cpuinfo")
MODEL = ("model name", "CPU implementer", "CPU part")  # x86; ARM
VECTOR = ("sse", "ssse", "avx", "fma", "f16c", "amx", "asimd", "sve")  # how vector instruction sets begin


def digest(*paths: str | Path) -> str:
    """Return the SHA-256 of Python code, in hexadecimal, ignoring comments, docstrings and formatting.

    Args:
        paths: files and folders (every `*.py` in them, at any depth), relative to the checkout.

    Raises:
        ValueError: a path does not exist, or is a folder without Python files.
    """
    files = sorted({file for path in paths for file in _python_files(ROOT / path)})
    sha = hashlib.sha256()
    for file in files:
        sha.update(f"{file.relative_to(ROOT).as_posix()}\n{_syntax_tree(file)}\n".encode())
    return sha.hexdigest()


def _python_files(path: Path) -> list[Path]:
    files = [path] if path.is_file() else list(path.rglob("*.py"))
    if not files:
        raise ValueError(f"{path} is neither a Python file nor a folder with Python files")
    return files


def _syntax_tree(file: Path) -> str:
    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = node.body[ast.get_docstring(node, clean=False) is not None :]
    return ast.dump(tree, include_attributes=False)


def processor() -> str:
    """Describe the kind of processor: architecture, model and vector instruction sets.

    PyTorch and its libraries choose their kernels by these, so another kind may compute other bits.
    """
    first = CPUINFO.read_text().partition("\n\n")[0] if CPUINFO.exists() else ""
    fields = {
        name.strip(): value.strip() for name, _, value in (s.partition(":") for s in first.splitlines())
    }
    model = [fields[name] for name in MODEL if name in fields] or [platform.processor()]
    flags = fields.get("flags", fields.get("Features", "")).split()
    return " ".join([platform.machine(), *model, *sorted(flag for flag in flags if flag.startswith(VECTOR))])
