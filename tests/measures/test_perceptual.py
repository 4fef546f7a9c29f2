"""LPIPS: never without its weights, never with others, and what the package gives where both are there.

The published backbones are photographs' and megabytes; here torchvision's networks with weights drawn by the
test stand in for them, under a file name that holds their hash.
"""

from __future__ import annotations

import hashlib
import sys
import warnings

import numpy as np
import pytest
import torch

from mfbench.errors import Unsupported, UserError
from mfbench.measures import lpips, perceptual

SMALLEST = {"alex": 31, "vgg": 16, "squeeze": 17}


def images(n=2, channels=3, size=32, seed=0):
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """MFBENCH_WEIGHTS and the torch hub cache, both empty."""
    monkeypatch.setenv("MFBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    perceptual._network.cache_clear()
    return tmp_path


def keep(state, folder, monkeypatch, backbone="alex"):
    """Save weights as torchvision names its files, and let the measure look for that name."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / "saving")
    digest = hashlib.sha256((folder / "saving").read_bytes()).hexdigest()
    name = f"stand-in-{digest[:8]}.pth"
    (folder / "saving").rename(folder / name)
    monkeypatch.setitem(perceptual._BACKBONES, backbone, (name, SMALLEST[backbone]))
    return folder / name


def torchvision_state(backbone):
    models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")
    names = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return getattr(models, names[backbone])(weights=None).state_dict()


def test_without_weights_it_is_unsupported_and_says_where_they_belong(nowhere):
    with pytest.raises(Unsupported, match=r"alexnet-owt-7be5be79\.pth.*MFBENCH_WEIGHTS.*checkpoints"):
        lpips(images(), images(seed=1))
    assert list(nowhere.rglob("*.pth")) == [], "nothing is downloaded"


def test_without_the_package_it_is_unsupported(nowhere, monkeypatch):
    keep({}, nowhere / "weights", monkeypatch)
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(Unsupported, match=r"pip install 'mfbench\[perceptual\]'"):
        lpips(images(), images(seed=1))


def test_images_smaller_than_the_network_takes_are_not_enlarged():
    with pytest.raises(Unsupported, match="needs 31 pixels a side, the images have 8 x 8"):
        lpips(images(size=8), images(size=8))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (images(), images(n=1), "one shape"),
        (images(channels=2), images(channels=2), "1 or 3"),
        (2 * images(), images(), r"in \[0, 1\]"),
        (images() * float("nan"), images(), r"in \[0, 1\]"),
    ],
)
def test_what_are_no_images_is_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        lpips(x, y)


class TestWithThePackage:
    @pytest.fixture(autouse=True)
    def package(self):
        return pytest.importorskip("lpips", reason="the extra `perceptual` is not installed")

    @pytest.mark.parametrize("backbone", SMALLEST)
    def test_it_is_the_packages_number(self, nowhere, monkeypatch, package, backbone):
        state = torchvision_state(backbone)
        keep(state, nowhere / "torch" / "hub" / "checkpoints", monkeypatch, backbone)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = package.LPIPS(net=backbone, pnet_rand=True, verbose=False)
        for name, value in expected.net.state_dict().items():
            value.copy_(state["features." + name.partition(".")[2]])
        x, y = images(), images(seed=1)
        with torch.no_grad():
            reference = expected(x, y, normalize=True).flatten().numpy()
        found = lpips(x, y, backbone=backbone)
        assert found.shape == (2,)
        assert (found > 0).all()
        np.testing.assert_allclose(found, reference, rtol=1e-5)
        np.testing.assert_allclose(lpips(255 * x, 255 * y, value_range=255, backbone=backbone), found, 1e-4)
        np.testing.assert_allclose(lpips(x, x, backbone=backbone), 0, atol=1e-7)
        grey = images(channels=1), images(channels=1, seed=1)
        coloured = (each.expand(-1, 3, -1, -1) for each in grey)
        np.testing.assert_allclose(lpips(*grey, backbone=backbone), lpips(*coloured, backbone=backbone))
        smallest = SMALLEST[backbone]
        assert np.isfinite(
            lpips(images(size=smallest), images(size=smallest, seed=1), backbone=backbone)
        ).all()

    def test_the_global_generator_is_left_alone(self, nowhere, monkeypatch):
        keep(torchvision_state("alex"), nowhere / "weights", monkeypatch)
        before = torch.get_rng_state()
        lpips(images(), images(seed=1))
        assert torch.equal(torch.get_rng_state(), before)

    def test_weights_that_are_not_all_there_or_of_another_network_are_refused(self, nowhere, monkeypatch):
        state = torchvision_state("alex")
        del state["features.8.bias"]
        keep(state | {"features.99.weight": torch.zeros(1)}, nowhere / "weights", monkeypatch)
        with pytest.raises(UserError, match=r"missing \['net\.slice4\.8\.bias'\].*'features\.99\.weight'"):
            lpips(images(), images(seed=1))

    def test_a_file_that_is_not_what_its_name_says_is_refused(self, nowhere, monkeypatch):
        file = keep(torchvision_state("alex"), nowhere / "weights", monkeypatch)
        with file.open("ab") as stream:
            stream.write(b"x")
        with pytest.raises(UserError, match="not that in its name: download it again"):
            lpips(images(), images(seed=1))

    def test_a_pickle_that_runs_code_is_not_run(self, nowhere, monkeypatch, tmp_path):
        keep({"features.0.weight": Trap(tmp_path / "sprung")}, nowhere / "weights", monkeypatch)
        with pytest.raises(UserError, match="not weights"):
            lpips(images(), images(seed=1))
        assert not (tmp_path / "sprung").exists()


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w')",)
