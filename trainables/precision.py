"""In what numbers matrix products and attention compute; weights are float32 either way."""

from typing import Literal

Precision = Literal["float32", "bf16"]
