"""Training steps that a network of each scheme and round has cost, those that made its mask included."""

from collections.abc import Collection, Mapping

from prunet.analysis.summary import Results


def training_steps(
    results: Results, chain: str, before: Mapping[str, str], once: Collection[str]
) -> dict[tuple[str, str], int]:
    """Return the steps by scheme and round: of the dense networks, and of the rounds that prune.

    The networks of a round come after the dense training and, if the rounds are iterative, the chain's
    networks of all rounds before. Those of schemes that train once come after nothing.

    Args:
        results: of all cells.
        chain: the scheme whose trained networks the next round prunes.
        before: {round: folder of the networks that it prunes}, `dense` or `chain/ROUND`.
        once: schemes that need no trained networks.
    """

    def own(scheme: str, number: str) -> int:
        steps = results[scheme, number]["networks"][0]["curve"]["step"]
        return int(steps[-1] - steps[0])

    def spent(folder: str) -> int:
        if folder == "dense":
            return own("dense", "00")
        number = folder.removeprefix("chain/")
        return own(chain, number) + spent(before[number])

    return {
        (scheme, number): own(scheme, number)
        + (0 if scheme == "dense" or scheme in once else spent(before[number]))
        for scheme, number in results
        if scheme == "dense" or number != "00"
    }
