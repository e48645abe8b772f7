"""A small residual network as PyTorch's newer (dynamo) exporter writes it, with the output of every torch module.

    pip install -r requirements-torch.txt
    python make_dynamo_model.py ../../crates/glocal/tests/models

Writes dynamo.onnx and dynamo.safetensors: `x`, and `module/NAME` for each module that the file still computes. The
exporter folds batch normalisations into convolutions, whose own outputs are then gone; sums and concatenations are no
modules and are written as `module/NAME.sum` and `module/concat`, the way Glocal names them.
"""
import pathlib
import sys

import onnx
import torch
from safetensors.torch import save_file
from torch import nn

RECORDED = {}


class Block(nn.Module):
    """Two convolutions and a shortcut. One activation module serves twice: its output is that of the second call."""

    def __init__(self, name, channels_in, channels_out, stride=1):
        super().__init__()
        self.name = name
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.downsample = None
        if stride > 1:
            shortcut = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels_out))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        total = y + (x if self.downsample is None else self.downsample(x))
        RECORDED[f"{self.name}.sum"] = total
        return self.relu(total)


class Functional(nn.Module):
    """Activations that are no modules: one inside, which has no layer name, and one at the end, which is the output."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(6, 4, 1)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        return torch.relu(self.conv2(torch.relu(self.conv1(x))))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU6())
        self.layer1 = nn.Sequential(Block("layer1.0", 4, 4), Block("layer1.1", 4, 6, stride=2))
        self.functional = Functional()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Sequential(nn.Linear(10, 8), nn.LeakyReLU(0.1), nn.Linear(8, 5))

    def forward(self, x):
        x = self.layer1(self.stem(x))
        x = torch.cat([x, self.functional(x)], 1)
        RECORDED["concat"] = x
        return self.head(torch.flatten(self.dropout(self.pool(x)), 1))


def network():
    torch.manual_seed(0)
    network = Network().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
    return network


def record(network, x):
    names = dict(network.named_modules())
    folded = [name for name in names if isinstance(names[name], nn.Conv2d) and not name.startswith("functional.")]
    for name, module in names.items():
        kept = name not in folded and not list(module.children()) and not isinstance(module, nn.Dropout)
        if kept or name == "functional":
            module.register_forward_hook(lambda _, __, output, name=name: RECORDED.update({name: output}))
    with torch.no_grad():
        network(x)
    return {f"module/{name}": value.contiguous().clone() for name, value in sorted(RECORDED.items())} | {"x": x}


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    batch = torch.export.Dim("batch", min=1)
    torch.onnx.export(network(), (x,), dynamo=True, dynamic_shapes=({0: batch},)).save(folder / "dynamo.onnx")
    model = onnx.load(folder / "dynamo.onnx")
    for node in model.graph.node:
        # These tell where the author's files were.
        kept = [entry for entry in node.metadata_props if "stack_trace" not in entry.key]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(model, folder / "dynamo.onnx")
    save_file(record(network(), x), folder / "dynamo.safetensors")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
