"""The values before training: the lottery ticket.

Frankle & Carbin 2019, section 2: rewinding to step 0, whatever `rewind` is.
"""

from prunet.retraining.scheme import Scheme, Sources, Ticket


def ticket(sources: Sources) -> Ticket:
    """Return the initial values under the round's masks."""
    return Ticket(sources.initial(), sources.masks)


SCHEME = Scheme(ticket, "original (ticket)", "#0072B2", "o", "-", dense_at_round_0=True)
