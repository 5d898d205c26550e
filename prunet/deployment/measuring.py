"""Measurement of all rounds of a scheme: bytes, memory, operations and inference time."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from prunet.base.processes import cores
from prunet.base.progress import progress
from prunet.deployment import costs, forms, inference
from prunet.deployment.costs import Row
from prunet.deployment.selection import Ticket
from prunet.deployment.smaller import smaller
from prunet.training.batches import prepare
from prunet.training.streams import Images, pixels


def measure_rounds(
    select: Callable[[str], Ticket],
    rounds: Sequence[str],
    dense: Ticket,
    images: Images,
    labels: NDArray[np.int64],
    settings: Mapping[str, Any],
) -> dict[str, list[Row]]:
    """Measure one network of every round.

    Args:
        select: returns the ticket of a round.
        rounds: all rounds, in ascending order.
        dense: the unpruned network, with the metadata of the study.
        images: (N, C, S, S), the test split.
        labels: (N,).
        settings: the block `footprint` of params.yaml.

    Returns:
        The rows of three tables: `footprint` (a row for each round, without times for rounds that are not
        timed), `latency` (the times of every form and batch at the timed rounds) and `quantised` (size and
        accuracy of every round and codebook).
    """
    torch.set_num_threads(settings["threads"])
    weights, _, metadata = dense
    network = inference.build(weights, metadata)
    on_disk = partial(
        costs.on_disk,
        bits=settings["bits"],
        images=images,
        labels=labels,
        accuracy_dense=inference.accuracy(network, images, labels, metadata),
    )
    with ThreadPoolExecutor(cores()) as pool:  # gzip takes most of the time, and releases the GIL
        found = pool.map(lambda number: on_disk(select(number)), rounds)
        stored = list(progress(found, desc="size", total=len(rounds), unit="round"))

    chosen = np.resize(np.arange(len(labels)), max(settings["batches"]))  # a small test split is repeated
    prepared = prepare(torch.from_numpy(pixels(images, chosen)), metadata["preparation"])
    batches = [prepared[:size] for size in settings["batches"]]
    timed = forms.timed_rounds(rounds, settings["rounds"])
    tables: dict[str, list[Row]] = {"footprint": [], "latency": [], "quantised": []}
    for number, (sizes, quantised) in zip(progress(rounds, desc="time", unit="round"), stored, strict=True):
        ticket = select(number)
        masked = inference.build(ticket[0], metadata)
        small = smaller(masked, ticket[1], batches[0])
        own = {"round": number, "density": ticket[2]["density"]}
        row = own | sizes | costs.in_memory(ticket, masked, small)
        if number in timed:
            times = forms.latencies(network, masked, small, batches, settings["seconds"])
            row |= forms.best(times)
            tables["latency"] += [own | time for time in times]
        tables["footprint"].append(row)
        tables["quantised"] += quantised
    return tables
