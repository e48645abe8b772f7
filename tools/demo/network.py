"""The demo's network: small, and with the structures that matter for relevance (batch norms, a sum, a concatenation)."""
import torch
from torch import nn


class Stage(nn.Module):
    """Convolution without bias, batch norm, ReLU; the size of the map is kept."""

    def __init__(self, channels_in, channels_out, kernel):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.norm(self.conv(x)))


class Residual(nn.Module):
    """Two convolutions beside the identity, joined by a plain sum."""

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU()

    def forward(self, x):
        inner = self.relu1(self.norm1(self.conv1(x)))
        return self.relu2(x + self.norm2(self.conv2(inner)))


class Mixed(nn.Module):
    """Three parallel paths with receptive fields of 1, 3 and 5 positions, joined by a concatenation."""

    def __init__(self, channels, point, small, reduced, large):
        super().__init__()
        self.branch1 = Stage(channels, point, 1)
        self.branch2 = Stage(channels, small, 3)
        self.branch3 = nn.Sequential()
        self.branch3.add_module('reduce', Stage(channels, reduced, 1))
        self.branch3.add_module('first', Stage(reduced, large, 3))
        self.branch3.add_module('second', Stage(large, large, 3))

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x)], dim=1)


class Demo(nn.Module):
    """Input [n, 1, 28, 28], output: logits [n, 10]."""

    def __init__(self):
        super().__init__()
        self.stem = Stage(1, 16, 3)
        self.pool1 = nn.MaxPool2d(2)
        self.block = Residual(16)
        self.pool2 = nn.MaxPool2d(2)
        self.mixed = Mixed(16, point=16, small=24, reduced=16, large=24)
        self.head = Stage(64, 64, 3)
        self.pool3 = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(64, 10)

    def forward(self, x):
        x = self.pool1(self.stem(x))
        x = self.pool2(self.block(x))
        x = self.head(self.mixed(x))
        return self.classifier(self.flatten(self.pool3(x)))
