"""Cells: the kinds of layer a model stacks."""

from trainables.models.cells.gru import Gru
from trainables.models.cells.lstm import Lstm
from trainables.models.cells.rnn import Rnn
from trainables.models.cells.self_attention import SelfAttention
from trainables.models.cells.transformer import Transformer
from trainables.models.layer import Layer
from trainables.models.memory.dnc import Dnc
from trainables.models.memory.ntm import Ntm

LAYERS: dict[str, type[Layer]] = {
    "rnn": Rnn,
    "lstm": Lstm,
    "gru": Gru,
    "transformer": Transformer,
    "self_attention": SelfAttention,
    "ntm": Ntm,
    "dnc": Dnc,
}

__all__ = ["LAYERS"]
