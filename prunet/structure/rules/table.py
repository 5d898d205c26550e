"""Table of the rules, by the names of ATen operations.

A rule takes the labels of the program, the node, and the operation's arguments by their names in PyTorch's
schema, and returns the results. A new operation is one function, or one name in the line of its kind.
"""

from collections.abc import Callable
from typing import Any

from prunet.structure.rules import elementwise, layers, moves, norms, products, recurrent

Rule = Callable[..., Any]

ELEMENTWISE = (
    "relu relu_ relu6 relu6_ gelu silu silu_ hardswish hardswish_ hardsigmoid hardsigmoid_ sigmoid "
    "sigmoid_ tanh tanh_ elu elu_ selu selu_ celu celu_ leaky_relu leaky_relu_ hardtanh hardtanh_ mish "
    "mish_ softplus hardshrink softshrink log_sigmoid neg abs exp log sqrt rsqrt "
    "square reciprocal sin cos erf pow clamp clamp_ clamp_min clamp_min_ clamp_max sign round floor "
    "dropout dropout_ feature_dropout alpha_dropout clone contiguous to _to_copy alias detach detach_ "
    "type_as lift_fresh_copy logical_not bitwise_not add add_ sub sub_ rsub mul mul_ div div_ maximum "
    "minimum where lt le gt ge eq ne masked_fill masked_fill_ copy_ lerp addcmul fill_ zero_ "
    "threshold zeros_like ones_like full_like empty_like"
)
SPATIAL = (
    "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d "
    "adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d "
    "max_pool2d_with_indices upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_bilinear2d "
    "upsample_bicubic2d upsample_linear1d upsample_trilinear3d _adaptive_avg_pool2d"
)
REDUCING = (
    "mean sum amax amin var std var_mean logsumexp linalg_vector_norm norm softmax _softmax log_softmax "
    "prod cumsum"
)
MOVING = (
    "permute transpose t numpy_T mT flatten unflatten slice select chunk split split_with_sizes unbind "
    "expand expand_as squeeze unsqueeze roll stack cat concat concatenate index index_select repeat "
    "movedim swapaxes flip unfold narrow tile channel_shuffle pixel_shuffle pixel_unshuffle "
    "repeat_interleave reshape view_as reshape_as tensor_split hsplit"
)

RULES: dict[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE.split(), elementwise.elementwise),
    **dict.fromkeys(SPATIAL.split(), norms.pool),
    **dict.fromkeys(REDUCING.split(), norms.reduce),
    **dict.fromkeys(MOVING.split(), moves.move),
    **dict.fromkeys(recurrent.LAYERS, recurrent.layers),
    **dict.fromkeys(recurrent.CELLS, recurrent.cell),
    "zeros": recurrent.zeros,
    "new_zeros": recurrent.zeros,
    "max": norms.extremum,
    "min": norms.extremum,
    **dict.fromkeys(("cat", "concat", "concatenate", "stack"), moves.cat),
    **dict.fromkeys(("index", "index_select"), moves.index),
    "expand_as": moves.expand_as,
    "channel_shuffle": moves.channel_shuffle,
    "view": moves.view,
    "_unsafe_view": moves.view,
    "pad": moves.pad,
    "constant_pad_nd": moves.pad,
    "prelu": elementwise.prelu,
    "linear": layers.linear,
    "addmm": layers.addmm,
    "conv1d": layers.convolution,
    "conv2d": layers.convolution,
    "conv3d": layers.convolution,
    "conv_transpose1d": layers.convolution,
    "conv_transpose2d": layers.convolution,
    "conv_transpose3d": layers.convolution,
    "embedding": layers.embedding,
    "batch_norm": norms.batch_norm,
    "instance_norm": norms.batch_norm,
    "layer_norm": norms.layer_norm,
    "rms_norm": norms.layer_norm,
    "group_norm": norms.group_norm,
    "matmul": products.matmul,
    "bmm": products.matmul,
    "mm": products.matmul,
    "baddbmm": products.baddbmm,
    "einsum": products.einsum,
    "glu": elementwise.glu,
    "scaled_dot_product_attention": products.attention,
}
