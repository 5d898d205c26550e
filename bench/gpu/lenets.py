"""Stacks of LeNets: against one after another, as CUDA graphs, and the time of a whole study."""

from collections.abc import Callable, Iterator
from functools import partial

import torch

from bench import lenet, prunet_loop
from bench.gpu.inputs import Sizes, step_ms
from bench.gpu.report import Row
from prunet.deployment.latency import alternate, quartiles
from prunet.training import batches, gradients

STACK = 15  # LeNets that should train ten times as fast together as one after another
STUDY_STEPS, REPLICATES = 10_000, 5  # of the study that should train within a minute


def lenets(device: torch.device, sizes: Sizes) -> Iterator[Row]:
    """Compare a stack of LeNets with one after another, and compute the time of a whole study.

    The study has 21 rounds, three schemes and five replicates. One scheme trains round after round, five
    networks together; of each other scheme the networks of all rounds are one stack.
    """
    one = step_ms(lenet_job(1, device, sizes))
    together = step_ms(lenet_job(STACK, device, sizes))
    yield Row("1 LeNet, ms per step", one)
    yield Row(f"{STACK} LeNets together, ms per step", together)
    yield Row(f"{STACK} LeNets: times faster together", STACK * one / together, at_least=10)
    chain = step_ms(lenet_job(REPLICATES, device, sizes, evaluate=True))
    scheme = step_ms(lenet_job(REPLICATES * sizes.rounds, device, sizes, evaluate=True))
    yield Row(f"{REPLICATES} LeNets with evaluations, ms per step", chain)
    yield Row(f"{REPLICATES * sizes.rounds} LeNets with evaluations, ms per step", scheme)
    seconds = STUDY_STEPS * ((1 + sizes.rounds) * chain + 2 * scheme) / 1000
    note = f"computed from {sizes.steps} steps of {STUDY_STEPS:,}"
    yield Row(
        f"study of {1 + sizes.rounds} rounds, 3 schemes, 5 replicates: seconds",
        seconds,
        at_most=60,
        note=note,
    )


def lenet_job(count: int, device: torch.device, sizes: Sizes, evaluate: bool = False) -> prunet_loop.Job:
    """Return a training of a stack of LeNets; without `evaluate` it evaluates a few images alone."""
    size = lenet.Sizes(sizes.images, sizes.steps, round_steps=sizes.steps, eval_every=sizes.eval_every)
    bare, whole = lenet.jobs(lenet.noise(size), size, count, device.type)
    settings = bare.settings | {"eval_every": sizes.steps // 2}
    return whole if evaluate else bare._replace(settings=settings)


def graphs(device: torch.device, sizes: Sizes) -> Iterator[Row]:
    """Measure the gradients of a stack of LeNets, launched one by one and replayed as one CUDA graph."""
    work = lenet_job(REPLICATES, device, sizes)
    network = gradients.network(work.model, work.settings)
    stack = {name: tensor.to(device) for name, tensor in work.start.items()}
    output = {name: torch.empty_like(tensor) for name, tensor in stack.items()}
    batch = batches.take(work.splits["train"], torch.arange(lenet.TRAINING["batch_size"]))
    images, labels = (torch.stack([part] * REPLICATES) for part in batch)
    task = partial(network.gradients, stack, images, labels, output)
    replay = captured(task, device)
    times = alternate({"launched": lambda _: task(), "graph": lambda _: replay()}, images, sizes.seconds)
    launched, graph = (1000 * quartiles(times[form])[1] for form in ("launched", "graph"))
    yield Row(f"gradients of {REPLICATES} LeNets, ms", launched)
    note = "" if device.type == "cuda" else "without a GPU: the same code twice"
    yield Row("the same as a CUDA graph: times faster", launched / graph, note=note)


def captured(task: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Return a function that replays a task as a CUDA graph; on a CPU, which has none, the task itself."""
    if device.type != "cuda":
        return task
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # a few calls first: libraries allocate their workspaces
        for _ in range(3):
            task()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        task()
    return graph.replay
