"""The values after training, with learning rates rewound to step `rewind`.

"Learning rate rewinding" (Renda et al. 2020, section 2): steps `rewind` + 1 to the last. With `rewind: 0` it
is `trained`.
"""

from prunet.retraining.scheme import Scheme, Sources, Ticket
from prunet.training.plan import TrainingPlan


def ticket(sources: Sources) -> Ticket:
    """Return the trained values under the round's masks, trained from step `rewind`."""
    return Ticket(sources.trained(), sources.masks, TrainingPlan(first=sources.rewind))


SCHEME = Scheme(ticket, "rewound learning rate", "#A63603", "h", (0, (6, 1, 1, 1)))
