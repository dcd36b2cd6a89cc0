"""One script per claim. ``python -m benchmarks cpu --out DIR`` runs all that apply to a CPU; see ``--help``."""

import regraft.frontend.backend  # noqa: F401  (registers the backend where regraft is linked rather than installed)
