"""Brings parcels to the workers that lack them, and fits back; in the Dask client's event loop."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

from distributed import Client

from mfbench import artifacts
from mfbench.paths import cache_root
from mfbench.remote import errands, parcels
from mfbench.remote.parcels import Parcel, Places


class Post:
    """What is on its way to and from the workers of a client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._under_way: dict[tuple[str, str, str], asyncio.Task[None]] = {}

    async def deliver(self, parcel: Parcel, address: str, places: Places) -> None:
        """Send a parcel to a worker, once for all who ask at a time. OSError where the worker goes."""
        name = address, parcel["key"], parcel["root"]
        sending = self._under_way.get(name)
        if sending is None:
            place = places.get(parcel["key"]) or str(parcels.place_of(parcel))
            sending = self._under_way[name] = asyncio.ensure_future(self._send(parcel, place, address))
            sending.add_done_callback(lambda _: self._under_way.pop(name, None))
        await asyncio.shield(sending)

    async def collect(self, key: str, address: str) -> None:
        """Fetch a fit that a worker made, unless it is here already: the disk may be shared."""
        if await asyncio.to_thread(artifacts.verified_hash, cache_root(), key) is not None:
            return
        parcel, ticket = parcels.fit_parcel(key), uuid.uuid4().hex
        names = await self._at(address, errands.made_here, key)
        for name in names:
            offset, last = 0, False
            while not last:
                data, last = await self._at(address, errands.hand_out, key, name, offset)
                await asyncio.to_thread(parcels.write_chunk, parcel, ticket, name, offset, data)
                offset += len(data)
        if names:  # else the fit failed, and its record says so
            await asyncio.to_thread(parcels.put_in_place, parcel, ticket)

    async def _send(self, parcel: Parcel, place: str, address: str) -> None:
        ticket = uuid.uuid4().hex
        for name in await asyncio.to_thread(parcels.names_in, Path(place)):
            offset, last = 0, False
            while not last:
                data, last = await asyncio.to_thread(parcels.read_chunk, place, name, offset)
                await self._at(address, errands.receive, parcel, ticket, name, offset, data)
                offset += len(data)
        await self._at(address, errands.received, parcel, ticket)

    async def _at(self, address: str, errand: Any, *arguments: Any) -> Any:
        """What an errand gives on a worker."""
        answers = await self._client.run(errand, *arguments, workers=[address])
        return answers[address]
