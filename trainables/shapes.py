"""The axes of every tensor, said once.

B batch · T time · D width of the stream between layers · F features of one input step ·
S scored answers of a sequence · C classes · H heads · N memory slots · W slot width

The order is always batch, time, width. Suffixes such as ``_BTD`` appear only inside equations.
"""

from jaxtyping import Float, Int
from torch import Tensor

Stream = Float[Tensor, "B T D"]
"""What flows between layers."""

Tokens = Int[Tensor, "B T"]
Numbers = Float[Tensor, "B T F"]
Inputs = Tokens | Numbers
"""What a task shows: symbols, or F numbers a step."""

Scored = Int[Tensor, "B S"]
"""The steps at which answers are scored, ascending in each row."""

Classes = Int[Tensor, "B S"]
Targets = Classes | Float[Tensor, "B S"]
"""The right answers at the scored steps: a class or a number each."""

Predictions = Float[Tensor, "B S C"]
"""Logits over C classes, or one number (C = 1), for each scored answer."""

__all__ = ["Classes", "Inputs", "Numbers", "Predictions", "Scored", "Stream", "Targets", "Tokens"]
