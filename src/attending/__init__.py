"""Attention-based patient representations and diagnosis predictions that people can check."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Study", "__version__"]

if TYPE_CHECKING:
    from attending.pipeline import Study


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module attribute is of any type
    """Import `Study` on first use, so that `import attending` stays instant."""
    if name == "Study":
        return import_module("attending.pipeline").Study
    raise AttributeError(f"module 'attending' has no attribute {name!r}")
