"""Where the spread within seeds gives way to the spread over them: at five seeds, not at four."""

from mfbench.measures import over_seeds


def test_four_seeds_are_few_and_five_are_enough():
    values = [0.8, 0.9, 0.85, 0.87, 0.81]
    assert over_seeds(values[:4], [0.01] * 4).method == "within 4 seeds"
    assert over_seeds(values, [0.01] * 5).method == "student over 5 seeds"
