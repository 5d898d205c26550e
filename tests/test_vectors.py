import torch

from prunet.training.vectors import pack, views


def stack():
    generator = torch.Generator().manual_seed(0)
    shapes = {"conv": (1, 4, 3, 5, 5), "fc": (1, 6, 7), "bias": (1, 6)}
    return {name: torch.rand(shape, generator=generator) for name, shape in shapes.items()}


def test_packed_tensors_are_copies_that_share_one_vector():
    for channels_last in (False, True):
        tensors = stack()
        vector, parts = pack(tensors, channels_last)
        assert len(vector) == sum(tensor.numel() for tensor in tensors.values())
        assert list(parts) == list(tensors)
        assert all(torch.equal(parts[name], tensors[name]) for name in tensors)
        vector.zero_()
        assert not any(part.any() for part in parts.values())
        assert tensors["fc"].any()  # they are copies


def test_filters_are_channels_last_in_memory_on_request():
    filters = pack(stack(), channels_last=True)[1]["conv"].squeeze(0)
    assert filters.is_contiguous(memory_format=torch.channels_last)
    assert pack(stack(), channels_last=False)[1]["conv"].is_contiguous()


def test_vectors_of_equal_layout_match_element_by_element():
    """So the masks' vector can multiply the weights' vector."""
    tensors = stack()
    weights, _ = pack(tensors, channels_last=True)
    masks = {name: (tensor > 0.5).float() for name, tensor in tensors.items()}
    weights.mul_(pack(masks, channels_last=True)[0])
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    for name, product in views(weights, shapes, channels_last=True).items():
        assert torch.equal(product, tensors[name] * masks[name])
