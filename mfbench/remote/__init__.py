"""Workers elsewhere: `--executor dask`, on one machine, on machines that share a scheduler, or on a cluster.

    opening.py     what the entry point calls: settings, scheduler or cluster, the first workers
    executor.py    gives each task to one worker, and to another where that one dies
    hands.py       the workers: who came, who is free, who is gone
    greeting.py    what a worker must have in common with the coordinator, asked before it gets work
    parcels.py     files and fits that travel by hash, where there is no shared disk
    tasks.py       the worker's side: one task, in a supervised child of the worker

Dask carries tasks and knows who is alive; which worker does what, and how often, is decided here. Nothing
below this floor knows of it: the engine finds it by its entry point.
"""
