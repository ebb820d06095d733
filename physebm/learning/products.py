"""Moved to `physebm.native.products`."""

from physebm.native.products import cross, single_threaded_blas, times  # noqa: F401
