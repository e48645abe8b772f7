"""Writes a network of `networks.py` as ONNX, its samples as arrays, and a picture of the first of them.

    export.py NETWORK FOLDER
"""

import sys
from pathlib import Path

import numpy
import torch
from PIL import Image

from networks import NETWORKS, network, samples


def main():
    name, folder = sys.argv[1], Path(sys.argv[2])
    _, shape, _, count, _ = NETWORKS[name]
    folder.mkdir(parents=True, exist_ok=True)
    x, y = samples(name, count)
    axes = {'input': {0: 'n'}, 'output': {0: 'n'}}
    torch.onnx.export(
        network(name), torch.from_numpy(x[:1]), folder / 'model.onnx', opset_version=17, input_names=['input'],
        output_names=['output'], dynamic_axes=axes)
    # The arrays as they are: compressed ones would have to be held in memory.
    numpy.savez(folder / 'inputs.npz', x=x, y=numpy.array(y))
    picture = ((x[0].transpose(1, 2, 0) * 0.2 + 0.5).clip(0, 1) * 255).astype('uint8')
    Image.fromarray(picture if shape[0] == 3 else picture[:, :, 0]).save(folder / 'picture.png')
    color = 'rgb' if shape[0] == 3 else 'grey'
    scale = 1 / 255
    text = f'color = "{color}"\nscale = {scale}\nmean = {[0.5] * shape[0]}\nstd = {[0.2] * shape[0]}\n'
    (folder / 'preprocess.toml').write_text(text)


if __name__ == '__main__':
    main()
