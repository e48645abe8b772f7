"""Small ONNX models, one op or idiom in one opset each, with the outputs that onnxruntime gives.

    pip install -r requirements.txt
    python make_import_goldens.py ../../crates/glocal/tests/import_goldens

Writes NAME.onnx for each case and goldens.safetensors with NAME/x, a batch of two samples, and NAME/y. Two runs write the
same bytes.
"""
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

CASES = {}
BATCH = 2


class Builder:
    """A chain of nodes over the value `x`, in one opset."""

    def __init__(self, name, opset):
        self.opset, self.nodes, self.weights = opset, [], []
        self.random = np.random.default_rng(sum(name.encode()))

    def constant(self, values, dtype=np.int64, name=None):
        name = name or f"constant_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def weight(self, *shape, name=None):
        return self.constant(self.random.standard_normal(shape) * 0.5, np.float32, name)

    def add(self, op, inputs, outputs=1, **attributes):
        names = [f"{op.lower()}_{len(self.nodes)}" + ("" if i == 0 else f"_{i}") for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=f"node_{len(self.nodes)}", **attributes))
        return names[0] if outputs == 1 else names

    def listed(self, op, x, attribute, values, **attributes):
        """An op whose list was an attribute up to some opset and is an operand since."""
        since = {"Squeeze": 13, "Unsqueeze": 13, "ReduceSum": 13, "Split": 13}.get(op, 18)
        outputs = attributes.pop("outputs", 1)
        if self.opset < since:
            return self.add(op, [x], outputs, **{attribute: values}, **attributes)
        return self.add(op, [x, self.constant(values)], outputs, **attributes)

    def slice(self, x, starts, ends, axes=None, steps=None):
        if self.opset < 10:
            given = {"starts": starts, "ends": ends} | ({"axes": axes} if axes else {})
            return self.add("Slice", [x], **given)
        operands = [x, self.constant(starts), self.constant(ends)]
        if axes or steps:
            operands.append(self.constant(axes) if axes else "")
        return self.add("Slice", operands + ([self.constant(steps)] if steps else []))

    def pad(self, x, pads, mode="constant", value=0.0, axes=None):
        if self.opset < 11:
            return self.add("Pad", [x], pads=pads, mode=mode, value=value)
        operands = [x, self.constant(pads), self.constant(value, np.float32)]
        return self.add("Pad", operands + ([self.constant(axes)] if axes else []), mode=mode)

    def clip(self, x, low=None, high=None):
        if self.opset < 11:
            bounds = {"min": low, "max": high}
            return self.add("Clip", [x], **{name: value for name, value in bounds.items() if value is not None})
        bound = lambda value: "" if value is None else self.constant(value, np.float32)
        return self.add("Clip", [x, bound(low)] if high is None else [x, bound(low), bound(high)])


def case(shape, *opsets):
    def register(build):
        for opset in opsets:
            CASES[f"{build.__name__}_{opset}"] = (build, shape, opset)
        return build

    return register


@case([3, 4], 9, 13, 18)
def clip(b):
    return b.add("Concat", [b.clip("x", -0.5, 0.5), b.clip("x", low=0.1), b.clip("x", high=0.2)], axis=1)


@case([2, 5, 6], 9, 13, 18)
def pad(b):
    x = b.pad("x", [0, 1, 2, 0, 0, 0, 1, 3], value=0.25)
    x = b.pad(x, [0, 0, 1, 2, 0, 0, 2, 1], mode="reflect")
    x = b.pad(x, [0, 0, 0, 1, 0, 0, 2, 0], mode="edge")
    return b.pad(x, [0, 0, -1, 0, 0, 0, 0, -2])


@case([2, 5, 6], 18)
def pad_axes(b):
    return b.pad("x", [1, 2, 0, 1], axes=[-1, 2])


@case([3, 4], 9, 13, 18)
def squeeze(b):
    x = b.listed("Unsqueeze", "x", "axes", [1, 4])
    x = b.listed("Squeeze", x, "axes", [4])
    return b.listed("Squeeze", x, "axes", [1])


@case([3, 4, 5], 9, 13, 18)
def reduce(b):
    mean = b.listed("ReduceMean", "x", "axes", [2, 3], keepdims=1)
    x = b.add("Sub", ["x", mean])
    total = b.listed("ReduceSum", x, "axes", [-1], keepdims=0)
    return b.listed("ReduceMean", total, "axes", [1], keepdims=0)


@case([4, 6, 7], 9, 13, 18)
def slice(b):
    x = b.slice("x", [0, 1, -5], [2**31 - 1, 6, -1], axes=[0, 2, 3])
    return b.slice(x, [0, 1], [2**31 - 1, 2**62]) if b.opset < 10 else b.slice(x, [-1, 0], [-10, 9], [1, 3], [-2, 3])


@case([6, 3], 9, 13, 18)
def split(b):
    a, c, d = b.listed("Split", "x", "split", [1, 3, 2], axis=1, outputs=3)
    return b.add("Concat", [d, c, a, d], axis=1)


@case([5, 3], 9, 18)
def split_equal(b):
    if b.opset < 18:
        first, second, third = b.add("Split", ["x"], 3, axis=-1)
        return b.add("Concat", [third, first, second], axis=2)
    first, second = b.add("Split", ["x"], 2, axis=1, num_outputs=2)
    return b.add("Concat", [second, first], axis=1)


@case([5], 9, 13, 18)
def dropout(b):
    if b.opset < 12:
        x, _ = b.add("Dropout", ["x"], 2, ratio=0.3)
    else:
        x, _ = b.add("Dropout", ["x", b.constant(0.3, np.float32), b.constant(False, bool)], 2)
    x = b.add("Identity", [b.add("Cast", [x], to=TensorProto.FLOAT)])
    return b.add("Mul", [x, x])


@case([3, 4, 5], 9, 13, 18)
def reshape_by_gathered_shape(b):
    shape = b.add("Shape", ["x"])
    one = lambda index: b.listed("Unsqueeze", b.add("Gather", [shape, b.constant(index)], axis=0), "axes", [0])
    rest = b.add("Mul", [b.add("Gather", [shape, b.constant(2)]), b.add("Gather", [shape, b.constant(3)])])
    rest = b.listed("Unsqueeze", b.add("Cast", [rest], to=TensorProto.INT64), "axes", [0])
    return b.add("Reshape", ["x", b.add("Concat", [one(0), one(1), rest], axis=0)])


@case([3, 4, 5], 9, 13, 18)
def reshape_by_sliced_shape(b):
    if b.opset >= 15:
        batch = b.add("Shape", ["x"], start=0, end=1)
    else:
        batch = b.slice(b.add("Shape", ["x"]), [0], [1], axes=[0])
    return b.add("Reshape", ["x", b.add("Concat", [batch, b.constant([-1])], axis=0)])


@case([3, 4, 5], 13)
def reshape_by_division(b):
    shape = b.add("Shape", ["x"])
    take = lambda index: b.add("Gather", [shape, b.constant([index])])
    half = b.add("Div", [take(2), b.constant([2])])
    more = b.add("Add", [half, b.constant([0])])
    return b.add("Reshape", ["x", b.add("Concat", [take(0), take(1), more, b.constant([2]), take(-1)], axis=0)])


@case([4, 6], 9, 13)
def reshape_zero_and_minus_one(b):
    x = b.add("Reshape", ["x", b.constant([0, 2, -1, 6])])
    x = b.add("Reshape", [x, b.constant([-1, 24])])
    return b.add("Flatten", [b.add("Reshape", [x, b.constant([0, 0, 1])])])


@case([4, 3, 5], 13)
def transpose(b):
    x = b.add("Transpose", ["x"], perm=[0, 2, 3, 1])
    x = b.add("Reshape", [x, b.constant([0, -1, 4])])
    x = b.add("Add", [b.add("MatMul", [x, b.weight(4, 3)]), b.weight(3)])
    return b.add("Transpose", [x], perm=[0, 2, 1])


@case([4, 7, 9], 9, 18)
def convolution_same(b):
    x = b.add("Conv", ["x", b.weight(6, 2, 3, 2), b.weight(6)], group=2, auto_pad="SAME_UPPER", strides=[2, 2])
    x = b.add("Conv", [x, b.weight(6, 1, 2, 2)], group=6, auto_pad="SAME_LOWER", dilations=[1, 1])
    return b.add("Conv", [x, b.weight(3, 6, 1, 2)], auto_pad="VALID", kernel_shape=[1, 2])


@case([3, 11], 13)
def convolution_1d(b):
    return b.add("Conv", ["x", b.weight(4, 3, 3), b.weight(4)], pads=[2, 1], strides=[2], dilations=[2])


@case([2, 4, 5, 3], 13)
def convolution_3d(b):
    return b.add("Conv", ["x", b.weight(4, 2, 2, 3, 2), b.weight(4)], pads=[1, 0, 1, 0, 2, 0], strides=[2, 1, 1])


@case([6], 9, 13)
def gemm(b):
    x = b.add("Gemm", ["x", b.weight(5, 6), b.weight(5)], alpha=0.5, beta=2.0, transB=1)
    x = b.add("Gemm", [x, b.weight(5, 4), b.weight(1)], alpha=1.5, beta=0.5)
    if b.opset >= 11:
        x = b.add("Gemm", [x, b.weight(4, 4)])
    x = b.add("Gemm", [x, b.weight(4, 3), b.weight(1, 3)])
    return b.add("MatMul", [x, b.weight(3, 2)])


@case([3, 4, 4], 9, 13)
def batch_normalization(b):
    x = b.add("Conv", ["x", b.weight(4, 3, 1, 1)])
    variance = b.constant(b.random.uniform(0.5, 2, 4), np.float32)
    x = b.add("BatchNormalization", [x, b.weight(4), b.weight(4), b.weight(4), variance], epsilon=1e-3, momentum=0.8)
    x = b.add("Add", [b.add("Mul", [x, b.weight(1, 4, 1, 1)]), b.weight(4, 1, 1)])
    return b.add("Relu", [x])


@case([3, 4], 9, 13)
def arithmetic(b):
    x = b.add("Sub", [b.constant(1.5, np.float32), "x"])
    x = b.add("Div", [x, b.constant([2, 4, 0.5, 1], np.float32)])
    x = b.add("Sum", [x, "x", b.weight(1, 3, 4)])
    x = b.add("Sub", [x, b.listed("ReduceMean", "x", "axes", [2], keepdims=1)])
    return b.add("Add", [b.add("Mul", [x, "x"]), b.weight(3, 1)])


@case([6], 9, 13)
def activations(b):
    parts = [b.add("LeakyRelu", ["x"], alpha=0.2), b.add("LeakyRelu", ["x"]), b.add("Sigmoid", ["x"]), b.add("Tanh", ["x"])]
    return b.add("Concat", parts, axis=-1)


@case([5], 9, 13)
def softmax(b):
    return b.add("Softmax", ["x"])


@case([3, 4], 13)
def log_softmax_channels(b):
    return b.add("LogSoftmax", ["x"], axis=1)


@case([2, 7, 8], 9, 18)
def max_pool(b):
    x, _ = b.add("MaxPool", ["x"], 2, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1], storage_order=0)
    return b.add("Concat", [b.add("GlobalMaxPool", [x]), b.add("GlobalAveragePool", ["x"])], axis=1)


@case([2, 7, 8], 18)
def max_pool_ceil(b):
    return b.add("MaxPool", ["x"], kernel_shape=[3, 2], strides=[2, 3], ceil_mode=1, dilations=[1, 2])


@case([2, 7, 8], 9, 18)
def average_pool(b):
    x = b.add("AveragePool", ["x"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)
    return b.add("AveragePool", [x], kernel_shape=[2, 2], pads=[0, 1, 1, 0])


@case([2, 7, 8], 18)
def average_pool_same(b):
    return b.add("AveragePool", ["x"], kernel_shape=[3, 2], strides=[2, 3], auto_pad="SAME_UPPER")


@case([6, 4, 5], 9, 13, 17)
def layer_normalization(b):
    if b.opset < 17:
        # As it is written without an op of its own.
        centered = b.add("Sub", ["x", b.listed("ReduceMean", "x", "axes", [-1], keepdims=1)])
        square = b.add("Pow", [centered, b.constant(2.0, np.float32)])
        variance = b.add("Add", [b.listed("ReduceMean", square, "axes", [-1], keepdims=1), b.constant(1e-5, np.float32)])
        x = b.add("Div", [centered, b.add("Sqrt", [variance])])
        return b.add("Add", [b.add("Mul", [x, b.weight(5)]), b.weight(5)])
    x = b.add("LayerNormalization", ["x", b.weight(5), b.weight(5)], epsilon=1e-3)
    return b.add("LayerNormalization", [x, b.weight(4, 5)], axis=2)


@case([6, 4, 5], 9, 17)
def instance_normalization(b):
    return b.add("InstanceNormalization", ["x", b.weight(6), b.weight(6)], epsilon=1e-2)


@case([6, 4, 5], 18, 21)
def group_normalization(b):
    count = 3 if b.opset < 21 else 6
    return b.add("GroupNormalization", ["x", b.weight(count), b.weight(count)], num_groups=3, epsilon=1e-2)


@case([4, 5], 23)
def rms_normalization(b):
    x = b.add("RMSNormalization", ["x", b.weight(5)], epsilon=1e-3)
    return b.add("RMSNormalization", [x, b.weight(4, 5)], axis=1)


@case([4, 5], 9, 18)
def lp_normalization(b):
    return b.add("LpNormalization", [b.add("LpNormalization", ["x"], axis=1, p=1)], axis=-1, p=2)


@case([4, 3, 3], 9, 16)
def p_relu(b):
    x = b.add("PRelu", ["x", b.weight(4, 1, 1)])
    x = b.add("PRelu", [b.add("Neg", [x]), b.weight(1)])
    return b.add("PRelu", [x, b.weight(4, 3, 3)])


@case([6], 9, 13, 18)
def powers(b):
    size = b.add("Add", [b.add("Abs", ["x"]), b.constant(0.5, np.float32)])
    parts = [
        b.add("Sqrt", [size]), b.add("Reciprocal", [size]), b.add("Log", [size]), b.add("Exp", ["x"]),
        b.add("Pow", [size, b.constant(1.7, np.float32)]), b.add("Pow", ["x", b.constant([3.0], np.float32)]),
        b.add("Div", ["x", size]), b.add("Div", [b.constant(2.0, np.float32), size]),
        b.add("Max", ["x", b.constant(0.1, np.float32)]), b.add("Min", [b.constant(0.1, np.float32), "x"]),
    ]
    return b.add("Concat", parts, axis=-1)


@case([3, 4, 5], 9, 13, 18)
def reduce_max(b):
    parts = [
        b.listed("ReduceMax", "x", "axes", [1], keepdims=1), b.listed("ReduceMax", "x", "axes", [-1], keepdims=1),
        b.listed("ReduceMax", "x", "axes", [1, 3], keepdims=1), b.listed("ReduceL1", "x", "axes", [2], keepdims=1),
        b.listed("ReduceL2", "x", "axes", [2, 3], keepdims=1), b.listed("ReduceSumSquare", "x", "axes", [1], keepdims=1),
    ]
    flat = [b.add("Flatten", [part]) for part in parts + [b.listed("ReduceMax", "x", "axes", [2], keepdims=0)]]
    return b.add("Concat", flat, axis=1)


@case([2, 3, 8], 9, 13)
def attention(b):
    turned = b.add("Transpose", [b.add("MatMul", ["x", b.weight(8, 8)])], perm=[0, 1, 3, 2])
    weights = b.add("Softmax", [b.add("MatMul", ["x", turned])], axis=3)
    x = b.add("MatMul", [weights, b.add("MatMul", ["x", b.weight(8, 8)])])
    return b.add("MatMul", [b.weight(4, 3), x])


@case([3, 4], 9, 11)
def softmax_of_all(b):
    return b.add("Add", [b.add("Softmax", ["x"]), b.add("LogSoftmax", ["x"], axis=2)])


@case([4, 5, 3], 9, 13)
def gather(b):
    x = b.add("Gather", ["x", b.constant([3, 0, -1, 3])], axis=1)
    x = b.add("Gather", [x, b.constant([[0, 1], [4, -2]])], axis=2)
    return b.add("Gather", [x, b.constant(1)], axis=-1)


@case([4, 1, 3], 9, 13)
def expand(b):
    x = b.add("Expand", ["x", b.constant([1, 1, 5, 1])])
    x = b.add("Tile", [x, b.constant([1, 2, 1, 3])])
    batch = b.slice(b.add("Shape", ["x"]), [0], [1], axes=[0])
    return b.add("Expand", [x, b.add("Concat", [batch, b.constant([8, 5, 9])], axis=0)])


@case([1, 3], 13)
def expand_by_marked_sizes(b):
    # PyTorch marks the sizes that stay by -1 and replaces them by 1.
    wanted = b.constant([-1, 4, 3])
    ones = b.add("ConstantOfShape", [b.add("Shape", [wanted])],
                 value=helper.make_tensor("one", TensorProto.INT64, [1], [1]))
    marks = b.add("Mul", [ones, b.constant(-1)])
    return b.add("Expand", ["x", b.add("Where", [b.add("Equal", [wanted, marks]), ones, wanted])])


@case([6], 13)
def folded_weights(b):
    weight = b.add("Transpose", [b.weight(5, 6)], perm=[1, 0])
    weight = b.add("Div", [b.add("Mul", [weight, b.weight(6, 1)]), b.add("Sqrt", [b.constant([4.0], np.float32)])])
    bias = b.add("Squeeze", [b.add("Slice", [b.weight(2, 5), b.constant([1]), b.constant([2]), b.constant([0])]),
                             b.constant([0])])
    return b.add("Add", [b.add("MatMul", ["x", weight]), bias])


@case([2, 4, 5], 9)
def upsample(b):
    x = b.add("Upsample", ["x", b.constant([1, 1, 2, 3], np.float32)], mode="nearest")
    return b.add("Upsample", [x, b.constant([1, 1, 2, 1.5], np.float32)], mode="linear")


@case([2, 4, 5], 10, 11, 13, 18)
def resize(b):
    if b.opset < 11:
        x = b.add("Resize", ["x", b.constant([1, 1, 2, 1.5], np.float32)], mode="nearest")
        return b.add("Resize", [x, b.constant([1, 1, 0.7, 2], np.float32)], mode="linear")
    # onnxruntime wants the region of interest and empty scales in opset 11, although nothing crops.
    roi, none = ("", "") if b.opset > 11 else (b.constant([0] * 4 + [1] * 4, np.float32), b.constant([], np.float32))
    outer = b.slice(b.add("Shape", ["x"]), [0], [2], axes=[0])
    by_scale = lambda x, scale, **how: b.add("Resize", [x, roi, b.constant([1, 1, *scale], np.float32)], **how)
    by_size = lambda x, size, **how: b.add(
        "Resize", [x, roi, none, b.add("Concat", [outer, b.constant(size)], axis=0)], **how)
    x = by_scale("x", [2, 3], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    x = by_size(x, [5, 9], mode="linear", coordinate_transformation_mode="align_corners")
    x = by_scale(x, [1.6, 0.8], mode="linear")
    x = by_size(x, [6, 11], mode="linear", coordinate_transformation_mode="pytorch_half_pixel")
    x = by_scale(x, [1.5, 1.5], mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1)
    x = by_size(x, [7, 5], mode="nearest", nearest_mode="round_prefer_ceil")
    return by_scale(x, [2, 1.4], mode="cubic", coordinate_transformation_mode="asymmetric")


@case([2, 4, 5], 18)
def resize_some_axes(b):
    x = b.add("Resize", ["x", "", b.constant([1.5], np.float32)], axes=[-1], mode="linear")
    return b.add("Resize", [x, "", "", b.constant([9, 9])], axes=[2, 3], keep_aspect_ratio_policy="not_larger")


@case([4, 5, 6], 9, 13)
def convolution_transpose_shapes(b):
    x = b.add("ConvTranspose", ["x", b.weight(4, 3, 3, 4), b.weight(3)], strides=[2, 3], auto_pad="SAME_UPPER")
    x = b.add("ConvTranspose", [x, b.weight(3, 2, 4, 3)], strides=[2, 1], auto_pad="SAME_LOWER")
    return b.add("ConvTranspose", [x, b.weight(2, 1, 3, 3)], strides=[2, 2], output_shape=[39, 37], group=2)


@case([2, 3, 4], 13)
def matrix_stacks(b):
    x = b.add("MatMul", ["x", b.weight(2, 4, 5)])
    x = b.add("MatMul", [b.weight(2, 6, 3), x])
    x = b.add("MatMul", [x, b.weight(1, 5, 2)])
    return b.add("MatMul", [x, b.weight(2)])


@case([1, 3], 13)
def widening_constants(b):
    x = b.add("Mul", ["x", b.weight(4, 3)])
    x = b.add("Add", [b.add("Unsqueeze", [x, b.constant([1])]), b.weight(2, 1, 1)])
    return b.add("Selu", [x], alpha=1.2, gamma=0.7)


@case([6, 1, 1], 13)
def strided_view(b):
    # How PyTorch's newer exporter writes the average pool of a channels-last network: the batch as one list, indexed.
    count = b.add("Squeeze", [b.slice(b.add("Shape", ["x"]), [0], [1])])
    samples = b.add("Range", [b.constant(0), count, b.constant(1)])
    starts = b.add("Unsqueeze", [b.add("Mul", [samples, b.constant(6)]), b.constant([1, 2, 3])])
    indices = b.add("Add", [starts, b.constant(np.array([5, 1, 2, 0]).reshape(1, 4, 1, 1))])
    indices = b.add("Add", [indices, b.constant(np.zeros((1, 1, 1, 1)))])
    return b.add("Gather", [b.add("Reshape", ["x", b.constant([-1])]), indices], axis=0)


@case([3, 4], 13)
def activations_written_out(b):
    number = lambda value: b.constant(value, np.float32)
    mul = lambda x, y: b.add("Mul", [x, y])
    clipped = lambda x: b.clip(b.add("Add", [x, number(3.0)]), 0.0, 6.0)
    hard_sigmoid = lambda x: b.add("Div", [clipped(x), number(6.0)])
    cube = lambda x: b.add("Pow", [x, number(3.0)])
    product = lambda x: mul(x, mul(x, x))
    tanh = lambda x, third: b.add("Tanh", [mul(
        b.add("Add", [x, mul(third(x), number(0.044715))]), number(np.sqrt(2 / np.pi)))])
    erf = lambda x: b.add("Erf", [b.add("Div", [x, number(np.sqrt(2))])])
    plus_one = lambda x: b.add("Add", [x, number(1.0)])
    parts = [
        mul("x", b.add("Sigmoid", ["x"])),
        hard_sigmoid("x"),
        mul("x", hard_sigmoid("x")),
        b.add("Div", [mul(clipped("x"), "x"), number(6.0)]),
        mul("x", b.add("Tanh", [b.add("Softplus", ["x"])])),
        mul(mul("x", plus_one(erf("x"))), number(0.5)),
        mul(mul("x", number(0.5)), plus_one(tanh("x", cube))),
        mul("x", mul(number(0.5), plus_one(tanh("x", product)))),
    ]
    return b.add("Concat", parts, axis=1)


@case([3, 4], 18)
def reductions_of_nothing(b):
    # onnxruntime squares the elements; for ReduceL1 and ReduceL2 it differs from the specification.
    return b.add("ReduceSumSquare", ["x"], noop_with_empty_axes=1)


@case([4], 13)
def constants_cast_to_truth(b):
    parts = [b.constant([0.5, 0.0, -2.0, 1.0], np.float32), b.constant([5, 0, -1, 1])]
    truths = [b.add("Cast", [b.add("Cast", [part], to=TensorProto.BOOL)], to=TensorProto.FLOAT) for part in parts]
    return b.add("Concat", [b.add("Mul", ["x", truth]) for truth in truths], axis=1)


@case([3, 7], 18)
def resize_keeping_aspect(b):
    x = b.add("Unsqueeze", ["x", b.constant([1])])
    return b.add("Resize", [x, "", "", b.constant([3, 8])], axes=[2, 3], mode="linear",
                 keep_aspect_ratio_policy="not_smaller")


@case([6], 13, 18)
def constants_reduced_tiled_and_compared(b):
    table = b.constant([[1.5, -2.0, 0.5], [3.0, 0.25, -4.0]], np.float32)
    counts = b.constant([[2, 5, 1], [4, 0, 3]])
    axes = lambda op, axis: b.listed(op, table, "axes", [axis], keepdims=0)
    over_rows = [axes(op, 1) for op in ("ReduceSum", "ReduceMean", "ReduceProd", "ReduceMax", "ReduceMin")]
    over_rows += [axes(op, 1) for op in ("ReduceL1", "ReduceL2", "ReduceSumSquare")]
    over_all = b.add("Reshape", [b.add("ReduceSum", [counts], keepdims=1), b.constant([1])])
    six = lambda constant: b.add("Tile", [constant, b.constant([3])])
    factors = [six(b.add("Reshape", [part, b.constant([2])])) for part in over_rows]
    factors.append(b.add("Tile", [b.add("Cast", [over_all], to=TensorProto.FLOAT), b.constant([6])]))
    factors.append(b.add("Reshape", [b.add("Pow", [table, counts]), b.constant([6])]))
    less = b.add("Less", [table, b.add("Cast", [counts], to=TensorProto.FLOAT)])
    more = b.add("Or", [b.add("GreaterOrEqual", [counts, b.constant([[3]])]), b.add("And", [less, less])])
    factors.append(b.add("Reshape", [b.add("Cast", [more], to=TensorProto.FLOAT), b.constant([6])]))
    return b.add("Concat", [b.add("Mul", ["x", factor]) for factor in factors], axis=1)


@case([5], 9, 13)
def softmax_and_reshape(b):
    x = b.add("Softmax", [b.add("MatMul", ["x", b.weight(5, 4)])])
    return b.add("Reshape", [x, b.constant([-1, 2, 2])])


def build(name, function, shape, opset):
    builder = Builder(name, opset)
    output = function(builder)
    builder.nodes[-1].output[0] = "y"
    assert output == "y" or output.startswith(builder.nodes[-1].op_type.lower()), "the last node is the output"
    graph = helper.make_graph(
        builder.nodes, name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], builder.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="make_import_goldens")
    model.ir_version = 4 if opset < 13 else 8
    return model


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, (function, shape, opset) in CASES.items():
        model = build(name, function, shape, opset)
        x = np.random.default_rng(len(tensors)).standard_normal((BATCH, *shape)).astype(np.float32)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        y = session.run(None, {"x": x})[0]
        output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", *y.shape[1:]])
        model.graph.output[0].CopyFrom(output)
        # Its opset 18 is deprecated, and still what files of that opset mean.
        if name != "group_normalization_18":
            onnx.checker.check_model(model, full_check=True)
        onnx.save(model, folder / f"{name}.onnx")
        tensors[f"{name}/x"], tensors[f"{name}/y"] = x, y
    save_file(tensors, folder / "goldens.safetensors")
    print(f"{len(CASES)} cases, {sum(file.stat().st_size for file in folder.iterdir()) // 1024} KiB")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
