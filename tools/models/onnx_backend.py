"""Runs the ONNX project's own test cases of single ops through Glocal.

    pip install -r requirements.txt
    cargo build --release -p glocal --example forward
    python onnx_backend.py ../../target/release/examples/forward [-v] [PATTERN...]

The cases come with the package `onnx`. Those whose ops are all in LISTED are taken, and run as read and canonized. In
real models the operands beside the first are mostly constants, and axis 0 is a batch whose size is free; so of each
case come up to three models, all of which must give the stored result:
  - plain: the first operand is the input, the others are constants;
  - swapped: for arithmetic, the second is the input and the first a constant;
  - packed: all operands are slices of one input.
Ops that have a batch themselves (convolutions, pools, ...) keep their axis 0; other cases get a batch axis in front, and
their axes are moved by one. A case that has no such form is counted with the reason. What Glocal refuses, or computes
differently, must match an entry of onnx_backend_known.toml; an entry that nothing needs any more is a failure too.
"""
import collections
import fnmatch
import functools
import pathlib
import sys
import tempfile
import tomllib
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.loader import DATA_DIR, load_model_tests
from onnx.reference import ReferenceEvaluator

from compare import differ, forward

LISTED = set("""
    Conv ConvTranspose Gemm MatMul BatchNormalization LayerNormalization InstanceNormalization GroupNormalization
    Relu LeakyRelu PRelu Elu Selu Celu Clip HardSigmoid HardSwish Sigmoid Tanh Softplus Softsign Mish Gelu Erf
    Softmax LogSoftmax MaxPool AveragePool GlobalAveragePool GlobalMaxPool ReduceMean ReduceSum ReduceMax
    LpNormalization RMSNormalization Add Sub Mul Div Sum Pow Sqrt Exp Log Abs Neg Reciprocal Max Min ReduceL1 ReduceL2
    ReduceSumSquare Concat Split Slice Gather Pad Reshape Flatten Squeeze Unsqueeze Transpose Expand Tile Resize Upsample
    Identity Dropout Cast Constant Shape
""".split())
# Their axis 0 is a batch, or they cannot do with another axis in front.
NATIVE = set("""
    Conv ConvTranspose Gemm BatchNormalization InstanceNormalization GroupNormalization MaxPool AveragePool
    GlobalAveragePool GlobalMaxPool Flatten Resize Upsample
""".split())
# Rows of a batch do not see each other here, so that a batch of two is the case twice.
DOUBLED = NATIVE - {"Gemm", "Flatten", "Resize", "Upsample"}
SWAPPED = {"Add", "Sub", "Mul", "Div", "MatMul"}
PACKED = SWAPPED | {"Sum", "Concat"}
BROADCAST = SWAPPED - {"MatMul"} | {"Sum", "Pow", "PRelu", "Max", "Min"}
AXIS = {"Softmax": -1, "LogSoftmax": -1, "LpNormalization": -1, "LayerNormalization": -1, "RMSNormalization": -1,
        "Split": 0, "Gather": 0}
# Single precision: sums of at most a few hundred terms, and functions that are good to a few roundings.
RTOL, ATOL = 1e-5, 1e-6
# onnx's own: some stored results are rounded.
STORED_RTOL = 1e-3
# One rounding of the narrower types, which Glocal reads and computes in single precision.
NARROW = {TensorProto.FLOAT16: 2**-10, TensorProto.BFLOAT16: 2**-7}
FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, *NARROW}
KNOWN = pathlib.Path(__file__).with_name("onnx_backend_known.toml")


class Unsuited(Exception):
    """The case has no equivalent with a free batch, one floating-point input and one floating-point output."""


def shifted(axes):
    return [axis + 1 if axis >= 0 else axis for axis in axes]


class Lift:
    """Puts a batch axis in front of what one node computes."""

    def __init__(self, node, constants, rank, output_rank):
        self.node, self.constants, self.rank, self.output_rank = node, constants, rank, output_rank

    def attribute(self, name, default=None):
        found = [item for item in self.node.attribute if item.name == name]
        return helper.get_attribute_value(found[0]) if found else default

    def set_attribute(self, name, value):
        kept = [item for item in self.node.attribute if item.name != name]
        del self.node.attribute[:]
        self.node.attribute.extend([*kept, helper.make_attribute(name, value)])

    def operand(self, index):
        name = self.node.input[index] if index < len(self.node.input) else ""
        return self.constants.get(name)

    def set_operand(self, index, values):
        while len(self.node.input) <= index:
            self.node.input.append("")
        name = self.node.input[index] or f"operand_{index}"
        self.node.input[index] = name
        self.constants[name] = np.asarray(values, np.int64)

    def apply(self):
        op = self.node.op_type
        if op in AXIS:
            self.set_attribute("axis", shifted([self.attribute("axis", AXIS[op])])[0])
        elif op == "Concat":
            self.set_attribute("axis", shifted([self.attribute("axis")])[0])
        elif op.startswith("Reduce"):
            self.reduce()
        elif op == "Transpose":
            perm = self.attribute("perm", list(reversed(range(self.rank))))
            self.set_attribute("perm", [0, *(axis + 1 for axis in perm)])
        elif op in ("Squeeze", "Unsqueeze"):
            if self.operand(1) is None:
                raise Unsuited("squeezes all axes of length 1, whatever they are")
            self.set_operand(1, shifted(self.operand(1)))
        elif op == "Slice":
            axes = self.operand(3)
            self.set_operand(3, shifted(range(len(self.operand(1))) if axes is None else axes))
        elif op == "Pad":
            self.pad()
        elif op == "Tile":
            self.set_operand(1, [1, *self.operand(1)])
        elif op in ("Reshape", "Expand"):
            if self.attribute("allowzero"):
                raise Unsuited("tensors without elements")
            shape = list(self.operand(1))
            missing = self.rank - len(shape) if op == "Expand" else 0
            self.set_operand(1, [0 if op == "Reshape" else 1] + [1] * missing + shape)

    def reduce(self):
        axes = self.operand(1)
        if self.attribute("axes"):
            self.set_attribute("axes", shifted(self.attribute("axes")))
        elif axes is not None and len(axes):
            self.set_operand(1, shifted(axes))
        elif not self.attribute("noop_with_empty_axes", 0):
            self.set_operand(1, list(range(1, self.rank + 1)))

    def pad(self):
        if self.operand(3) is not None:
            self.set_operand(3, shifted(self.operand(3)))
        else:
            pads = list(self.operand(1))
            self.set_operand(1, [0, *pads[:self.rank], 0, *pads[self.rank:]])


def is_float(array):
    return isinstance(array, np.ndarray) and helper.np_dtype_to_tensor_dtype(array.dtype) in FLOATS


def without_constant_nodes(graph):
    """The graph with initializers in place of `Constant` nodes that hold tensors."""
    graph = onnx.GraphProto.FromString(graph.SerializeToString())
    constants = [node for node in graph.node if node.op_type == "Constant" and node.attribute[0].name == "value"]
    if len(constants) < len(graph.node):
        for node in constants:
            tensor = graph.initializer.add()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
            graph.node.remove(node)
    return graph


class Case:
    """One model with an input and the results that it must give."""

    def __init__(self, name, source, inputs, outputs, form):
        self.name = name if form == "plain" else f"{name}/{form}"
        graph = without_constant_nodes(source.graph)
        names = [value.name for value in graph.input]
        initial = {tensor.name for tensor in graph.initializer}
        operands = dict(zip([name for name in names if name not in initial] if len(inputs) < len(names) else names, inputs))
        node = graph.node[0] if len(graph.node) == 1 else None
        self.check(graph, operands, outputs)
        wanted = [(value.name, array) for value, array in zip(graph.output, outputs) if is_float(array)]
        if node and node.op_type != "Split":
            wanted = wanted[:1]
        self.rtol = max([RTOL, *(NARROW.get(value.type.tensor_type.elem_type, 0) for value in (*graph.output, *graph.input))])
        nodes = [onnx.NodeProto.FromString(item.SerializeToString()) for item in graph.node]
        if node:
            nodes[0].output[:] = [name if name in dict(wanted) else "" for name in node.output]
            while not nodes[0].output[-1]:
                nodes[0].output.pop()
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        first = list(operands)[1 if form == "swapped" else 0]
        if form == "packed":
            x, before = self.pack(nodes[0], operands, wanted)
        else:
            constants |= {name: array for name, array in operands.items() if name != first}
            x, before = operands[first], []
        lifted = node is not None and node.op_type not in NATIVE
        if lifted:
            x, wanted = self.lift(nodes[0], constants, x, wanted, form)
        elif node and node.op_type in DOUBLED:
            x, wanted = np.concatenate([x, x]), [(name, np.concatenate([array] * 2)) for name, array in wanted]
        kind = next(value.type.tensor_type.elem_type for value in graph.input if value.name == first)
        inputs = [helper.make_tensor_value_info("packed" if form == "packed" else first, kind, ["N", *x.shape[1:]])]
        kinds = {value.name: value.type.tensor_type.elem_type for value in graph.output}
        values = [helper.make_tensor_value_info(name, kinds[name], None) for name, _ in wanted]
        before_nodes, before_constants = before or ([], {})
        weights = [numpy_helper.from_array(np.asarray(array), name)
                   for name, array in (constants | before_constants).items() if name != first or form == "packed"]
        graph = helper.make_graph([*before_nodes, *nodes], "case", inputs, values, weights)
        self.model = helper.make_model(graph, opset_imports=source.opset_import, ir_version=source.ir_version)
        self.x, self.wanted = x, dict(wanted)

    @staticmethod
    def check(graph, operands, outputs):
        if not operands:
            raise Unsuited("no input")
        arrays = [*operands.values(), *outputs]
        if any(not isinstance(array, np.ndarray) for array in arrays):
            raise Unsuited("sequences and optional values")
        if any(array.size == 0 for array in (next(iter(operands.values())), *outputs)):
            raise Unsuited("tensors without elements")
        if not is_float(next(iter(operands.values()))):
            raise Unsuited("the first operand is no floating-point tensor")
        if not is_float(outputs[0]):
            raise Unsuited("the result is no floating-point tensor")
        if any(is_float(array) and np.abs(array).max() > np.finfo(np.float32).max for array in arrays):
            raise Unsuited("numbers beyond single precision")
        if any(item.name == "training_mode" and item.i for node in graph.node for item in node.attribute):
            raise Unsuited("training")

    @staticmethod
    def pack(node, operands, wanted):
        """All operands in one row, and the nodes that take them out of it."""
        if node.op_type == "MatMul" and any(array.ndim < 2 for array in operands.values()):
            raise Unsuited("a vector has no axis that stays behind a batch")
        rank = max(array.ndim for array in (*operands.values(), wanted[0][1]))
        nodes, constants, begin = [], {"axes": np.array([1])}, 0
        for index, (name, array) in enumerate(operands.items()):
            for word, value in (("starts", [begin]), ("ends", [begin + array.size]),
                                ("shape", [0] + [1] * (rank - array.ndim) + list(array.shape))):
                constants[f"{word}_{index}"] = np.array(value)
            nodes += [
                helper.make_node("Slice", ["packed", f"starts_{index}", f"ends_{index}", "axes"], [f"slice_{index}"]),
                helper.make_node("Reshape", [f"slice_{index}", f"shape_{index}"], [name])]
            begin += array.size
        return np.concatenate([array.reshape(-1) for array in operands.values()]), (nodes, constants)

    @staticmethod
    def lift(node, constants, x, wanted, form):
        output_rank = wanted[0][1].ndim
        if node.op_type in BROADCAST | {"Expand"} and form != "packed" and x.ndim < output_rank:
            x = x.reshape([1] * (output_rank - x.ndim) + list(x.shape))
        elif node.op_type == "MatMul" and form != "packed":
            other = next(iter(constants.values()))
            if x.ndim < 2 and (form == "swapped" or other.ndim > 2):
                raise Unsuited("a vector has no axis that stays behind a batch")
            if other.ndim > x.ndim:
                x = x.reshape([1] * (other.ndim - x.ndim) + list(x.shape))
        elif node.op_type == "Concat" and form != "packed":
            raise Unsuited("a constant beside a batch has no batch")
        Lift(node, constants, x.ndim, output_rank).apply()
        return np.stack([x, x]), [(name, np.stack([array, array])) for name, array in wanted]

    def judge(self, result):
        """The first difference, or None. Stored results that are rounded give way to onnx's own implementation."""
        difference = self.compare(result, self.wanted, self.rtol)
        if difference and not self.compare(result, self.wanted, max(self.rtol, STORED_RTOL)):
            return self.compare(result, self.reference, self.rtol)
        return difference

    def compare(self, result, wanted, rtol):
        for name in self.wanted:
            for found in (name, f"canonized/{name}"):
                difference = differ(result[found], wanted[name], rtol, ATOL)
                if difference:
                    return f"{found}: {difference}"
        return None

    @functools.cached_property
    def reference(self):
        names = list(self.wanted)
        return dict(zip(names, ReferenceEvaluator(self.model).run(names, {self.model.graph.input[0].name: self.x})))


def sources():
    """The cases of the package: name, model, inputs, outputs."""
    for case in load_model_tests(kind="node"):
        for inputs, outputs in case.data_sets[:1]:
            yield case.name, case.model, list(inputs), list(outputs)
    for kind in ("simple", "pytorch-converted", "pytorch-operator"):
        for path in sorted((pathlib.Path(DATA_DIR) / kind).glob("*/model.onnx")):
            model = onnx.load(path)
            if {node.op_type for node in model.graph.node} <= LISTED:
                load = lambda word: [numpy_helper.to_array(onnx.load_tensor(file))
                                     for file in sorted(path.parent.glob(f"test_data_set_0/{word}_*.pb"))]
                if next(item.version for item in model.opset_import if not item.domain) < 9:
                    model = onnx.version_converter.convert_version(model, 13)
                yield f"{kind}/{path.parent.name}", model, load("input"), load("output")


def collect(patterns):
    cases, unsuited = [], collections.defaultdict(list)
    for name, model, inputs, outputs in sources():
        ops = [node.op_type for node in model.graph.node]
        if not set(ops) <= LISTED or any(node.domain for node in model.graph.node):
            continue
        if patterns and not any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
            continue
        forms = ["plain"]
        if len(ops) == 1 and len(inputs) > 1 and all(is_float(array) for array in inputs):
            forms += ["swapped"] * (ops[0] in SWAPPED) + ["packed"] * (ops[0] in PACKED)
        for form in forms:
            try:
                cases.append(Case(name, model, inputs, outputs, form))
            except Unsuited as reason:
                unsuited[str(reason)].append(name if form == "plain" else f"{name}/{form}")
    return cases, unsuited


def main(program, patterns, verbose):
    warnings.filterwarnings("ignore")
    cases, unsuited = collect(patterns)
    table = tomllib.loads(KNOWN.read_text())
    with tempfile.TemporaryDirectory() as folder:
        results = forward(program, pathlib.Path(folder), [(case.name, case.model, case.x) for case in cases])
    passed, failed, known, needed = 0, [], collections.defaultdict(list), set()
    for case in cases:
        result = results[case.name]
        kind, fault = ("refused", result) if isinstance(result, str) else ("differs", case.judge(result))
        if not fault:
            passed += 1
            continue
        entry = next((pattern for pattern in table[kind] if fnmatch.fnmatch(case.name, pattern)), None)
        needed.add((kind, entry))
        if entry:
            known[f"{kind}: {table[kind][entry]}"].append(case.name)
        else:
            failed.append(f"{case.name}: {kind}: {fault}")
    if not patterns:
        failed += [f"{entry}: nothing needs this entry under `{kind}` any more"
                   for kind, entries in table.items() for entry in entries if (kind, entry) not in needed]
    for title, groups in (("no equivalent: ", unsuited), ("", known)):
        for reason, names in sorted(groups.items()):
            print(f"{title}{reason}: {len(names)}" + (f": {' '.join(names)}" if verbose else ""))
    for line in failed:
        print(f"FAILED  {line}")
    print(f"{passed} passed, {len(failed)} failed, {sum(map(len, known.values()))} refused or different for a known reason, "
          f"{sum(map(len, unsuited.values()))} without an equivalent")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "-v"]
    main(arguments[0], arguments[1:], "-v" in sys.argv)
