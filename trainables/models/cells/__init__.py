"""Cells: the kinds of layer a model stacks."""

from trainables.models.cells.bilinear_rnn import BilinearRnn
from trainables.models.cells.co_rnn import CoRnn
from trainables.models.cells.dilated_lstm import DilatedLstm
from trainables.models.cells.gated_delta import GatedDelta
from trainables.models.cells.gru import Gru
from trainables.models.cells.hyena import Hyena
from trainables.models.cells.ind_rnn import IndRnn
from trainables.models.cells.kda import Kda
from trainables.models.cells.lem import Lem
from trainables.models.cells.linoss import LinOss
from trainables.models.cells.lmu import Lmu
from trainables.models.cells.lru import Lru
from trainables.models.cells.lstm import Lstm
from trainables.models.cells.mamba import Mamba
from trainables.models.cells.mamba2 import Mamba2
from trainables.models.cells.mamba3 import Mamba3
from trainables.models.cells.min_gru import MinGru
from trainables.models.cells.min_lstm import MinLstm
from trainables.models.cells.mlstm import Mlstm
from trainables.models.cells.orthogonal_rnn import OrthogonalRnn
from trainables.models.cells.recurrent_memory import RecurrentMemory
from trainables.models.cells.refined_lstm import RefinedLstm
from trainables.models.cells.rnn import Rnn
from trainables.models.cells.rwkv7 import Rwkv7
from trainables.models.cells.s4d import S4d
from trainables.models.cells.self_attention import SelfAttention
from trainables.models.cells.slstm import Slstm
from trainables.models.cells.transformer import Transformer
from trainables.models.layer import Layer
from trainables.models.memory.dnc import Dnc
from trainables.models.memory.ntm import Ntm
from trainables.models.memory.sam import Sam

LAYERS: dict[str, type[Layer]] = {
    "rnn": Rnn,
    "lstm": Lstm,
    "gru": Gru,
    "min_gru": MinGru,
    "min_lstm": MinLstm,
    "ind_rnn": IndRnn,
    "dilated_lstm": DilatedLstm,
    "lru": Lru,
    "s4d": S4d,
    "mamba": Mamba,
    "mlstm": Mlstm,
    "gated_delta": GatedDelta,
    "mamba2": Mamba2,
    "mamba3": Mamba3,
    "kda": Kda,
    "rwkv7": Rwkv7,
    "slstm": Slstm,
    "refined_lstm": RefinedLstm,
    "lem": Lem,
    "co_rnn": CoRnn,
    "orthogonal_rnn": OrthogonalRnn,
    "bilinear_rnn": BilinearRnn,
    "hyena": Hyena,
    "linoss": LinOss,
    "lmu": Lmu,
    "transformer": Transformer,
    "self_attention": SelfAttention,
    "recurrent_memory": RecurrentMemory,
    "ntm": Ntm,
    "dnc": Dnc,
    "sam": Sam,
}

__all__ = ["LAYERS"]
