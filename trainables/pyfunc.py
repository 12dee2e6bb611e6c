"""Where MLflow looks for the loader of models that were logged before it had its place."""

from trainables.exports.pyfunc import _load_pyfunc

__all__ = ["_load_pyfunc"]
