"""Symbolic tensors, the graph their calls record, shape inference, and lowering to `torch.fx`."""
