"""Workers elsewhere: `--executor dask`, on one machine, on machines that share a scheduler, or on a cluster.

    opening.py     what the entry point calls; settings.py: [executor.dask]; clusters.py: the scheduler
    executor.py    gives each task to one worker, and to another where that one dies
    batches.py     which tasks go together
    reception.py   greets the workers, those that come later, too; greeting.py: what they must have in common
    hands.py       the workers: who is there, who is free, who is gone
    post.py        brings files and fits to and from them; parcels.py: what is sent, and where it lies
    tasks.py       the worker's side: one task, in a supervised child; errands.py: all that Dask calls there

Dask carries tasks and knows who is alive; which worker does what, and how often, is decided here. Nothing
below this floor knows of it: the engine finds it by its entry point.
"""
