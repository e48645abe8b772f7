"""Reads Fashion-MNIST, and holds the constants that turn its pixels into the model's input."""
import argparse
import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np

# Where Debian's package `dataset-fashion-mnist` puts the four files.
DEFAULT_FOLDER = Path('/usr/share/datasets/fashion-mnist')
ASSETS = Path(__file__).resolve().parents[2] / 'assets' / 'demo'

SIDE = 28
CLASSES = (
    'T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot',
)

# input = (pixel * SCALE - MEAN) / STD. The mean is left in, so that the black background is exactly 0: rules that weigh inputs
# then give it no relevance. The standard deviation is that of the 60,000 training images, rounded.
SCALE = 1 / 255
MEAN = 0.0
STD = 0.3530

# SHA-256 of the unpacked files, so that another compression of the same data is accepted.
DIGESTS = {
    'train-images-idx3-ubyte': 'c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888',
    'train-labels-idx1-ubyte': 'bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9',
    't10k-images-idx3-ubyte': '5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b',
    't10k-labels-idx1-ubyte': '0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34',
}

IMAGES_MAGIC = 0x00000803  # unsigned bytes, three axes
LABELS_MAGIC = 0x00000801  # unsigned bytes, one axis


def parse_folder(description):
    """The command line that both scripts share: where the data set lies."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--data', type=Path, default=DEFAULT_FOLDER, help='folder of the four .gz files (%(default)s)')
    return parser.parse_args().data


def load(folder, split):
    """Images [n, 28, 28] and labels [n], both as bytes; `split` is "train" or "t10k"."""
    images = read_idx(folder, f'{split}-images-idx3-ubyte', IMAGES_MAGIC)
    labels = read_idx(folder, f'{split}-labels-idx1-ubyte', LABELS_MAGIC)
    return images, labels


def read_idx(folder, name, magic):
    """One IDX file, refused unless it is the published one."""
    with gzip.open(folder / f'{name}.gz') as file:
        data = file.read()
    digest = hashlib.sha256(data).hexdigest()
    if digest != DIGESTS[name]:
        raise SystemExit(f'{folder / name}.gz is not the published file: SHA-256 {digest}, expected {DIGESTS[name]}')
    axes = magic & 0xff
    found, *shape = struct.unpack(f'>{1 + axes}I', data[:4 + 4 * axes])
    if found != magic:
        raise SystemExit(f'{folder / name}.gz starts with {found:#010x}, expected {magic:#010x}')
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)


def idx_bytes(magic, array):
    """An array of bytes in the IDX format."""
    return struct.pack(f'>{1 + array.ndim}I', magic, *array.shape) + array.tobytes()


def preprocess(images):
    """Bytes [n, 28, 28] to the model's input [n, 1, 28, 28], float32."""
    values = images.astype(np.float32) * np.float32(SCALE)
    return ((values - np.float32(MEAN)) / np.float32(STD))[:, None]
