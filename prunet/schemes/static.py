"""A random mask of the round's density, trained from scratch.

The baseline of sparse training (Evci et al. 2020, section 4), with the layers' densities of
`dynamic.densities`; `random-mask` has those of the round.
"""

from prunet.retraining.scheme import Scheme
from prunet.retraining.sparse_training import sparse_ticket

SCHEME = Scheme(
    sparse_ticket,
    "static sparse",
    "#999999",
    "<",
    (0, (1, 1)),
    dense_at_round_0=True,
    keeps_mask=False,
    dynamic=True,
    seed="sparse",
)
