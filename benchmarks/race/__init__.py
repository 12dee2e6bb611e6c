"""Longspan raced against what people would write instead, on the same models, tasks and cores."""
