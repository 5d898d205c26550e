"""A random mask of the round's density, trained from scratch.

The baseline of sparse training (Evci et al. 2020, section 4), with the layers' densities of
`dynamic.densities`; `random-mask` has those of the round.
"""

from prunet.retraining.sparse_training import sparse_scheme

SCHEME = sparse_scheme("static sparse", "#999999", "<", (0, (1, 1)))
