"""The kernels on a GPU, a benchmark for each family: ours beside eager, ``torch.compile`` and the best library.

What runs, on bf16 and at the sizes of the goals, is in the modules of this folder; :mod:`.case` says how.
"""
