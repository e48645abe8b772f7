"""What the scripts that compare Glocal with onnxruntime share: inputs, onnxruntime's logits, one run of `glocal attribute`."""
import json
import subprocess

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file

# Of a layer's unexplained loss, relative to the sum of the sizes of its relevances: ten single-precision roundings in
# the same direction.
UNEXPLAINED = 1.2e-6


def pictures(shape, count=3):
    """Pictures of patches of random colors with some noise, 0 to 255."""
    random = np.random.default_rng(0)
    channels, height, width = shape
    patches = random.uniform(0, 255, (count, channels, -(-height // 8), -(-width // 8))).repeat(8, 2).repeat(8, 3)
    patches = patches[:, :, :height, :width]
    return np.clip(patches + random.normal(0, 12, patches.shape), 0, 255)


def expected(model, x):
    """The logits by onnxruntime: what goes into a final softmax, where there is one. `model` is one in memory, or a path."""
    graph = (model if isinstance(model, onnx.ModelProto) else onnx.load(model, load_external_data=False)).graph
    last = next(node for node in graph.node if graph.output[0].name in node.output)
    if last.op_type == "Softmax":
        model = onnx.load(model) if not isinstance(model, onnx.ModelProto) else model
        model = onnx.load_model_from_string(model.SerializeToString())
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(last.input[0]))
    source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[-1]


def attribute(glocal, model, inputs, out, *options):
    """The arrays that `glocal attribute` writes to `out`, and the layers of its conservation report."""
    command = [glocal, "attribute", model, inputs, "-o", out, "--conservation", "--json", *options]
    report = subprocess.run(command, check=True, capture_output=True, text=True)
    return load_file(out), [layer for batch in json.loads(report.stdout)["conservation"] for layer in batch["layers"]]


def logits_off(prediction, logits):
    """The largest difference, relative to the largest logit."""
    return float(np.abs(prediction - logits).max() / np.abs(logits).max())


def worst_unexplained(layers):
    """The worst share of a layer's relevance that its account does not explain, and the layer."""
    return max(((abs(layer["unexplained"]) / max(layer["magnitude"], 1e-30), layer) for layer in layers),
               key=lambda pair: pair[0])
