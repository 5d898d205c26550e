"""A network as a file of LiteRT (formerly TensorFlow Lite), by way of Keras."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn


def tflite(model: nn.Sequential, images: Tensor, sparse: bool, folder: Path) -> bytes:
    """Return the file of a network for a batch of this size; its input is (B, H, W, C).

    Args:
        model: of the layers that `_layer` knows.
        images: (B, C, H, W).
        sparse: whether tensors with many zeros are stored as sparse ones, as XNNPACK's sparse kernels demand.
        folder: for TensorFlow's own format.
    """
    import tensorflow

    batch, channels, height, width = images.shape
    made = tensorflow.keras.Sequential([tensorflow.keras.Input((height, width, channels))])
    for layer in model:
        padding = layer.padding[0] if isinstance(layer, nn.Conv2d) else 0
        if padding:
            made.add(tensorflow.keras.layers.ZeroPadding2D(padding))
        made.add(_layer(layer, tensorflow.keras.layers))
        if weights := _weights(layer):
            made.layers[-1].set_weights(weights)
    signature = tensorflow.TensorSpec((batch, height, width, channels))
    made.export(folder, verbose=False, input_signature=[signature])
    converter = tensorflow.lite.TFLiteConverter.from_saved_model(str(folder))
    if sparse:
        converter.optimizations = [tensorflow.lite.Optimize.EXPERIMENTAL_SPARSITY]
    content: bytes = converter.convert()
    return content


def _layer(layer: nn.Module, layers: Any) -> Any:
    if isinstance(layer, nn.Linear):
        return layers.Dense(layer.out_features)
    if isinstance(layer, nn.Conv2d) and layer.groups > 1:
        return layers.DepthwiseConv2D(layer.kernel_size, layer.stride)
    if isinstance(layer, nn.Conv2d):
        return layers.Conv2D(layer.out_channels, layer.kernel_size, layer.stride)
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        return layers.GlobalAveragePooling2D(keepdims=True)
    return {nn.ReLU: layers.ReLU, nn.Flatten: layers.Flatten}[type(layer)]()


def _weights(layer: nn.Module) -> list[Any]:
    """Return a layer's tensors in Keras's order of axes."""
    if isinstance(layer, nn.Linear):
        return [layer.weight.T.numpy(), layer.bias.numpy()]
    if isinstance(layer, nn.Conv2d):
        assert layer.bias is not None
        order = (2, 3, 0, 1) if layer.groups > 1 else (2, 3, 1, 0)
        return [layer.weight.permute(order).numpy(), layer.bias.numpy()]
    return []
