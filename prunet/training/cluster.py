"""Training runs on the machines of a Ray cluster, whose address is in `RAY_ADDRESS`."""

import logging
import os
import socket
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from prunet.base import code
from prunet.base.errors import InputError
from prunet.base.processes import use_cores
from prunet.training.checkpoints import Checkpoint

ADDRESS = "RAY_ADDRESS"
ATTEMPTS = 5  # of a run that brought no new checkpoint
INSTALL = "pip install -r requirements-ray.txt"

# Of a process of the cluster: the trainer that it uses, and the folder with the code of the study's network.
_trainers: dict[str, tuple[Any, tempfile.TemporaryDirectory[str]]] = {}


def chosen() -> bool:
    """Return whether networks train on a cluster."""
    return bool(os.environ.get(ADDRESS))


def connect() -> dict[str, float]:
    """Connect to the cluster and send it this code; return its resources: `CPU`, `GPU`, ...

    Raises:
        InputError: Ray is not installed here, there is no cluster at the address, or it has another version.
    """
    address = os.environ[ADDRESS]
    try:
        import ray
    except ImportError:
        raise InputError(f"{ADDRESS} is set, and Ray is not installed: `{INSTALL}`, or unset it.") from None
    if not ray.is_initialized():
        _check_address(address)
        try:
            ray.init(
                address,
                runtime_env={"py_modules": [str(code.ROOT / "prunet")]},
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, ValueError) as error:
            raise _no_cluster(address, error) from None
        except RuntimeError as error:
            raise InputError(f"the Ray cluster at {address} cannot be used: {_first_line(error)}") from None
    return dict(ray.cluster_resources())


def _check_address(address: str) -> None:
    """Refuse at once what is not the address of a cluster; Ray would try for minutes."""
    if address.startswith("ray://"):
        raise InputError(
            f"{ADDRESS}={address} is an address of Ray Client, which prunet does not use: run the stage on a "
            f"machine of the cluster and set {ADDRESS}=auto."
        )
    host, _, port = address.rpartition(":")
    if not host:  # auto, or local: Ray knows
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _no_cluster(address, error) from None


def _no_cluster(address: str, error: Exception) -> InputError:
    return InputError(
        f"there is no Ray cluster at {ADDRESS}={address} ({_first_line(error)}): start one with "
        "`ray start --head`, or unset it."
    )


class Resources(NamedTuple):
    """Resources of one training run, on one machine."""

    cores: int
    gpus: int


def run(
    make: Callable[[Any], Any],
    data: Any,
    code_files: Sequence[Path],
    given: Sequence[Callable[[], Any]],
    checkpoints: Sequence[Checkpoint],
    each: Resources,
) -> Iterator[tuple[int, Any]]:
    """Train every run once, on any machines of the cluster, and write its outcome to its checkpoint here.

    The data go into the cluster's object store once. A run whose process, machine or memory is lost starts
    again elsewhere, from the last checkpoint that came back. No run outlives the iteration, nor this process.

    Args:
        make: returns a `Trainer` for the data, in a process of the cluster.
        data: a dataset.
        code_files: relative paths of the code of the study's own network.
        given: functions that return what the runs are trained from, called as late as possible.
        checkpoints: of each run.
        each: what a run gets.

    Yields:
        The number of a run with its evaluations as they come, and with None when it has finished.

    Raises:
        InputError: a run raised it, was lost `ATTEMPTS` times, or found other versions; or no machine of the
            cluster has what a run needs.
    """
    import ray

    connect()
    if not _room(each):
        raise InputError(
            f"a training run needs {each.cores} cores and {each.gpus} GPUs on one machine, and none of the "
            "Ray cluster has them: lower training.threads or training.ranks."
        )
    task = ray.remote(_train).options(num_cpus=each.cores, num_gpus=each.gpus, max_retries=0)
    shared = _share((make, data, {path: path.read_bytes() for path in code_files}))
    waiting, running, lost = deque(range(len(given))), dict[Any, int](), [0] * len(given)
    free = _room(each)
    try:
        while waiting or running:
            while waiting and len(running) < free:
                number = waiting.popleft()
                point = checkpoints[number]
                saved = point.path.read_bytes() if point.path.exists() else None
                arguments = given[number](), saved, point.key, point.seconds, each.cores, torch.__version__
                running[task.remote([shared], *arguments)] = number
            ready = ray.wait(list(running), num_returns=1, timeout=5)[0]
            for stream in ready:
                number, event = running[stream], _next(stream)
                if event is None or isinstance(event, Exception):
                    del running[stream]
                if event is None:
                    yield number, None
                elif isinstance(event, Exception):
                    lost[number] += 1
                    _give_up(lost[number], event)
                    waiting.append(number)
                else:
                    points, content = event
                    if content is not None:
                        checkpoints[number].receive(content)
                        lost[number] = 0
                    if points:
                        yield number, points
            if len(running) < free or not ready:
                free = _room(each)  # machines come and go
    finally:
        for stream in running:
            ray.cancel(stream, force=True)


def _room(each: Resources) -> int:
    """Return how many runs the machines of the cluster have room for."""
    import ray

    needs = {"CPU": each.cores, "GPU": each.gpus}
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return sum(int(min(has.get(kind, 0) // need for kind, need in needs.items() if need)) for has in machines)


def _share(values: Any) -> Any:
    """Put what all runs need into the cluster's object store."""
    import ray

    try:
        return ray.put(values)
    except ray.exceptions.ObjectStoreFullError:
        raise InputError(
            "the object store of the Ray cluster is too small for the data set: start Ray with a larger "
            "--object-store-memory."
        ) from None


def _next(stream: Any) -> tuple[list[Any], bytes | None] | Exception | None:
    """Return what a run yields next; None at its end; an error of Ray if the run was lost.

    Raises:
        InputError: the run raised it, or its machine has not what it needs.
    """
    import ray

    try:
        found: tuple[list[Any], bytes | None] = ray.get(next(stream))
    except StopIteration:
        return None
    except ray.exceptions.RayTaskError as error:
        raise _sentence(error) from None
    except ray.exceptions.RayError as error:
        lost: Exception = error
        return lost
    return found


def _give_up(times: int, error: Exception) -> None:
    if times == ATTEMPTS:
        raise InputError(
            f"a training run was lost {times} times on the cluster, last because of: {_first_line(error)}. "
            "Run the stage again to resume."
        )


def _train(
    shared: list[Any], given: Any, saved: bytes | None, key: str, seconds: float, threads: int, version: str
) -> Iterator[tuple[list[Any], bytes | None]]:
    """Train a run in a process of the cluster; yield evaluations, and new checkpoints as they come."""
    import ray

    if torch.__version__ != version:
        raise InputError(
            f"the machine {os.uname().nodename} has PyTorch {torch.__version__}, and this one {version}: "
            "install the same version on all machines of the cluster."
        )
    torch.set_num_threads(threads)
    if not torch.cuda.is_available():  # a GPU waits for its images, which all cores decode
        use_cores(threads)
    name = shared[0].hex()
    if name not in _trainers:
        make, data, code_files = ray.get(shared[0])
        _trainers.clear()
        code_folder = _working_folder(code_files)
        _trainers[name] = make(data), code_folder
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(Path(folder) / "run.safetensors", key, seconds)
        if saved is not None:
            checkpoint.receive(saved)
        sent = saved
        for points in _trainers[name][0].train_group(given, checkpoint):
            content = checkpoint.path.read_bytes() if checkpoint.path.exists() else None
            yield points, None if content == sent else content
            sent = content
        yield [], checkpoint.path.read_bytes()


def _working_folder(files: Mapping[Path, bytes]) -> tempfile.TemporaryDirectory[str]:
    """Make this process work in a new folder with some files, as a stage does in the study's folder."""
    folder = tempfile.TemporaryDirectory()
    for path, content in files.items():
        (folder.name / path).parent.mkdir(parents=True, exist_ok=True)
        (folder.name / path).write_bytes(content)
    os.chdir(folder.name)
    sys.path.insert(0, folder.name)
    return folder


def _sentence(error: Any) -> Exception:
    """Return the error of ours that a run raised, or one that names what is missing on its machine."""
    cause = error.cause
    if isinstance(cause, InputError):
        return InputError(cause.message)
    if isinstance(cause, ImportError):
        return InputError(
            f"a machine of the cluster has not the packages of a training run ({cause}): install "
            "requirements.txt on all of them."
        )
    return error  # type: ignore[no-any-return]


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
