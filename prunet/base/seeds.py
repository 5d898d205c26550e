"""One seed for each purpose, all derived from `seed` in params.yaml."""

import hashlib


def derive(seed: int, *purpose: str | int) -> int:
    """Return the seed of one purpose: 0 to 2**63 - 1, the same on every machine.

    Purposes are spelled out, as in `derive(seed, "digits", "order", replicate)`, so that a seed does not
    depend on how many others were drawn before it.
    """
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1
