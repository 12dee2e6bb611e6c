"""Cells: the kinds of layer a model stacks."""

from trainables.models.cells.gru import Gru
from trainables.models.cells.lstm import Lstm
from trainables.models.cells.rnn import Rnn
from trainables.models.cells.transformer import Transformer
from trainables.models.layer import Layer

LAYERS: dict[str, type[Layer]] = {
    "rnn": Rnn,
    "lstm": Lstm,
    "gru": Gru,
    "transformer": Transformer,
}

__all__ = ["LAYERS"]
