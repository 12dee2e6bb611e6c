"""What turns a user's rows into a model's inputs, and its outputs into answers: one plain value."""

from trainables.encoding.encoding import Encoding

__all__ = ["Encoding"]
