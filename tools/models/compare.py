"""What the scripts that compare Glocal with other programs share: inputs, the other result, runs of Glocal."""
import json
import subprocess

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file, save_file

# Relative to the largest output. A sum of up to 4608 products (3x3x512), added in two orders, differs by about
# sqrt(4608) * 2^-24 = 4e-6 of its terms' size; over 120 layers (DenseNet) whose differences are independent that is
# 4.5e-5. The worst of zoo.py is FCN-ResNet-50 with 6e-5, where PyTorch, onnxruntime and Glocal are all 4e-5 to 5e-5 off the
# result of double precision.
OUTPUT_TOLERANCE = 1e-4
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


def normalised_pictures(shape, count):
    """The same with mean 0 and standard deviation 1, about."""
    return ((pictures(shape, count) / 255 - 0.45) / 0.225).astype(np.float32)


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


def lost_between_layers(arrays, layers, target=None):
    """What starts at the output and neither arrives at the input nor is kept by a layer, relative to the largest layer's
    sizes. `target` is the channel that is explained; None is each sample's predicted class."""
    prediction = arrays["prediction"].astype(np.float64)
    started = prediction.max(1).sum() if target is None else prediction[:, target].sum()
    kept = sum(layer["relevance_in"] - layer["relevance_out"] for layer in layers)
    arrived = arrays["attribution"].sum(dtype=np.float64)
    return abs(started - kept - arrived) / max(layer["magnitude"] for layer in layers)


def forward(program, folder, cases):
    """Runs models by the example program `forward` of the crate glocal, many in one process.

    `cases` are triples of a name, a model and its input. Gives, for each name, the outputs by their names (those of the
    canonized model under `canonized/NAME`), or the text of an error.
    """
    lines = []
    for index, (_, model, x) in enumerate(cases):
        stem = folder / str(index)
        onnx.save(model, f"{stem}.onnx")
        save_file({"x": np.ascontiguousarray(x, np.float32)}, f"{stem}.x.safetensors")
        lines.append(f"{stem}.onnx\t{stem}.x.safetensors\t{stem}.y.safetensors\n")
    listed = folder / "cases.txt"
    listed.write_text("".join(lines))
    run = subprocess.run([program, listed], capture_output=True, text=True)
    if run.returncode not in (0, 2):
        raise RuntimeError(f"{program} ended with {run.returncode}: {run.stderr}")
    errors = dict(line.split("\t", 1) for line in run.stdout.splitlines())
    results = {}
    for index, (name, _, _) in enumerate(cases):
        error = errors.get(str(folder / f"{index}.onnx"))
        results[name] = error or load_file(folder / f"{index}.y.safetensors")
    return results


def differ(found, wanted, rtol, atol):
    """How two arrays differ beyond the tolerance, or None."""
    if found.shape != wanted.shape:
        return f"shape {list(found.shape)}, expected {list(wanted.shape)}"
    wanted = wanted.astype(np.float64)
    same = np.isclose(found, wanted, rtol=rtol, atol=atol, equal_nan=True)
    if same.all():
        return None
    at = np.unravel_index(np.argmax(~same), same.shape)
    return f"{(~same).sum()} of {same.size} differ: {found[at]:.7g} at {[int(i) for i in at]}, expected {wanted[at]:.7g}"
