"""Who asks: ``optimize()``, the ``torch.compile`` backend, capture, and the command."""
