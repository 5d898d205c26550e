"""Deployable forms of tickets (compact file, smaller network, sparse execution, ONNX) and their costs."""
