"""Cell products: what the stations of an H3 cell measured together, with its uncertainty.

A projection of the admission log: never truth, and no pay depends on it.
"""
