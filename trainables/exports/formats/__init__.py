"""Exports for other runtimes: a model as a graph, in a file that needs none of Longspan's code."""
