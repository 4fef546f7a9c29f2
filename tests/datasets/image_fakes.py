"""Small files in the official layouts, and data sets without published hashes that read them."""

from __future__ import annotations

import gzip
import io
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from mfbench.datasets.cifar import Cifar10, Cifar100
from mfbench.datasets.idx import Mnist
from mfbench.datasets.svhn import Svhn


def unpinned(cls):
    """The same data set, whose files may be any."""
    sources = tuple(replace(source, sha256="") for source in cls.sources)
    return type(cls.__name__, (cls,), {"sources": sources})


AnyMnist, AnyCifar10, AnyCifar100, AnySvhn = map(unpinned, (Mnist, Cifar10, Cifar100, Svhn))


def idx_bytes(array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_mnist(root: Path, train=40, test=20):
    """Images of noise, image i of the train part with the constant i in its first pixel."""
    rng = np.random.default_rng(0)
    folder = root / "mnist"
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for part, count in (("train", train), ("t10k", test)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        images[:, 0, 0] = np.arange(count)
        labels = (np.arange(count) % 10).astype(np.uint8)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(images)))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(labels)))
        arrays[part] = images, labels
    return arrays


def smooth_image(height, width, number=0, mode="RGB"):
    """A gradient: what JPEG hardly changes. `number` sets its brightness."""
    y, x = np.mgrid[:height, :width]
    grey = np.clip(40 + 10 * number + 80 * x / width + 40 * y / height, 0, 255).astype(np.uint8)
    image = Image.fromarray(grey)
    return image if mode == "L" else Image.merge("RGB", (image, image.point(lambda v: v // 2), image))


def jpeg_bytes(image, quality=95):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


PEOPLE = (3, 3, 8, 8, 8, 8, 9, 9, 5, 5, 7, 7)
PARTITION = (0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2)
ATTRIBUTES = tuple(f"Attribute_{number}" for number in range(40))


def write_celeba(root: Path, people=PEOPLE, partition=PARTITION):
    """The official layout with a dozen images; image i has attribute j where (i + j) % 3 == 0."""
    folder = root / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{number:06d}.jpg" for number in range(1, len(people) + 1)]
    for number, name in enumerate(names):
        (folder / "img_align_celeba" / name).write_bytes(jpeg_bytes(smooth_image(218, 178, number)))
    rows = [
        name + " " + " ".join(f"{1 if (row + column) % 3 == 0 else -1:2d}" for column in range(40)) + " "
        for row, name in enumerate(names)
    ]
    header = [str(len(names)), " ".join(ATTRIBUTES) + " "]
    (folder / "list_attr_celeba.txt").write_text("\n".join(header + rows) + "\n")
    for file, values in (("list_eval_partition.txt", partition), ("identity_CelebA.txt", people)):
        (folder / file).write_text("".join(f"{name} {value}\n" for name, value in zip(names, values)))
    return folder
