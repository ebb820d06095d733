"""Words that the command line offers, in a file of their own: its help loads nothing else."""

METHODS = ("heat-bath", "metropolis", "swendsen-wang", "wolff", "zero-temperature")
"""Updates of [sample], those of `lowering.pipeline`."""

STAGES = ("model", "plan", "numba", "cuda")
"""What `show` prints: a physics note, the sweep plan, or the source of a backend's kernel."""

BACKENDS = ("auto", "numba", "cuda", "reference", "cuda-host")
"""Where kernels run: `backends.select`."""
