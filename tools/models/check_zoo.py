"""Compares Glocal with onnxruntime on the networks that zoo.py and light_models.py write.

    pip install -r requirements.txt
    python zoo.py FOLDER; python light_models.py FOLDER
    cargo build --release
    python check_zoo.py ../../target/release/glocal FOLDER [NAME...]

A file passes when, with batch normalisations kept and merged and with two composites,
  - the output differs from onnxruntime's by at most OUTPUT_TOLERANCE of its largest,
  - no layer loses relevance that its account does not explain, and none is lost between layers,
  - some relevance arrives at the input, and all of it is finite,
and when every torch module with weights that the network calls is found by its name. NAME is a file's or a network's.
"""
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from compare import OUTPUT_TOLERANCE, UNEXPLAINED, attribute, expected, logits_off, lost_between_layers, worst_unexplained

# The channel of a map (segmentation) that is explained; the predicted class is that of `[N, K]` alone.
MAP_TARGET = 3


def missing_modules(glocal, path, modules):
    """The modules that no layer is named for, with and without merged batch normalisations."""
    missing = set()
    for canonize in ("none", "auto"):
        command = [glocal, "inspect", path, "--json", "--canonize", canonize]
        report = subprocess.run(command, check=True, capture_output=True, text=True)
        known = {name for layer in json.loads(report.stdout)["layers"] for name in layer["layers"]}
        missing |= set(modules) - known
    return [name for name in modules if name in missing]


def check(glocal, path, out):
    network = path.stem.rsplit("-", 1)[0]
    inputs = path.with_name(f"{network}.npy")
    document = json.loads(path.with_name(f"{network}.json").read_text())
    x = np.load(inputs)
    box = f"epsilon-gamma-box:low={np.floor(x.min()):g},high={np.ceil(x.max()):g}"
    target = MAP_TARGET if len(document["output"]) > 1 else None
    chosen = [] if target is None else ["--target", str(target)]
    output = expected(path, x)
    faults, off, lost, between, where = [], 0.0, 0.0, 0.0, ""
    for canonize, composite in itertools.product(("none", "auto"), ("epsilon-plus-flat", box)):
        arrays, layers = attribute(
            glocal, path, inputs, out, "--canonize", canonize, "--composite", composite, *chosen)
        off = max(off, logits_off(arrays["prediction"], output))
        share, layer = worst_unexplained(layers)
        if share >= lost:
            lost, where = share, f"{layer['layer']} ({layer['rule']}, --canonize {canonize})"
        between = max(between, lost_between_layers(arrays, layers, target))
        relevance = arrays["attribution"]
        if not np.isfinite(relevance).all() or not relevance.any():
            faults.append(f"{composite}, --canonize {canonize}: relevance is nowhere, or not finite")
    if off > OUTPUT_TOLERANCE:
        faults.append("the output is off")
    if lost > UNEXPLAINED:
        faults.append(f"{where} loses relevance")
    if between > UNEXPLAINED:
        faults.append("relevance is lost between layers")
    missing = missing_modules(glocal, path, document["modules"])
    if missing:
        faults.append(f"modules not found: {', '.join(missing)}")
    found = len(document["modules"]) - len(missing)
    told = (f"output off by {off:.1e}, at worst {lost:.1e} unexplained and {between:.1e} lost between layers, "
            f"{found} of {len(document['modules'])} modules found")
    return told, faults


def main(glocal, folder, names):
    paths = [path for path in sorted(folder.glob("*.onnx"))
             if not names or path.stem in names or path.stem.rsplit("-", 1)[0] in names]
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        for path in paths:
            try:
                told, faults = check(glocal, path, pathlib.Path(temporary) / "out.safetensors")
            except subprocess.CalledProcessError as error:
                told, faults = "glocal refused it", [(error.stderr.strip() or f"exit code {error.returncode}").splitlines()[0]]
            failed += bool(faults)
            print(f"{'FAILED' if faults else 'passed'}  {path.stem}: {'; '.join([told, *faults])}", flush=True)
    print(f"{len(paths) - failed} passed, {failed} failed")
    if failed or not paths:
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:])
