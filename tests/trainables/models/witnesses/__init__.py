"""Second witnesses: our parts against public packages that implement the same papers.

Each takes over our weights; answers and gradients must agree. Where a package differs from the
paper by convention, its test says so.
"""
