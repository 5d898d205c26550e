"""Weights and learning rate of step `rewind` of the dense training.

Late resetting (Frankle et al. 2020, section 3), "weight rewinding" of Renda et al. 2020, section 2. Training
resumes at step `rewind` + 1, with the learning rates and images that the dense training had there.
"""

from prunet.retraining.scheme import Scheme, Sources, Ticket
from prunet.training.plan import TrainingPlan


def ticket(sources: Sources) -> Ticket:
    """Return the early values under the round's masks, trained from that step."""
    return Ticket(sources.early(), sources.masks, TrainingPlan(first=sources.rewind))


SCHEME = Scheme(ticket, "rewound weights", "#56B4E9", "p", (0, (6, 1)))
