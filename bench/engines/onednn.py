"""oneDNN's product of compressed sparse rows and a dense matrix, through its C interface.

The package on PyPI finds the processor through OpenCL: OCL_ICD_FILENAMES must name its libintelocl.so.
"""

import ctypes
import sys
from collections.abc import Callable
from ctypes import c_int, c_int64, c_size_t, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

FLOAT, INTEGER, CPU, IN_ORDER = 3, 4, 1, 1  # values of its enumerations
SOURCE, WEIGHTS, DESTINATION = 1, 33, 17
NEEDS = ("libtbb.so.12", "libintlc.so.5", "libimf.so", "libsvml.so", "libsycl.so.9", "libdnnl.so.3")


class Argument(ctypes.Structure):
    """A memory and its role in a primitive."""

    _fields_ = [("role", c_int), ("memory", c_void_p)]


def product(weight: Any, columns: int) -> Callable[[Tensor], Tensor]:
    """Return the function from x (in, columns) to weight (out, in) @ x."""
    rows = csr_array(weight)
    parts = (rows.data, rows.indices.astype(np.int32), rows.indptr.astype(np.int32))
    outputs, inputs = weight.shape
    y = torch.empty(outputs, columns)
    engine, stream = _engine()
    sparse = _made(
        "memory_desc_create_with_csr_encoding",
        2,
        _dims(outputs, inputs),
        FLOAT,
        c_int64(rows.nnz),
        INTEGER,
        INTEGER,
    )
    given, answer = (
        _made("memory_desc_create_with_strides", 2, _dims(count, columns), FLOAT, _dims(columns, 1))
        for count in (inputs, outputs)
    )
    description = _made("matmul_primitive_desc_create", engine, sparse, given, None, answer, None)
    primitive = _made("primitive_create", description)
    handles = (c_void_p * 3)(*(part.ctypes.data for part in parts))
    weights = _made("memory_create_v2", sparse, engine, 3, handles)
    x = _made("memory_create", given, engine, c_void_p(0))
    memory = _made("memory_create", answer, engine, c_void_p(y.data_ptr()))
    roles = ((SOURCE, weights), (WEIGHTS, x), (DESTINATION, memory))
    arguments = (Argument * 3)(*(Argument(role, handle) for role, handle in roles))
    library = _library()

    def multiply(columns: Tensor, parts: Any = parts) -> Tensor:  # keeps the arrays that oneDNN reads
        library.dnnl_memory_set_data_handle(x, c_void_p(columns.data_ptr()))
        library.dnnl_primitive_execute(primitive, stream, 3, arguments)
        library.dnnl_stream_wait(stream)
        return y

    return multiply


@cache
def _library() -> ctypes.CDLL:
    folder = Path(sys.prefix) / "lib"
    return [ctypes.CDLL(str(folder / name), mode=ctypes.RTLD_GLOBAL) for name in NEEDS][-1]


@cache
def _engine() -> tuple[c_void_p, c_void_p]:
    engine = _made("engine_create", CPU, c_size_t(0))
    return engine, _made("stream_create", engine, IN_ORDER)


def _dims(*sizes: int) -> Any:
    return (c_int64 * 12)(*sizes)


def _made(name: str, *arguments: Any) -> c_void_p:
    handle = c_void_p()
    if status := getattr(_library(), f"dnnl_{name}")(ctypes.byref(handle), *arguments):
        raise OSError(f"oneDNN's {name} failed with status {status}")
    return handle
