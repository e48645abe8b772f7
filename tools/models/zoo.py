"""Well-known networks with random weights, as both of PyTorch's exporters write them.

    pip install -r requirements.txt -r requirements-torch.txt
    python zoo.py FOLDER [NAME...]

Writes, for each network, NAME-torchscript.onnx and NAME-dynamo.onnx with a free batch axis, NAME.npy (two pictures) and
NAME.json (its modules with weights that a forward pass calls); for some also NAME-kept.onnx (batch normalisations not
folded) and NAME-opset11.onnx (activations, normalisations and resizes as older files have them), both by TorchScript.
All together are about 3 GB. `check_zoo.py` compares Glocal with onnxruntime on them.

Weights are Kaiming's; the statistics of batch normalisations are those of random pictures, then perturbed, with random
scales and shifts: activations neither vanish nor explode, and nothing is 0 or 1 by chance.
"""
import gc
import json
import pathlib
import sys
import warnings

import numpy as np
import torch
import torchvision.models as zoo
from torch import nn
from torchvision.models import segmentation

from compare import normalised_pictures

BATCH = 2
# Options of the TorchScript exporter, and the networks that are written with them too.
KEPT = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
VARIANTS = {
    "torchscript": ({}, None),
    "kept": (KEPT, ("resnet18", "mobilenet_v2", "unet")),
    "opset11": ({"opset_version": 11}, (
        "densenet121", "mobilenet_v3_large", "efficientnet_b0", "convnext_tiny", "unet", "deeplabv3_mobilenet")),
}
AFFINE = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


class UNet(nn.Module):
    """Two levels down; up by a transposed convolution, then by bilinear interpolation, with the skips concatenated."""

    def __init__(self):
        super().__init__()
        self.down1, self.down2, self.bottom = self.block(3, 16), self.block(16, 32), self.block(32, 64)
        self.pool = nn.MaxPool2d(2)
        self.up2 = nn.ConvTranspose2d(64, 32, 2, stride=2)
        self.merge2 = self.block(64, 32)
        self.up1 = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.merge1 = self.block(48, 16)
        self.head = nn.Conv2d(16, 5, 1)

    @staticmethod
    def block(channels_in, channels_out):
        layers = []
        for channels in (channels_in, channels_out):
            layers += [nn.Conv2d(channels, channels_out, 3, padding=1), nn.BatchNorm2d(channels_out), nn.ReLU()]
        return nn.Sequential(*layers)

    def forward(self, x):
        skip1 = self.down1(x)
        skip2 = self.down2(self.pool(skip1))
        x = self.bottom(self.pool(skip2))
        x = self.merge2(torch.cat([skip2, self.up2(x)], 1))
        return self.head(self.merge1(torch.cat([skip1, self.up1(x)], 1)))


def single(network):
    """A segmentation network of torchvision that returns its map itself, not in a dictionary."""
    base = type(network)
    network.__class__ = type(base.__name__, (base,), {"forward": lambda self, x: base.forward(self, x)["out"]})
    return network


# name -> input size, constructor
PLAIN = {"weights": None}
MAPS = {"weights": None, "weights_backbone": None, "num_classes": 21}
NETWORKS = {
    "vgg16": (224, lambda: zoo.vgg16(**PLAIN)),
    "vgg16_bn": (224, lambda: zoo.vgg16_bn(**PLAIN)),
    "resnet18": (224, lambda: zoo.resnet18(**PLAIN)),
    "resnet50": (224, lambda: zoo.resnet50(**PLAIN)),
    "densenet121": (224, lambda: zoo.densenet121(**PLAIN)),
    # As with torchvision's trained weights: `transform_input` changes the channels' normalisation first.
    "googlenet": (224, lambda: zoo.googlenet(**PLAIN, init_weights=False, transform_input=True)),
    "inception_v3": (299, lambda: zoo.inception_v3(**PLAIN, init_weights=False, transform_input=True)),
    "mobilenet_v2": (224, lambda: zoo.mobilenet_v2(**PLAIN)),
    "mobilenet_v3_large": (224, lambda: zoo.mobilenet_v3_large(**PLAIN)),
    "efficientnet_b0": (224, lambda: zoo.efficientnet_b0(**PLAIN)),
    "squeezenet1_1": (224, lambda: zoo.squeezenet1_1(**PLAIN)),
    "convnext_tiny": (224, lambda: zoo.convnext_tiny(**PLAIN)),
    "unet": (128, UNet),
    "deeplabv3_mobilenet": (128, lambda: single(segmentation.deeplabv3_mobilenet_v3_large(**MAPS))),
    "fcn_resnet50": (128, lambda: single(segmentation.fcn_resnet50(**MAPS))),
}


def randomize(network, x):
    """Gives a network weights, scales, shifts and statistics that keep activations of order 1 over its depth."""
    normalisations = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in network.modules():
        if isinstance(module, AFFINE):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.uniform_(module.bias, -0.1, 0.1)
        elif isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
    for name, parameter in network.named_parameters():
        if name.endswith("layer_scale"):  # 1e-6 in ConvNeXt before training: its blocks would do nothing
            nn.init.uniform_(parameter, 0.1, 0.5)
    network.eval()
    for module in normalisations:
        module.train().momentum = None
    with torch.no_grad():
        network(x)
        for module in normalisations:
            module.eval().momentum = 0.1
            spread = module.running_var.sqrt()
            module.running_mean += 0.1 * spread * torch.empty_like(spread).uniform_(-1, 1)
            module.running_var *= torch.empty_like(spread).uniform_(0.8, 1.25)
    return network


def called(network, x):
    """The names of the modules with weights that a forward pass calls, in its order, and its output."""
    names, handles = [], []
    for name, module in network.named_modules():
        if isinstance(module, AFFINE):
            handles.append(module.register_forward_hook(lambda *_, name=name: names.append(name)))
    with torch.no_grad():
        output = network(x)
    for handle in handles:
        handle.remove()
    return names, output


def export(network, x, folder, name):
    """Writes the files of a network, and says how large they are."""
    for variant, (options, names) in {**VARIANTS, "dynamo": ({}, None)}.items():
        if names and name not in names:
            continue
        path = folder / f"{name}-{variant}.onnx"
        for old in folder.glob(f"{path.name}*"):
            old.unlink()
        if variant == "dynamo":
            batch = torch.export.Dim("batch", min=1)
            torch.onnx.export(network, (x,), path, dynamo=True, dynamic_shapes=({0: batch},), verbose=False)
        else:
            torch.onnx.export(
                network, (x,), path, dynamo=False, input_names=["x"], output_names=["y"],
                dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}}, **options)
        size = sum(file.stat().st_size for file in folder.glob(f"{path.name}*"))
        print(f"  {variant}: {size / 1e6:.1f} MB", flush=True)


def main(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    for name in names or NETWORKS:
        size, construct = NETWORKS[name]
        torch.manual_seed(0)
        x = torch.from_numpy(normalised_pictures((3, size, size), BATCH))
        network = randomize(construct(), x)
        modules, output = called(network, x)
        largest, spread = output.abs().max().item(), (output[0] - output[1]).abs().max().item()
        print(f"{name}: outputs up to {largest:.2g}, which the picture changes by up to {spread:.2g}", flush=True)
        assert 1 < largest < 100 and spread > 0.01 * largest, "activations vanish or explode"
        np.save(folder / f"{name}.npy", x.numpy())
        document = {"input": [3, size, size], "output": list(output.shape[1:]), "modules": modules}
        (folder / f"{name}.json").write_text(json.dumps(document, indent=1))
        export(network, x, folder, name)
        del network
        gc.collect()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
