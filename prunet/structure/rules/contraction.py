"""Sum over units with a weight, which gives units of its own."""

from prunet.structure.labels import Labels, along
from prunet.structure.tensors import Activation, Constant


def layer(
    labels: Labels,
    given: Activation,
    channel: int,
    weight: Constant,
    rows: int,
    columns: int,
    bias: Constant | None,
    groups: int = 1,
) -> Activation:
    """Give the rows of a weight labels of their own, and its columns those of the units that they read.

    Args:
        labels: of the program.
        given: the layer's input.
        channel: dimension of the input that the weight sums over.
        weight: its dimension `rows` computes units and its dimension `columns` reads them.
        rows, columns: dimensions of the weight.
        bias: (out,) or None.
        groups: of a convolution.
    """
    channel %= given.labels.ndim
    read = labels.tie(given.labels, [dim for dim in range(given.labels.ndim) if dim != channel]).flatten()
    out = weight.dims[rows]
    if groups == 1:
        labels.join(weight.dims[columns], read)
    elif groups == len(read):
        labels.join(out.view(groups, -1), read[:, None])
    else:
        for side in (read, out):
            labels.tie(side.view(groups, -1), [0])
        labels.join(weight.dims[columns], read[: len(read) // groups])
    for dim, own in enumerate(weight.dims):
        if dim not in (rows, columns):
            labels.keep(own)
    weight.base.masked = True
    if weight.base.rows is None:  # the first use of a weight with several computes its units
        weight.base.rows = weight.sources[rows]
    if isinstance(bias, Constant):
        labels.join(bias.dims[0], out)
        bias.base.masked = True
    return Activation(along(out, channel, given.labels.ndim), zero=True)
