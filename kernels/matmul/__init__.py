"""Products of matrices with pointwise work before and after: ``chain(chain(a) @ b)``."""
