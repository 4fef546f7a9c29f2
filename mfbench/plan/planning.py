"""Makes the plan of a suite: every cell and fit with its identity. Imports neither torch nor any method."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from mfbench.errors import UserError
from mfbench.identity import canonical, sha256_of
from mfbench.plan import Cell, Fit, Plan
from mfbench.plan.catalog import Catalog
from mfbench.plan.choices import Choice, Resolver, choice_arguments, choice_identity
from mfbench.plan.constructors import check_constructors
from mfbench.plan.expansion import Combination, expand
from mfbench.registry.signatures import data_manifest
from mfbench.spelling import did_you_mean
from mfbench.suite import RunEntry, Suite

if TYPE_CHECKING:
    from mfbench.registry import Registry


def make_plan(
    suite: Suite,
    registry: Registry,
    *,
    device: str = "cpu",
    select: str = "",
    methods: Sequence[str] = (),
) -> Plan:
    """The plan of a suite on a type of device ("cpu", "cuda").

    `select` keeps the cells whose "protocol data method(label)" contains it or matches it as a glob,
    `methods` those of the named methods. UserError for every mistake, and when no cell is left.
    """
    resolver = Resolver(Catalog(registry), suite.folder, suite.bare)
    combinations = _selected(expand(suite, resolver), select, methods)
    check_constructors(combinations, resolver)
    planner = _Planner(suite, registry, device)
    cells = tuple(cell for combination in combinations for cell in planner.cells(combination))
    return Plan(
        suite=suite.name,
        suite_text=suite.text,
        suite_hash=hashlib.sha256(suite.text.encode()).hexdigest(),
        fits=tuple(planner.fits.values()),
        cells=cells,
        plugins=tuple(registry.sources),
        timing_budget=suite.timing_budget if suite.timing else 0.0,
        partial=bool(select or methods),
        warnings=tuple(dict.fromkeys(cell.unreadable for cell in cells if cell.unreadable)),
        executors=suite.executors,
    )


def _selected(combinations: list[Combination], select: str, methods: Sequence[str]) -> list[Combination]:
    known = {one.method.name for one in combinations}
    for name in methods:
        if name not in known:
            raise UserError(f"--methods: the suite has no method {name!r}{did_you_mean(name, known)}")
    kept = [
        one
        for one in combinations
        if (not methods or one.method.name in methods)
        and (select in one.text or fnmatchcase(one.text, select))
    ]
    if not kept:
        example = combinations[0].text
        raise UserError(f"--select {select!r} matches none of the suite's cells; they read like {example!r}")
    return kept


class _Planner:
    """Identities for one suite; whatever several cells share is computed once."""

    def __init__(self, suite: Suite, registry: Registry, device: str) -> None:
        self.suite = suite
        self.registry = registry
        self.device = device
        self.fits: dict[str, Fit] = {}
        self._fit_keys: dict[tuple[str, str, int], str] = {}
        self._digests: dict[tuple[str, int], str] = {}
        self._protocols: dict[str, tuple[dict[str, Any], str]] = {}
        self._texts: dict[tuple[tuple[str, str], ...], str] = {}
        self._setting = {
            "device": canonical(device),
            "dtype": canonical(suite.dtype),
            "threads": canonical(suite.threads),
        }

    def cells(self, combination: Combination) -> Iterable[Cell]:
        """The cells of a combination, one a seed."""
        run, protocol, data, method = (
            combination.run,
            combination.protocol,
            combination.data,
            combination.method,
        )
        asked, text = self._protocol(protocol)
        texts = {"protocol": text, "method": method.text, "data": data.text, **self._setting}
        involved = [*protocol.everything(), *method.everything(), *data.everything()]
        measured = [*protocol.everything(), *data.everything()]
        sources = self._text(_sources(involved))
        for seed in combination.seeds:
            needs = self._needs(involved, data, seed, run)
            digests = self._text(self._data_digests(involved, seed))
            cell_id = _hash(_object(**texts, seed=str(seed)))
            cache_key = _hash(
                _object(cell_id=f'"{cell_id}"', sources=sources, data=digests, fits=self._text(needs))
            )
            yield Cell(
                cell_id=cell_id,
                cache_key=cache_key,
                protocol=asked,
                method=method.json,
                data=data.json,
                seed=seed,
                dtype=self.suite.dtype,
                threads=self.suite.threads,
                device=self.device,
                needs=needs,
                role=method.signature.role,
                label=method.label,
                time_limit=run.time_limit,
                memory_limit=self.suite.memory_limit,
                run=run.index,
                data_digest=_hash(self._text(self._data_digests(measured, seed))),
                unreadable=method.unreadable or protocol.unreadable,
            )

    def _protocol(self, protocol: Choice) -> tuple[dict[str, Any], str]:
        """A protocol's choice with its version, and the canonical text of that."""
        if protocol.key not in self._protocols:
            asked = {**protocol.json, "version": protocol.signature.version}
            self._protocols[protocol.key] = asked, canonical(choice_identity(asked))
        return self._protocols[protocol.key]

    def _text(self, mapping: dict[str, str]) -> str:
        """Canonical JSON, computed once for all that are alike: most cells share it with many others."""
        key = tuple(mapping.items())
        if key not in self._texts:
            self._texts[key] = canonical(mapping)
        return self._texts[key]

    def _needs(self, involved: Iterable[Choice], data: Choice, seed: int, run: RunEntry) -> dict[str, str]:
        return {
            choice.key: self._fit(choice, data, seed, run)
            for choice in involved
            if choice.signature.stateful and choice.signature.fits and not choice.unreadable
        }

    def _fit(self, choice: Choice, data: Choice, seed: int, run: RunEntry) -> str:
        """The key of the fit of `choice`, planned with everything it needs unless it is already."""
        known = self._fit_keys.get((choice.key, data.key, seed))
        if known is not None and self.fits[known].time_limit >= run.fit_time_limit:
            return known
        involved = list(choice.everything())
        needs = self._needs(involved[:-1], data, seed, run)
        key = _hash(
            _object(
                choice=choice.text,
                data=data.text,
                digests=self._text(self._data_digests([*involved, *data.everything()], seed)),
                fits=self._text(needs),
                seed=str(seed),
                sources=self._text(_sources([*involved, *data.everything()])),
                **self._setting,
            )
        )
        self._fit_keys[choice.key, data.key, seed] = key
        self.fits[key] = Fit(
            key=key,
            choice=choice.json,
            data=data.json,
            seed=seed,
            dtype=self.suite.dtype,
            threads=self.suite.threads,
            device=self.device,
            needs=needs,
            time_limit=run.fit_time_limit,
            memory_limit=self.suite.memory_limit,
        )
        return key

    def _data_digests(self, involved: Iterable[Choice], seed: int) -> dict[str, str]:
        return {c.key: self._digest(c, seed) for c in involved if c.signature.kind == "dataset"}

    def _digest(self, data: Choice, seed: int) -> str:
        """SHA-256 of what the data are: name, version, parameters, seed, and the hashes of the files read."""
        if (data.key, seed) not in self._digests:
            parameters = choice_identity(data.json["parameters"])
            identity = [data.name, data.signature.version, parameters, seed, self._files(data, seed)]
            self._digests[data.key, seed] = sha256_of(identity)
        return self._digests[data.key, seed]

    def _files(self, data: Choice, seed: int) -> dict[str, str]:
        if not data.signature.reads_files:
            return {}
        given = choice_arguments(data.json["parameters"])
        try:
            return data_manifest(self.registry, data.name, given, seed)
        except UserError as error:
            raise self.suite.where.error(str(error)) from None


def _sources(involved: Iterable[Choice]) -> dict[str, str]:
    return {f"{c.signature.kind}/{c.name}": c.signature.source_hash for c in involved}


def _object(**members: str) -> str:
    """The canonical JSON of an object whose members are canonical JSON already."""
    return "{" + ",".join(f'"{name}":{members[name]}' for name in sorted(members)) + "}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
