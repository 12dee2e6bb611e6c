"""Exports for other runtimes: a model as a graph, in a file that needs none of Longspan's code."""

from trainables.exports.formats.format import Format
from trainables.exports.formats.onnx_graph import OnnxGraph
from trainables.exports.formats.torch_program import TorchProgram

FORMATS: dict[str, Format] = {"torch": TorchProgram(), "onnx": OnnxGraph()}

__all__ = ["FORMATS"]
