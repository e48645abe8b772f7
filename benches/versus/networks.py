"""The networks that both sides run: torchvision's, and the demo's, with random weights of a seed."""

import sys
from pathlib import Path

import torch
import torchvision.models as zoo
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'tools/demo'))
from network import Demo  # noqa: E402

# The shape of a sample, the batch of a scan, its number of samples, and the layer and number of conditions.
NETWORKS = {
    'vgg16_bn': (zoo.vgg16_bn, (3, 224, 224), 8, 16, ('features.40', 512)),
    'resnet50': (zoo.resnet50, (3, 224, 224), 8, 16, ('layer4.0.conv2', 512)),
    'mobilenet_v2': (zoo.mobilenet_v2, (3, 224, 224), 8, 16, ('features.17.conv.2', 320)),
    'efficientnet_b0': (zoo.efficientnet_b0, (3, 224, 224), 8, 16, ('features.7.0.block.3.0', 320)),
    'demo': (Demo, (1, 28, 28), 32, 10000, ('head.conv', 32)),
}


def network(name):
    """The network in evaluation mode, with weights that keep activations of one size."""
    torch.manual_seed(0)
    model = NETWORKS[name][0]()
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.01)
    return model.eval()


def samples(name, count):
    """Random samples, and their labels."""
    shape = NETWORKS[name][1]
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, *shape, generator=generator).numpy(), [index % 10 for index in range(count)]
