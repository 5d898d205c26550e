"""The values after training, and all steps once more.

Prune and train again (Han et al. 2015, section 3.2); with the whole learning-rate schedule, as here, it is
`lr-rewind` to step 0.
"""

from prunet.retraining.scheme import Scheme, Sources, Ticket


def ticket(sources: Sources) -> Ticket:
    """Return the trained values under the round's masks."""
    return Ticket(sources.trained(), sources.masks)


SCHEME = Scheme(ticket, "trained (kept)", "#D55E00", "s", "--")
