"""Pools of adversarial inputs: nothing is lost on the way, nothing is believed."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import torch

from mfbench import AdversarialPool, UserError


@pytest.fixture
def attacked():
    x = torch.rand(5, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    adversarial = x.clone()
    adversarial[0, :, 1:3, 2:6] = 0.125
    adversarial[2, 1, 5, 6] = 1.0
    adversarial[4] = 1 - x[4]
    return x, torch.tensor([3, 1, 4, 1, 5]), adversarial


def test_only_what_is_changed_is_kept_and_comes_back_to_the_bit(attacked):
    x, y, adversarial = attacked
    pool = AdversarialPool.collect(x, y, adversarial)
    assert len(pool) == 3
    found, rows = pool.candidates(x, y)
    assert rows.tolist() == [0, 2, 4]
    assert torch.equal(found, adversarial[rows])


def test_images_are_found_by_their_content_wherever_they_stand(attacked):
    x, y, adversarial = attacked
    pool = AdversarialPool.collect(x, y, adversarial)
    order = torch.tensor([4, 1, 0])
    found, rows = pool.candidates(x[order].double(), y[order])
    assert rows.tolist() == [0, 2]
    assert torch.equal(found.float(), adversarial[[4, 0]])
    assert len(pool.candidates(x, y + 1)[0]) == 0
    assert len(pool.candidates(x[:, :1], y)[0]) == 0


def test_a_file_a_folder_and_a_board_s_figures(attacked, tmp_path):
    x, y, adversarial = attacked
    pool = AdversarialPool.collect(x, y, adversarial)
    parts = [AdversarialPool.collect(x[i], y[i], adversarial[i]) for i in ([0, 1, 2], [2, 3, 4])]
    for number, part in enumerate(parts):
        (tmp_path / str(number)).mkdir()
        named = {f"cell{number}/{name}": array for name, array in part.arrays().items()}
        np.savez_compressed(tmp_path / str(number) / "figures.npz", other=np.zeros(3), **named)
    pool.write(tmp_path / "mine.npz")
    hashes = [entry.hash for entry in pool.entries]
    assert hashes == sorted(hashes)
    for place in (tmp_path, tmp_path / "mine.npz"):
        assert [entry.hash for entry in AdversarialPool.read(place).entries] == hashes
    assert [entry.hash for entry in (parts[0] + parts[1]).entries] == hashes


def test_the_same_pool_is_the_same_file(attacked, tmp_path):
    for name in ("a.npz", "b.npz"):
        AdversarialPool.collect(*attacked).write(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def _damaged(pool, name, change):
    arrays = pool.arrays()
    arrays[name] = change(arrays[name])
    return arrays


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("pool_clean", lambda a: a[:, :-1]),
        ("pool_label", lambda a: a[:-1]),
        ("pool_label", lambda a: a.astype(np.float64)),
        ("pool_values", lambda a: a[:-1]),
        ("pool_changed", lambda a: np.zeros_like(a)),
        ("pool_changed", lambda a: a[:, 0]),
        ("pool_clean", lambda a: np.array([{}], dtype=object)),
        ("pool_changed", lambda a: a.astype(np.int64)),
        ("pool_changed", lambda a: a[:0]),
        ("pool_changed", lambda a: a[:, :0]),
        ("pool_values", lambda a: a[0]),
        ("pool_values", lambda a: a[:, None]),
        ("pool_label", lambda a: a[0]),
    ],
)
def test_damage_is_told_in_one_line(attacked, tmp_path, name, change):
    file = tmp_path / "damaged.npz"
    np.savez(file, **_damaged(AdversarialPool.collect(*attacked), name, change))
    with pytest.raises(UserError, match=r"damaged\.npz: not a pool") as told:
        AdversarialPool.read(file)
    assert "\n" not in str(told.value)


def test_where_there_is_none(tmp_path):
    with pytest.raises(UserError, match="no adversarial inputs"):
        AdversarialPool.read(tmp_path)
    with pytest.raises(UserError, match="not a pool"):
        AdversarialPool.read(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(UserError, match="not a pool"):
        AdversarialPool.read(tmp_path / "text.npz")


def test_a_wrong_array_is_named_with_what_it_should_be(attacked, tmp_path):
    arrays = AdversarialPool.collect(*attacked).arrays()
    np.savez(tmp_path / "wrong.npz", **{**arrays, "pool_values": np.float64(3)})
    with pytest.raises(UserError, match=r"values is 0-dimensional float64; expected 1-dimensional float32"):
        AdversarialPool.read(tmp_path / "wrong.npz")


def test_a_single_array_is_no_archive_whatever_its_name(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(UserError, match=r"one\.npz: not a pool .* no \.npz file"):
        AdversarialPool.read(tmp_path / "one.npz")


def test_a_member_that_is_no_array(attacked, tmp_path):
    file = tmp_path / "bytes.npz"
    arrays = AdversarialPool.collect(*attacked).arrays()
    del arrays["pool_values"]
    np.savez(file, **arrays)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("pool_values.npy", b"text")
    with pytest.raises(UserError, match="pool_values is no array; expected 1-dim"):
        AdversarialPool.read(file)


def test_a_flipped_bit_is_told_or_does_not_matter(attacked, tmp_path):
    """A fixed sample of flips: a pool is refused in one line, or read to the bit, and nothing else."""
    pool = AdversarialPool.collect(*attacked)
    hashes = [entry.hash for entry in pool.entries]
    whole, bare = tmp_path / "whole.npz", tmp_path / "bare.npz"
    pool.write(whole)
    np.savez(bare, **pool.arrays())  # uncompressed: the arrays' headers are hit, too
    rng = np.random.default_rng(0)
    told = []
    for content in (whole.read_bytes(), bare.read_bytes()):
        for bit in rng.choice(8 * len(content), 60, replace=False).tolist():
            flipped = bytearray(content)
            flipped[bit // 8] ^= 1 << bit % 8
            (tmp_path / "flipped.npz").write_bytes(flipped)
            try:
                found = AdversarialPool.read(tmp_path / "flipped.npz")
                assert [entry.hash for entry in found.entries] == hashes
            except UserError as error:
                told.append(str(error))
    assert len(told) > 30
    assert all("flipped.npz: " in line and line.isprintable() for line in told)
