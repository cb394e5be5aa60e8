"""Shape annotations: jaxtyping's where it is installed, inert stand-ins where only torch, timm and mmengine are."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or find_spec("jaxtyping"):
    from jaxtyping import Bool, Float, Int
else:

    class _Unchecked:
        def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
            return item[0]

    Bool = Float = Int = _Unchecked

__all__ = ["Bool", "Float", "Int"]
