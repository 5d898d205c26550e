"""The values after training, all steps at the last learning rate.

"Fine-tuning" (Renda et al. 2020, section 2; Han et al. 2015).
"""

from prunet.retraining.scheme import Scheme, Sources, Ticket
from prunet.training.plan import TrainingPlan


def ticket(sources: Sources) -> Ticket:
    """Return the trained values under the round's masks, trained at the last rate."""
    return Ticket(sources.trained(), sources.masks, TrainingPlan(last_rate=True))


SCHEME = Scheme(ticket, "fine-tuned", "#F0A030", "X", (0, (3, 1, 1, 1)))
