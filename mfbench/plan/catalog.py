"""Signatures by name, for as long as one suite is planned."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mfbench.errors import UserError
from mfbench.registry.schema import Signature
from mfbench.registry.signatures import Key, read_signatures
from mfbench.registry.sources import source_hash
from mfbench.wording import Where

if TYPE_CHECKING:
    from mfbench.registry import Registry


class Catalog:
    """Signatures by (kind, name), read when first asked for: many at once where they can be foreseen."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._known: dict[Key, Signature] = {}
        self._failures: dict[Key, str] = {}

    def signature(self, kind: str, name: str, where: Where) -> Signature:
        """UserError, naming `where`, for a name that nobody registered.

        A target that cannot be read is a UserError as well where it is a protocol or a data set, on which
        everything rests. A method's is its own affair: its cells fail, with the reason, and the rest goes on.
        """
        key = kind, name
        if key not in self._known:
            try:
                card = self.registry.card(*key)
            except UserError as error:
                raise where.error(str(error)) from None
            self.read([key])
            if key in self._failures:
                reason = f"{kind} {name!r} of plugin {card.plugin} cannot be used: {self._failures[key]}"
                if kind in ("protocol", "dataset"):
                    raise where.error(reason)
                self._known[key] = Signature(kind, name, unreadable=reason, source_hash=source_hash(card))
        return self._known[key]

    def known(self, kind: str, name: str) -> Signature | None:
        """The signature, if it was read already."""
        return self._known.get((kind, name))

    def parameter_names(self) -> set[str]:
        """The parameters that anything read so far has."""
        return {parameter.name for signature in self._known.values() for parameter in signature.parameters}

    def read(self, keys: Iterable[Key]) -> None:
        """Read, in one child, the signatures not known yet; what is wrong waits for whoever asks for it."""
        wanted = {key for key in keys if key[1] in self.registry.names(key[0])}
        missing = sorted(wanted - self._known.keys() - self._failures.keys())
        if missing:
            self._known |= read_signatures(self.registry, missing, self._failures)
