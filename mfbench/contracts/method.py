"""What every method has in common: it is built for a data set's shapes, and its state can be saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

    from mfbench.contracts.dataspec import DataSpec


@dataclass(frozen=True)
class Marker:
    """Tells `Ref` and `FileRef` apart from the types that they are to a type checker."""

    type: Literal["ref", "file"]


Ref: TypeAlias = Annotated[Any, Marker("ref")]
"""A hyper-parameter that names another method or data set; the bench hands the instance over in its place.

In a suite it is a name or `{name = ..., parameters}`. Its kind is the parameter's name (`generator`,
`sampler`, `likelihood`, ..., `data` and `against` for data sets, `attacks` for attacks) or is said with
`Annotated[Ref, "likelihood"]`; lists of references are `list[Ref]`.
"""

FileRef: TypeAlias = Annotated[str, Marker("file")]
"""A hyper-parameter that names a file or folder; its content's hash enters every identity."""

Role: TypeAlias = Literal["method", "ceiling", "reference", "control"]
"""How a board shows a method: ranked (`method`), or unranked: the best possible (`ceiling`), a yardstick that
a method may exceed (`reference`), or a trivial baseline that no method should be taken for (`control`)."""

Progress: TypeAlias = Callable[[int, int], None]
"""`progress(done, total)`: a fit calls it as often as it likes; the bench draws the bar."""


class Method:
    """Base of every method. Its hyper-parameters are the keyword arguments of its class.

    They need defaults and type hints (`int, float, bool, str, Literal[...], list[...], Ref, FileRef`, or one
    of these `| None`): the signature is the schema against which suites are checked.
    """

    role: ClassVar[Role] = "method"

    def build(self, spec: DataSpec) -> None:
        """Create what depends on shapes and counts only; called before `fit` and before `load_state_dict`."""

    def state_dict(self) -> Mapping[str, Tensor | int | float | str]:
        """The fitted state. A class that does not override it has none and is refitted in each cell."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> Any:
        """Restore what `state_dict` gave, after `build`; tensors arrive on the device they shall live on."""
