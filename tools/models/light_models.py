"""The networks that the package `onnx` ships without weights, with random ones, as Caffe2 exported them in 2018.

    pip install -r requirements.txt
    python light_models.py FOLDER

Their weights are `ConstantOfShape` nodes; here they become initializers of Kaiming's size, and those of batch
normalisations scales, shifts and statistics of order 1. Writes NAME-caffe2.onnx, NAME.npy and NAME.json for `check_zoo.py`:
opset 9, a fixed batch of one, grouped convolutions with shuffled channels, scales as `Mul` and `Add` of unsqueezed
constants, dropout, a softmax at the end. Networks with local response normalisation are left out, which Glocal does not read.
"""
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnx.backend.test.loader import DATA_DIR

from compare import expected, normalised_pictures


def weights(graph):
    """The initializers in place of the `ConstantOfShape` nodes, by what takes them."""
    random = np.random.default_rng(0)
    shapes = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    consumers = {}
    for node in graph.node:
        for index, name in enumerate(node.input):
            consumers.setdefault(name, (node, index))
    made = {}
    for node in graph.node:
        if node.op_type == "ConstantOfShape":
            shape = [int(size) for size in shapes[node.input[0]]]
            consumer, index = consumers[node.output[0]]
            if consumer.op_type in ("Conv", "Gemm") and index == 1:
                values = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
            elif consumer.op_type == "BatchNormalization":
                low, high = [(0.5, 1.5), (-0.3, 0.3), (-0.3, 0.3), (0.5, 2)][index - 1]
                values = random.uniform(low, high, shape)
            elif consumer.op_type == "Unsqueeze":  # a scale or a shift
                after = consumers[consumer.output[0]][0]
                values = random.uniform(*((0.5, 1.5) if after.op_type == "Mul" else (-0.3, 0.3)), shape)
            else:
                values = random.uniform(-0.1, 0.1, shape)
            made[node.output[0]] = values.astype(np.float32)
    return made


def calibrate(model, x):
    """Gives batch normalisations the statistics of what they get, perturbed. Those of a batch of one are its instance's."""
    random = np.random.default_rng(1)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    own = onnx.ModelProto.FromString(model.SerializeToString())
    normalisations = [node for node in own.graph.node if node.op_type == "BatchNormalization"]
    statistics = [list(node.input[3:]) for node in normalisations]
    for node in normalisations:
        node.op_type = "InstanceNormalization"
        del node.input[3:], node.attribute[:]
    own.graph.output.extend(helper.make_empty_tensor_value_info(node.input[0]) for node in normalisations)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # no word on the statistics that are not used now
    session = onnxruntime.InferenceSession(own.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = session.run(None, {session.get_inputs()[0].name: x})[1:]
    for names, value in zip(statistics, values):
        for name, values in zip(names, (value.mean((0, 2, 3)), value.var((0, 2, 3)))):
            perturbed = values * random.uniform(0.8, 1.25, values.shape)
            constants[name].CopyFrom(numpy_helper.from_array(perturbed.astype(np.float32), name))


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((pathlib.Path(DATA_DIR) / "light").glob("*.onnx")):
        model = onnx.load(path)
        graph = model.graph
        if any(node.op_type == "LRN" for node in graph.node):
            print(f"{path.stem}: left out, it has LRN")
            continue
        made = weights(graph)
        nodes = [node for node in graph.node if node.op_type != "ConstantOfShape"]
        used = {name for node in nodes for name in node.input}
        kept = [tensor for tensor in graph.initializer if tensor.name in used]
        inputs = [value for value in graph.input if value.name in used - {tensor.name for tensor in kept}]
        tensors = kept + [numpy_helper.from_array(values, name) for name, values in made.items()]
        model.graph.CopyFrom(helper.make_graph(nodes, graph.name, inputs, graph.output, tensors))
        model.ir_version = 4  # the first where initializers need not be inputs
        shape = [size.dim_value for size in inputs[0].type.tensor_type.shape.dim]
        x = normalised_pictures(shape[1:], shape[0])
        calibrate(model, x)
        logits = expected(model, x)
        print(f"{path.stem}: outputs up to {np.abs(logits).max():.2g}", flush=True)
        assert 1 < np.abs(logits).max() < 100, "activations vanish or explode"
        onnx.save(model, folder / f"{path.stem}-caffe2.onnx")
        np.save(folder / f"{path.stem}.npy", x)
        document = {"input": shape[1:], "output": list(logits.shape[1:]), "modules": []}
        (folder / f"{path.stem}.json").write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
