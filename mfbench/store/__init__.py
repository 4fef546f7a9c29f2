"""The result store: one SQLite file (WAL, local disk), written by the coordinating process alone.

Opening and reading::

    store = Store("results.sqlite")                 # create=False: UserError where there is none
    store.frame()                                   # pandas, one row a (cell, metric, part)
    store.suite_names(), store.suite_cells("quick") # names; cell_id -> cache_key, in order
    store.results(cell_ids)                         # cell_id -> current record (strict JSON)
    store.scores(cache_keys), store.arrays(cache_keys)
    store.statuses(cache_keys), store.timings(cell_ids), store.fits(), store.medians()
    store.record("3f2a9c")                          # all about one cell, by a prefix of its id

Writing: `with store.lock():` around a run; `begin_run`, `add_result`, `add_fit`, `add_timing` and `end_run`
commit on their own: what they were given is safe when they return. `insert_records` takes over another
machine's records.
"""

from mfbench.store.blobs import decode_array, encode_array
from mfbench.store.store import Store

__all__ = ["Store", "decode_array", "encode_array"]
