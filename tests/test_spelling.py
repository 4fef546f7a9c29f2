"""What an unknown name is answered with."""

import pytest

from mfbench.spelling import did_you_mean

CLUSTERS = ["SLURMCluster", "SGECluster", "PBSCluster", "OARCluster"]


@pytest.mark.parametrize(
    ("word", "known", "answer"),
    [
        ("SlurmCluster", CLUSTERS, "; did you mean 'SLURMCluster'?"),  # only its case is wrong
        ("SLURM_Cluster", CLUSTERS[:2], "; did you mean 'SLURMCluster' or 'SGECluster'?"),
        ("rk5", ["rk4", "euler"], "; did you mean 'rk4'?"),
        ("zzz", ["rk4", "euler"], "; there are euler, rk4"),
        ("zzz", [], "; there are none"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(word, known, answer):
    assert did_you_mean(word, known) == answer
