"""Compares Glocal with onnxruntime on random shapes and attributes of every op that Glocal reads.

    pip install -r requirements.txt
    cargo build --release -p glocal --example forward
    python random_ops.py ../../target/release/examples/forward [--count N] [--seed N] [OP...]

For each op, COUNT models (default 30) of random opsets on batches of random samples, run as read and canonized. Models that
onnxruntime refuses or whose result is empty are drawn anew. It fails when a result differs, when too few models could be
drawn, and when Glocal refuses a model for a reason that is not in REFUSED.
"""
import argparse
import collections
import math
import pathlib
import re
import sys
import tempfile

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from compare import differ, forward
from make_import_goldens import Builder

BATCH = 3
# Sums of up to a few thousand products whose terms are of order 1, added in two orders, and functions that are good to a
# few roundings: relative to the element, or to the largest one where terms cancel.
RTOL, SHARE = 1e-5, 2e-6
# op: what the error says -> why that is no fault
STACKS = {"a product of constant matrices .* is not supported": "a stack of matrices that repeats along some of its axes only"}
REFUSED = {"MatMul_stacked": STACKS, "MatMul_constant_first": STACKS}
OPS = {}
# The newest opset of this onnxruntime.
NEWEST = 26


def op(first=9, last=NEWEST):
    """Registers a function that, given random numbers, gives the shape of a sample and what builds the model."""
    def register(function):
        OPS[function.__name__] = (function, first, last)
        return function

    return register


class Random:
    """Choices for one model."""

    def __init__(self, seed):
        self.numbers = np.random.default_rng(seed)

    def int(self, low, high):
        """From low to high, both included."""
        return int(self.numbers.integers(low, high + 1))

    def ints(self, count, low, high):
        return [self.int(low, high) for _ in range(count)]

    def chance(self, probability=0.5):
        return bool(self.numbers.random() < probability)

    def pick(self, values):
        return values[self.int(0, len(values) - 1)]

    def float(self, low, high):
        return float(self.numbers.uniform(low, high))

    def shape(self, low=1, high=4, largest=6):
        return self.ints(self.int(low, high), 1, largest)

    def axis(self, rank):
        """An axis of a batch of samples of `rank` axes, never the batch; from either end."""
        axis = self.int(1, rank)
        return axis - rank - 1 if self.chance() else axis

    def axes(self, rank):
        count = self.int(1, rank)
        axes = [int(axis) + 1 for axis in self.numbers.permutation(rank)[:count]]
        return [axis - rank - 1 if self.chance(0.3) else axis for axis in axes]

    def subset(self, values, most):
        return {name: value for name, value in values.items() if self.chance(most)}


def positive(b, x, offset):
    """A positive activation, away from zero."""
    return b.add("Add", [b.add("Sigmoid", [x]), b.constant(offset, np.float32)])


# Windows.

def window(r, rank, dilated_same=True):
    """The attributes of a sliding window, and sizes that it fits into."""
    kernel = r.ints(rank, 1, 4)
    dilations = r.ints(rank, 1, 3) if r.chance(0.4) else [1] * rank
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    sizes = [e + r.int(0, 6) for e in extent]
    attributes = {"kernel_shape": kernel}
    if r.chance(0.7):
        attributes["strides"] = r.ints(rank, 1, 3)
    if dilations != [1] * rank:
        attributes["dilations"] = dilations
    same = ["SAME_UPPER", "SAME_LOWER"] if dilated_same or dilations == [1] * rank else []
    padding = r.pick(["none", "pads", "pads", "VALID", *same])
    if padding == "pads":
        attributes["pads"] = [r.int(0, k - 1) for k in kernel * 2]
    elif padding != "none":
        attributes["auto_pad"] = padding
    return attributes, sizes


@op()
def Conv(r):
    groups, rank = r.pick([1, 1, 2, 3]), r.int(1, 3)
    attributes, sizes = window(r, rank)
    into, out = groups * r.int(1, 3), groups * r.int(1, 3)
    if r.chance(0.2):
        groups = into
        out = into * r.int(1, 2)

    def build(b):
        operands = ["x", b.weight(out, into // groups, *attributes["kernel_shape"])]
        if r.chance(0.3):
            del attributes["kernel_shape"]
        return b.add("Conv", operands + ([b.weight(out)] if r.chance() else []), group=groups, **attributes)

    return [into, *sizes], build


@op()
def ConvTranspose(r):
    groups, rank = r.pick([1, 1, 2, 3]), r.int(1, 3)
    attributes, sizes = window(r, rank)
    sizes = [min(size, 5) for size in sizes]
    into, out = groups * r.int(1, 3), r.int(1, 3)
    strides = attributes.get("strides", [1] * rank)
    if attributes.get("auto_pad", "").startswith("SAME"):
        # onnxruntime lets the output become smaller than size * stride where there are gaps between the windows.
        extent = [(k - 1) * d + 1 for k, d in zip(attributes["kernel_shape"], attributes.get("dilations", [1] * rank))]
        attributes["strides"] = strides = [min(stride, length) for stride, length in zip(strides, extent)]
    if r.chance(0.4):
        attributes["output_padding"] = [r.int(0, stride - 1) for stride in strides]
    if "pads" not in attributes and "auto_pad" not in attributes and r.chance(0.3):
        attributes["output_shape"] = [size * stride + r.int(0, 1) for size, stride in zip(sizes, strides)]

    def build(b):
        operands = ["x", b.weight(into, out, *attributes["kernel_shape"])]
        return b.add("ConvTranspose", operands + ([b.weight(out * groups)] if r.chance() else []), group=groups, **attributes)

    return [into, *sizes], build


@op()
def MaxPool(r):
    def build(b):
        if b.opset < 10:
            attributes.pop("dilations", None)
        elif r.chance(0.4):
            attributes["ceil_mode"] = 1
        return b.add("MaxPool", ["x"], **attributes)

    # onnxruntime forgets the dilation where it pads a pool by itself.
    attributes, sizes = window(r, r.int(1, 3), dilated_same=False)
    return [r.int(1, 3), *sizes], build


@op()
def AveragePool(r):
    def build(b):
        if b.opset < 19:
            attributes.pop("dilations", None)
        if b.opset >= 10 and r.chance(0.4):
            attributes["ceil_mode"] = 1
        if r.chance():
            attributes["count_include_pad"] = 1
        return b.add("AveragePool", ["x"], **attributes)

    # onnxruntime forgets the dilation where it pads a pool by itself.
    attributes, sizes = window(r, r.int(1, 3), dilated_same=False)
    return [r.int(1, 3), *sizes], build


@op()
def GlobalAveragePool(r):
    return r.ints(r.int(2, 4), 1, 6), lambda b: b.add("GlobalAveragePool", ["x"])


@op()
def GlobalMaxPool(r):
    return r.ints(r.int(2, 4), 1, 6), lambda b: b.add("GlobalMaxPool", ["x"])


# Dense layers and products.

@op()
def Gemm(r):
    into, out = r.ints(2, 1, 9)

    def build(b):
        attributes = r.subset({"alpha": r.float(-2, 2), "beta": r.float(-2, 2), "transB": 1}, 0.5)
        operands = ["x", b.weight(*([out, into] if "transB" in attributes else [into, out]))]
        if b.opset < 11 or r.chance(0.7):
            operands.append(b.weight(*r.pick([[out], [1, out], [1], [1, 1], []])))
        return b.add("Gemm", operands, **attributes)

    return [into], build


@op()
def MatMul(r):
    shape, out = r.shape(), r.int(1, 7)
    return shape, lambda b: b.add("MatMul", ["x", b.weight(shape[-1], out)])


@op()
def MatMul_stacked(r):
    shape, out = r.shape(2, 4), r.int(1, 7)
    stack = [size if r.chance() else 1 for size in shape[r.int(0, len(shape) - 2):-2]]
    return shape, lambda b: b.add("MatMul", ["x", b.weight(*stack, shape[-1], out)])


@op()
def MatMul_constant_first(r):
    shape, out = r.shape(2, 4), r.int(1, 7)
    stack = [size if r.chance() else 1 for size in shape[r.int(0, len(shape) - 2):-2]]
    return shape, lambda b: b.add("MatMul", [b.weight(*stack, out, shape[-2]), "x"])


@op()
def MatMul_activations(r):
    stack, (rows, inner) = r.ints(r.int(0, 2), 1, 4), r.ints(2, 1, 5)

    def build(b):
        left = b.add("MatMul", ["x", b.weight(inner, inner)])
        right = b.add("MatMul", ["x", b.weight(inner, inner)])
        last = len(stack) + 1
        right = b.add("Transpose", [right], perm=[*range(last), last + 1, last])
        product = b.add("MatMul", [left, right])
        return b.add("MatMul", [product, b.add("Relu", ["x"])]) if r.chance() else product

    return [*stack, rows, inner], build


# Normalisations.

@op()
def BatchNormalization(r):
    shape = r.shape()

    def build(b):
        channels = shape[0]
        variance = b.constant(b.random.uniform(0.3, 2, channels), np.float32)
        operands = ["x", b.weight(channels), b.weight(channels), b.weight(channels), variance]
        return b.add("BatchNormalization", operands, **r.subset({"epsilon": r.float(1e-5, 1e-2), "momentum": 0.7}, 0.5))

    return shape, build


@op(17)
def LayerNormalization(r):
    shape = r.shape()
    axis = r.axis(len(shape))

    def build(b):
        size = shape[axis - 1:] if axis > 0 else shape[axis:]
        operands = ["x", b.weight(*size)] + ([b.weight(*size)] if r.chance(0.7) else [])
        return b.add("LayerNormalization", operands, axis=axis, **r.subset({"epsilon": r.float(1e-5, 1e-2)}, 0.5))

    return shape, build


@op()
def InstanceNormalization(r):
    shape = r.ints(r.int(2, 4), 2, 6)
    return shape, lambda b: b.add(
        "InstanceNormalization", ["x", b.weight(shape[0]), b.weight(shape[0])],
        **r.subset({"epsilon": r.float(1e-5, 1e-2)}, 0.5))


@op(18)
def GroupNormalization(r):
    groups, each = r.int(1, 3), r.int(2, 3)
    # Of few elements the deviation may be a difference of nearly equal numbers.
    shape = [groups * each, *r.ints(r.int(1, 3), 3, 5)]

    def build(b):
        size = groups if b.opset < 21 else groups * each
        return b.add("GroupNormalization", ["x", b.weight(size), b.weight(size)], num_groups=groups,
                     **r.subset({"epsilon": r.float(1e-5, 1e-2)}, 0.5))

    return shape, build


@op(23)
def RMSNormalization(r):
    shape = r.shape()
    axis = r.axis(len(shape))

    def build(b):
        size = shape[axis - 1:] if axis > 0 else shape[axis:]
        attributes = r.subset({"epsilon": r.float(1e-5, 1e-2)}, 0.5)
        return b.add("RMSNormalization", ["x", b.weight(*size)], axis=axis, **attributes)

    return shape, build


@op()
def LpNormalization(r):
    shape = r.shape(1, 4)
    return shape, lambda b: b.add("LpNormalization", ["x"], axis=r.axis(len(shape)), **r.subset({"p": r.int(1, 2)}, 0.8))


# Activations.

def activation(name, first, attributes):
    @op(first)
    def make(r):
        return r.shape(), lambda b: b.add(name, ["x"], **r.subset(attributes(r), 0.7))

    OPS[name] = OPS.pop("make")


for name, first, attributes in (
        ("Relu", 9, lambda r: {}), ("Sigmoid", 9, lambda r: {}), ("Tanh", 9, lambda r: {}), ("Softplus", 9, lambda r: {}),
        ("Softsign", 9, lambda r: {}), ("Exp", 9, lambda r: {}), ("Abs", 9, lambda r: {}), ("Neg", 9, lambda r: {}),
        ("Erf", 9, lambda r: {}), ("HardSwish", 14, lambda r: {}), ("Mish", 18, lambda r: {}),
        ("LeakyRelu", 9, lambda r: {"alpha": r.float(0, 0.6)}), ("Elu", 9, lambda r: {"alpha": r.float(0.2, 2)}),
        ("Celu", 12, lambda r: {"alpha": r.float(0.3, 2)}), ("Gelu", 20, lambda r: {"approximate": r.pick(["none", "tanh"])}),
        ("Selu", 9, lambda r: {"alpha": r.float(0.5, 2), "gamma": r.float(0.5, 2)}),
        ("HardSigmoid", 9, lambda r: {"alpha": r.float(0.1, 0.5), "beta": r.float(0.2, 0.7)})):
    activation(name, first, attributes)


@op()
def PRelu(r):
    shape = r.shape()
    slope = r.pick([[1], [shape[0]] + [1] * (len(shape) - 1), shape, shape[-1:]])
    return shape, lambda b: b.add("PRelu", ["x", b.weight(*slope)])


@op()
def Clip(r):
    bounds = r.subset({"low": r.float(-1.5, 0), "high": r.float(0, 1.5)}, 0.7)
    return r.shape(), lambda b: b.clip("x", **bounds)


@op()
def Softmax(r):
    shape = r.shape()
    return shape, lambda b: b.add("Softmax", ["x"], axis=r.axis(len(shape)))


@op()
def LogSoftmax(r):
    shape = r.shape()
    return shape, lambda b: b.add("LogSoftmax", ["x"], axis=r.axis(len(shape)))


@op()
def Sqrt(r):
    return r.shape(), lambda b: b.add("Sqrt", [positive(b, "x", 0.01)])


@op()
def Log(r):
    return r.shape(), lambda b: b.add("Log", [positive(b, "x", 0.01)])


@op()
def Reciprocal(r):
    return r.shape(), lambda b: b.add("Reciprocal", [positive(b, "x", 0.1)])


@op()
def Pow(r):
    def build(b):
        whole = r.chance()
        base = positive(b, "x", 0.1) if not whole else "x"
        exponent = r.int(0, 4) if whole else r.float(-2, 2)
        shape = r.pick([(), (1,)])
        return b.add("Pow", [base, b.constant(np.full(shape, exponent), np.float32)])

    return r.shape(), build


# Arithmetic.

def operand(r, b, shape, nonzero=False):
    """The other operand of an arithmetic op on `x`: an activation, or a constant of a shape that fits."""
    if r.chance(0.3):
        other = positive(b, "x", 0.3) if nonzero else b.add("Relu", ["x"])
        if r.chance() and len(shape) > 1:
            other = b.listed("ReduceMean", other, "axes", [r.int(1, len(shape))], keepdims=1)
        return other
    size = [length if r.chance(0.7) else 1 for length in shape[r.int(0, len(shape)):]]
    if len(size) == len(shape) and r.chance(0.3):
        size = [1, *size]
    values = b.random.uniform(0.4, 2, size) * b.random.choice([-1, 1], size)
    return b.constant(values, np.float32)


def arithmetic(name):
    @op()
    def make(r):
        shape = r.shape()

        def build(b):
            swapped = r.chance(0.3)
            x = positive(b, "x", 0.3) if swapped and name == "Div" else "x"
            other = operand(r, b, shape, name == "Div")
            return b.add(name, [other, x] if swapped else [x, other])

        return shape, build

    OPS[name] = OPS.pop("make")


for name in ("Add", "Sub", "Mul", "Div"):
    arithmetic(name)


def larger_constant(name):
    """A constant that has more elements than the activation."""
    @op()
    def make(r):
        shape = r.shape(2, 4)

        def build(b):
            size = [r.int(2, 4) if length == 1 else length for length in shape]
            values = b.random.uniform(0.4, 2, size[r.int(0, len(size) - 1):])
            return b.add(name, ["x", b.constant(values, np.float32)])

        return [1 if r.chance() else length for length in shape], build

    OPS[f"{name}_larger_constant"] = OPS.pop("make")


for name in ("Add", "Sub", "Mul", "Div"):
    larger_constant(name)


def bound(name):
    @op()
    def make(r):
        def build(b):
            operands = ["x", b.constant(np.full(r.pick([(), (1,)]), r.float(-1, 1)), np.float32)]
            return b.add(name, operands[::-1] if r.chance(0.3) else operands)

        return r.shape(), build

    OPS[name] = OPS.pop("make")


for name in ("Max", "Min"):
    bound(name)


@op()
def Sum(r):
    shape = r.shape()

    def build(b):
        operands = ["x"] + [operand(r, b, shape) for _ in range(r.int(0, 3))]
        return b.add("Sum", [operands[int(index)] for index in r.numbers.permutation(len(operands))])

    return shape, build


# Reductions.

def reduction(name):
    @op()
    def make(r):
        shape = r.shape()
        axes = r.axes(len(shape))
        return shape, lambda b: b.listed(name, "x", "axes", axes, **r.subset({"keepdims": r.int(0, 1)}, 0.7))

    OPS[name] = OPS.pop("make")


for name in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceL1", "ReduceL2", "ReduceSumSquare"):
    reduction(name)


# Layout.

@op()
def Concat(r):
    shape = r.shape()
    axis = r.axis(len(shape))

    def build(b):
        parts = ["x"]
        for _ in range(r.int(1, 3)):
            part = b.add("Tanh", ["x"])
            length = shape[axis - 1] if axis > 0 else shape[axis]
            parts.append(b.slice(part, [r.int(0, length - 1)], [length], axes=[axis]) if r.chance() else part)
        return b.add("Concat", parts, axis=axis)

    return shape, build


@op()
def Split(r):
    shape = r.shape()
    axis = r.axis(len(shape))
    place = axis - 1 if axis > 0 else len(shape) + axis
    parts = r.ints(r.int(2, 4), 1, 3)

    def build(b):
        if r.chance(0.3):
            shape[place] = len(parts) * r.int(1, 3)
            if b.opset >= 18:
                names = b.add("Split", ["x"], len(parts), axis=axis, num_outputs=len(parts))
            else:
                names = b.add("Split", ["x"], len(parts), axis=axis)
        else:
            shape[place] = sum(parts)
            names = b.listed("Split", "x", "split", parts, axis=axis, outputs=len(parts))
        kept = [names[int(index)] for index in r.numbers.permutation(len(names))[:r.int(1, len(names))]]
        return b.add("Concat", kept, axis=axis)

    return shape, build


@op()
def Slice(r):
    shape = r.ints(r.int(1, 4), 2, 7)

    def build(b):
        axes = r.axes(len(shape))
        steps = [r.pick([-3, -2, -1, 1, 1, 2, 3]) for _ in axes] if b.opset >= 10 and r.chance() else None
        starts, ends = [], []
        for index, axis in enumerate(axes):
            length = shape[axis - 1] if axis > 0 else shape[axis]
            low, high = sorted([r.int(-length - 2, length + 2), r.int(-length - 2, length + 2)])
            if r.chance(0.2):
                high = 2**63 - 1
            backward = steps and steps[index] < 0
            starts.append(high if backward else low)
            ends.append(low if backward else high)
        return b.slice("x", starts, ends, axes=axes, steps=steps)

    return shape, build


@op()
def Gather(r):
    shape = r.shape()
    axis = r.axis(len(shape))
    length = shape[axis - 1] if axis > 0 else shape[axis]

    def build(b):
        size = r.pick([(), (1,), (r.int(1, 5),), (2, 3)])
        low = -length if b.opset >= 11 else 0
        return b.add("Gather", ["x", b.constant(b.random.integers(low, length, size))], axis=axis)

    return shape, build


@op(11)
def Gather_strided(r):
    """A strided view as PyTorch's newer exporter writes it: the whole batch in one row, and each sample's places in it."""
    shape = r.shape()
    length = math.prod(shape)

    def build(b):
        size = r.shape(1, 3, 4)
        row = b.add("Reshape", ["x", b.constant([-1])])
        batch = b.listed("Squeeze", b.slice(b.add("Shape", ["x"]), [0], [1]), "axes", [0])
        samples = b.add("Range", [b.constant(0), batch, b.constant(1)])
        starts = b.listed("Unsqueeze", b.add("Mul", [samples, b.constant(length)]), "axes", list(range(1, len(size) + 1)))
        places = b.add("Add", [starts, b.constant(b.random.integers(0, length, [1, *size]))])
        return b.add("Gather", [row, places], axis=0)

    return shape, build


@op()
def Pad(r):
    shape = r.ints(r.int(1, 4), 2, 6)

    def build(b):
        mode = r.pick(["constant", "constant", "reflect", "edge"])
        pads = [r.int(-1 if mode == "constant" else 0, 1) for _ in range(2 * len(shape))]
        if b.opset >= 18 and r.chance():
            axes = r.axes(len(shape))
            return b.pad("x", pads[:len(axes)] + pads[-len(axes):], mode, r.float(-1, 1), axes=axes)
        return b.pad("x", [0, *pads[:len(shape)], 0, *pads[len(shape):]], mode, r.float(-1, 1))

    return shape, build


@op()
def Reshape(r):
    shape = r.shape(1, 4)
    total = math.prod(shape)

    def build(b):
        target, rest = [], total
        while rest > 1 and r.chance(0.8):
            factor = r.pick([size for size in range(1, rest + 1) if rest % size == 0])
            target.append(factor)
            rest //= factor
        target.append(rest)
        for index in range(min(len(shape), len(target))):
            if target[index] == shape[index] and r.chance():
                target[index] = 0
        first = r.pick([0, -1])
        if first == 0 and r.chance():
            target[r.int(0, len(target) - 1)] = -1
        return b.add("Reshape", ["x", b.constant([first, *target])])

    return shape, build


@op()
def Reshape_by_shape(r):
    shape = r.shape(2, 4)

    def build(b):
        whole = b.add("Shape", ["x"])
        last = len(shape)
        take = lambda index: b.add("Gather", [whole, b.constant([index])], axis=0)
        kept = r.int(0, last - 2)
        joined = b.add("Mul", [take(kept + 1), take(kept + 2)])
        parts = [take(index) for index in range(kept + 1)] + [joined] + [take(index) for index in range(kept + 3, last + 1)]
        return b.add("Reshape", ["x", b.add("Concat", parts, axis=0)])

    return shape, build


@op()
def Flatten(r):
    shape = r.shape()
    return shape, lambda b: b.add("Flatten", ["x"], **r.subset({"axis": 1 if b.opset < 11 or r.chance() else -len(shape)}, 0.7))


@op()
def Squeeze(r):
    shape = r.shape(2, 5)
    shape[r.int(0, len(shape) - 1)] = 1
    ones = [index + 1 for index, size in enumerate(shape) if size == 1]

    def build(b):
        axes = [axis - len(shape) - 1 if b.opset >= 11 and r.chance(0.3) else axis for axis in ones[:r.int(1, len(ones))]]
        return b.listed("Squeeze", "x", "axes", axes)

    return shape, build


@op()
def Unsqueeze(r):
    shape = r.shape(1, 3)

    def build(b):
        count = r.int(1, 2)
        axes = sorted(int(axis) + 1 for axis in r.numbers.permutation(len(shape) + count)[:count])
        if b.opset >= 11:
            axes = [axis - len(shape) - count - 1 if r.chance(0.3) else axis for axis in axes]
        return b.listed("Unsqueeze", "x", "axes", axes)

    return shape, build


@op()
def Transpose(r):
    shape = r.shape(1, 5)
    return shape, lambda b: b.add("Transpose", ["x"], perm=[0, *(int(axis) + 1 for axis in r.numbers.permutation(len(shape)))])


@op()
def Expand(r):
    shape = [1 if r.chance() else size for size in r.shape(1, 4)]
    target = [r.int(1, 4) if size == 1 else r.pick([1, size]) for size in shape]
    target = [1, *target] if r.chance() else target[r.int(0, len(target) - 1):]
    return shape, lambda b: b.add("Expand", ["x", b.constant(target)])


@op()
def Tile(r):
    shape = r.shape(1, 4)
    return shape, lambda b: b.add("Tile", ["x", b.constant([1, *r.ints(len(shape), 1, 3)])])


@op(9, 9)
def Upsample(r):
    shape = r.ints(r.int(2, 4), 1, 5)
    mode = r.pick(["nearest", "linear"])
    scales = [1.0, 1.0] + [r.pick([1, 2, 3, 1.5, 2.5]) for _ in shape[1:]]
    return shape, lambda b: b.add("Upsample", ["x", b.constant(scales, np.float32)], mode=mode)


@op(10)
def Resize(r):
    rank = r.int(1, 3)
    shape = [r.int(1, 3), *r.ints(rank, 1, 7)]

    def build(b):
        mode = r.pick(["nearest", "linear", "linear"])
        if mode == "linear" and rank == 3 and r.chance(0.5):
            mode = "nearest"
        by_sizes = b.opset >= 11 and r.chance(0.4)
        scales = [r.pick([0.5, 0.6, 1, 1.5, 2, 2.3, 3]) for _ in range(rank)]
        sizes = [max(1, math.floor(size * scale)) for size, scale in zip(shape[1:], scales)]
        attributes = {"mode": mode}
        if b.opset >= 11:
            modes = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
            modes += ["half_pixel_symmetric"] * (b.opset >= 19)
            attributes |= r.subset({"coordinate_transformation_mode": r.pick(modes)}, 0.8)
            if mode == "nearest":
                attributes |= r.subset(
                    {"nearest_mode": r.pick(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])}, 0.7)
        front = [1, 1]
        if b.opset >= 18 and r.chance(0.3):
            front, attributes["axes"] = [], list(range(2, rank + 2))
        if by_sizes:
            wanted = b.constant(sizes)
            if front:
                wanted = b.add("Concat", [b.slice(b.add("Shape", ["x"]), [0], [2]), wanted], axis=0)
            absent = [""] * 2 if b.opset >= 13 else [b.constant([], np.float32)] * 2
            return b.add("Resize", ["x", *absent, wanted], **attributes)
        values = b.constant(front + scales, np.float32)
        if b.opset < 11:
            return b.add("Resize", ["x", values], **attributes)
        region = b.constant([], np.float32) if b.opset < 13 else ""
        return b.add("Resize", ["x", region, values], **attributes)

    return shape, build


@op()
def Identity(r):
    return r.shape(), lambda b: b.add("Identity", ["x"])


@op()
def Dropout(r):
    def build(b):
        if b.opset < 12:
            return b.add("Dropout", ["x"], **r.subset({"ratio": r.float(0, 0.9)}, 0.5))
        return b.add("Dropout", ["x"] + ([b.constant(r.float(0, 0.9), np.float32)] if r.chance() else []))

    return r.shape(), build


@op()
def Cast(r):
    return r.shape(), lambda b: b.add("Cast", [b.add("Cast", ["x"], to=TensorProto.DOUBLE)], to=TensorProto.FLOAT)


# Activations and normalisations as exporters write them in several ops.

@op()
def silu(r):
    return r.shape(), lambda b: b.add("Mul", r.pick([lambda g: ["x", g], lambda g: [g, "x"]])(b.add("Sigmoid", ["x"])))


@op()
def mish(r):
    return r.shape(), lambda b: b.add("Mul", ["x", b.add("Tanh", [b.add("Softplus", ["x"])])])


@op()
def hard_swish(r):
    def build(b):
        number = lambda value: b.constant(value, np.float32)
        gate = b.clip(b.add("Add", ["x", number(3)]), 0.0, 6.0)
        if r.chance():
            return b.add("Div", [b.add("Mul", ["x", gate]), number(6)])
        return b.add("Mul", ["x", b.add("Div", [gate, number(6)])])

    return r.shape(), build


@op()
def gelu(r):
    def build(b):
        number = lambda value: b.constant(value, np.float32)
        error = b.add("Erf", [b.add("Div", ["x", number(math.sqrt(2))])])
        gate = b.add("Add", [error, number(1)])
        if r.chance():
            return b.add("Mul", [b.add("Mul", ["x", gate]), number(0.5)])
        return b.add("Mul", [b.add("Mul", ["x", number(0.5)]), gate])

    return r.shape(), build


@op()
def layer_normalization(r):
    shape = [*r.ints(r.int(0, 2), 1, 4), r.int(2, 8)]

    def build(b):
        mean = lambda x: b.listed("ReduceMean", x, "axes", [-1], keepdims=1)
        number = lambda value: b.constant(value, np.float32)
        centered = b.add("Sub", ["x", mean("x")])
        squares = b.add("Pow", [centered, number(2)]) if r.chance() else b.add("Mul", [centered, centered])
        deviation = b.add("Sqrt", [b.add("Add", [mean(squares), number(1e-5)])])
        scaled = b.add("Mul", [b.add("Div", [centered, deviation]), b.weight(shape[-1])])
        return b.add("Add", [scaled, b.weight(shape[-1])])

    return shape, build


def draw(name, index, seed):
    """A random model of the op, its input and onnxruntime's output; or why there is none."""
    function, first, last = OPS[name]
    r = Random([seed, index, *name.encode()])
    shape, build = function(r)
    builder = Builder(f"{name}_{index}", r.int(first, last))
    build(builder)
    builder.nodes[-1].output[0] = "y"
    used = {operand for node in builder.nodes for operand in node.input}
    graph = helper.make_graph(
        builder.nodes, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [weight for weight in builder.weights if weight.name in used])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", builder.opset)])
    model.ir_version = 4 if builder.opset < 13 else 8
    x = r.numbers.standard_normal((BATCH, *shape)).astype(np.float32)
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        y = session.run(None, {"x": x})[0]
    except Exception as error:
        return f"onnxruntime: {error}"
    if y.size == 0 or not np.isfinite(y).all():
        return "an empty or infinite result"
    return model, x, y


def main(program, names, count, seed):
    drawn, undrawn, failed = {}, collections.Counter(), []
    for name in names or OPS:
        index = 0
        while sum(key[0] == name for key in drawn) < count and index < 10 * count:
            result = draw(name, index, seed)
            if isinstance(result, str):
                undrawn[name] += 1
                last = result
            else:
                drawn[name, index] = result
            index += 1
        if index == 10 * count:
            failed.append(f"{name}: too few models, for the last: {last}")
    with tempfile.TemporaryDirectory() as folder:
        results = forward(program, pathlib.Path(folder), [(key, model, x) for key, (model, x, _) in drawn.items()])
    passed, refused, worst = collections.Counter(), collections.defaultdict(list), collections.Counter()
    for key, (model, x, y) in drawn.items():
        result, name = results[key], f"{key[0]}_{key[1]}"
        described = ", ".join(f"{a.name}={helper.get_attribute_value(a)}" for a in model.graph.node[-1].attribute)
        described = f"opset {model.opset_import[0].version}, x {list(x.shape)}, {model.graph.node[-1].op_type}({described})"
        if isinstance(result, str):
            reason = next((why for text, why in REFUSED.get(key[0], {}).items() if re.search(text, result)), None)
            if reason:
                refused[f"{key[0]}: {reason}"].append(name)
            else:
                failed.append(f"{name}: refused: {result} [{described}]")
            continue
        faults = [f"{found}: {fault}" for found in ("y", "canonized/y")
                  if (fault := differ(result[found], y, RTOL, SHARE * max(1, np.abs(y).max())))]
        if faults:
            failed.append(f"{name}: {faults[0]} [{described}]")
        else:
            passed[key[0]] += 1
            worst[key[0]] = max(worst[key[0]], np.abs(result["y"] - y).max() / max(1, np.abs(y).max()))
    for name in names or OPS:
        more = f", {undrawn[name]} drawn anew" if undrawn[name] else ""
        print(f"{name}: {passed[name]} passed, off by at most {worst[name]:.1e} of the largest{more}")
    for reason, cases in refused.items():
        print(f"refused: {reason}: {len(cases)}")
    for line in failed:
        print(f"FAILED  {line}")
    print(f"{sum(passed.values())} passed, {len(failed)} failed, {sum(map(len, refused.values()))} refused for a known reason")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("names", nargs="*", metavar="OP")
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    main(arguments.program, arguments.names, arguments.count, arguments.seed)
