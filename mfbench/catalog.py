"""Signatures by name, for as long as one suite is planned."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mfbench.errors import UserError
from mfbench.signatures import read_signatures
from mfbench.wording import Where

if TYPE_CHECKING:
    from mfbench.registry import Registry
    from mfbench.schema import Signature


class Catalog:
    """Signatures by (kind, name), read when first asked for: many at once where they can be foreseen."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._known: dict[tuple[str, str], Signature] = {}

    def signature(self, kind: str, name: str, where: Where) -> Signature:
        """UserError, naming `where`, for a name that nobody registered or a target that cannot be read."""
        if (kind, name) not in self._known:
            try:
                self.registry.card(kind, name)
            except UserError as error:
                raise where.error(str(error)) from None
            self.read([(kind, name)], where)
        return self._known[kind, name]

    def known(self, kind: str, name: str) -> Signature | None:
        """The signature, if it was read already."""
        return self._known.get((kind, name))

    def parameter_names(self) -> set[str]:
        """The parameters that anything read so far has."""
        return {parameter.name for signature in self._known.values() for parameter in signature.parameters}

    def read(self, keys: Iterable[tuple[str, str]], where: Where) -> None:
        """Read, in one child, the signatures not known yet; unknown names wait for whoever asks for them."""
        missing = {key for key in keys if key not in self._known and key[1] in self.registry.names(key[0])}
        try:
            self._known |= read_signatures(self.registry, sorted(missing)) if missing else {}
        except UserError as error:
            raise where.error(str(error)) from None
