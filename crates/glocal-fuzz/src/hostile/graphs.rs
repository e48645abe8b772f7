//! Graphs that are wired wrongly, and ops that ask for what cannot be.

use glocal_onnx::proto::{AttributeProto, NodeProto, TensorProto};

use super::Hostile;
use super::build::{file, floats, int, integers, ints, node, text};

pub(super) fn files() -> Vec<Hostile> {
    [wiring(), windows(), shapes(), normalizations()].concat()
}

pub(super) fn hostile(
    name: &'static str,
    says: &'static str,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
) -> Hostile {
    Hostile { name, bytes: file(nodes, constants), says }
}

/// One node from `x` and constants to `y`.
fn one(
    name: &'static str,
    says: &'static str,
    op_type: &str,
    constants: Vec<TensorProto>,
    attributes: Vec<AttributeProto>,
) -> Hostile {
    let inputs: Vec<&str> = std::iter::once("x").chain(constants.iter().map(|tensor| tensor.name.as_str())).collect();
    let nodes = vec![node(op_type, &inputs, "y", attributes)];
    hostile(name, says, nodes, constants)
}

fn wiring() -> Vec<Hostile> {
    let many = vec!["x"; 5000];
    vec![
        hostile("node_takes_itself", "earlier node", vec![node("Relu", &["y"], "y", vec![])], vec![]),
        hostile(
            "nodes_in_a_circle",
            "earlier node",
            vec![
                node("Relu", &["b"], "a", vec![]),
                node("Add", &["a", "x"], "b", vec![]),
                node("Relu", &["b"], "y", vec![]),
            ],
            vec![],
        ),
        hostile(
            "nodes_in_the_wrong_order",
            "earlier node",
            vec![node("Relu", &["a"], "y", vec![]), node("Relu", &["x"], "a", vec![])],
            vec![],
        ),
        hostile("operand_from_nowhere", "nowhere", vec![node("Relu", &["nowhere"], "y", vec![])], vec![]),
        hostile("operands_none", "operand 0", vec![node("Relu", &[], "y", vec![])], vec![]),
        hostile("operands_too_many", "4096 operands", vec![node("Sum", &many, "y", vec![])], vec![]),
        hostile(
            "output_is_a_constant",
            "no such output",
            vec![node("Identity", &["w"], "y", vec![])],
            vec![floats("w", &[1])],
        ),
    ]
}

fn windows() -> Vec<Hostile> {
    let w = || vec![floats("w", &[2, 3, 3, 3])];
    let kernel = |sizes: &[i64]| ints("kernel_shape", sizes);
    let huge = [1_i64 << 31; 2];
    vec![
        one("convolution_stride_zero", "strides", "Conv", w(), vec![ints("strides", &[0, 1])]),
        one("convolution_stride_negative", "strides", "Conv", w(), vec![ints("strides", &[-1, 1])]),
        one("convolution_dilation_enormous", "do not fit", "Conv", w(), vec![ints("dilations", &huge)]),
        one("convolution_pads_enormous", "padding", "Conv", w(), vec![ints("pads", &[1 << 31; 4])]),
        one("convolution_pads_negative", "pads", "Conv", w(), vec![ints("pads", &[-1; 4])]),
        one("convolution_pads_too_few", "pads", "Conv", w(), vec![ints("pads", &[1])]),
        one("convolution_group_zero", "group", "Conv", w(), vec![int("group", 0)]),
        one("convolution_group_enormous", "group", "Conv", w(), vec![int("group", i64::MAX)]),
        one("convolution_group_of_more_channels", "do not fit", "Conv", w(), vec![int("group", 2)]),
        one("convolution_kernel_declared_otherwise", "kernel_shape", "Conv", w(), vec![kernel(&[5, 5])]),
        one("convolution_weights_empty", "kernel_shape", "Conv", vec![floats("w", &[2, 3, 0, 0])], vec![]),
        one("convolution_over_four_axes", "over 4 axes", "Conv", vec![floats("w", &[1, 3, 1, 1, 1, 1])], vec![]),
        one("convolution_weights_of_one_axis", "of shape", "Conv", vec![floats("w", &[3])], vec![]),
        one("convolution_padding_unheard_of", "auto_pad", "Conv", w(), vec![text("auto_pad", b"SOME")]),
        one(
            "transposed_convolution_of_no_weights_and_many_groups",
            "without elements",
            "ConvTranspose",
            vec![floats("w", &[0, 1 << 56, 1]), floats("b", &[1])],
            vec![int("group", 1 << 60)],
        ),
        one(
            "transposed_convolution_stride_enormous",
            "do not fit",
            "ConvTranspose",
            vec![floats("w", &[3, 2, 1, 1])],
            vec![ints("strides", &[(1 << 32) - 2; 2])],
        ),
        one("pool_of_no_kernel", "kernel_shape", "MaxPool", vec![], vec![]),
        one("pool_kernel_zero", "kernel_shape", "MaxPool", vec![], vec![kernel(&[0, 0])]),
        one("pool_kernel_enormous", "do not fit", "MaxPool", vec![], vec![kernel(&[1 << 31, 1 << 31])]),
        one(
            "pool_kernel_enormous_same",
            "padding",
            "AveragePool",
            vec![],
            vec![kernel(&[1 << 31; 2]), ints("dilations", &huge), text("auto_pad", b"SAME_UPPER")],
        ),
        one("pool_mode_of_words", "ceil_mode", "MaxPool", vec![], vec![kernel(&[2, 2]), text("ceil_mode", b"yes")]),
        one("reduction_of_the_batch", "mix samples", "ReduceMean", vec![integers("axes", &[0])], vec![]),
        one("reduction_axis_smallest", "axis", "ReduceMean", vec![integers("axes", &[i64::MIN])], vec![]),
    ]
}

fn shapes() -> Vec<Hostile> {
    let list = |values: &[i64]| vec![integers("i", values)];
    let pads = |size: i64| list(&[0, 0, size, size, 0, 0, size, size]);
    let slice = |starts: i64, ends: i64, step: i64| {
        let lists = [("s", starts), ("e", ends), ("a", 2), ("t", step)];
        lists.map(|(name, value)| integers(name, &[value])).to_vec()
    };
    let scales = |value: f32| TensorProto {
        raw_data: Some(
            [1.0, 1.0, value, value].iter().flat_map(|scale: &f32| scale.to_le_bytes()).collect::<Vec<_>>().into(),
        ),
        ..floats("scales", &[4])
    };
    let resize = |name, says, value: f32| {
        let nodes = vec![node("Resize", &["x", "", "scales"], "y", vec![])];
        hostile(name, says, nodes, vec![scales(value)])
    };
    vec![
        one("reshape_to_fewer_elements", "reshape", "Reshape", list(&[1, 5]), vec![]),
        one("reshape_to_two_open_sizes", "shape", "Reshape", list(&[1, -1, -1]), vec![]),
        one("reshape_overflow", "reshape", "Reshape", list(&[1, 1 << 40, 1 << 40, 1 << 40]), vec![]),
        one("reshape_to_too_many_axes", "axes", "Reshape", list(&[&[1, 192], [1; 70].as_slice()].concat()), vec![]),
        one("unsqueeze_to_too_many_axes", "axes", "Unsqueeze", list(&(1..70).collect::<Vec<_>>()), vec![]),
        one("unsqueeze_far_away", "axis", "Unsqueeze", list(&[i64::MAX]), vec![]),
        one("squeeze_of_a_full_axis", "axes", "Squeeze", list(&[1]), vec![]),
        one("transpose_of_one_axis_twice", "perm", "Transpose", vec![], vec![ints("perm", &[0, 1, 1, 2])]),
        one("transpose_of_the_batch", "batch", "Transpose", vec![], vec![ints("perm", &[3, 2, 1, 0])]),
        one("slice_step_zero", "steps", "Slice", slice(0, 5, 0), vec![]),
        one("slice_of_nothing", "no elements", "Slice", slice(5, 2, 1), vec![]),
        one("slice_step_smallest", "no elements", "Slice", slice(2, 5, i64::MIN), vec![]),
        one("split_overflow", "add up", "Split", list(&[i64::MAX]), vec![int("axis", 1)]),
        one("concat_along_nothing", "axis", "Concat", vec![], vec![int("axis", 9)]),
        one("pads_enormous", "too large", "Pad", pads(1 << 30), vec![]),
        one("pads_of_64_bits", "pads", "Pad", pads(i64::MAX), vec![]),
        one("pads_remove_everything", "pads", "Pad", pads(-5), vec![]),
        one("expand_enormous", "sizes that the input", "Expand", list(&[1, 1 << 40, 8, 8]), vec![]),
        one("tile_enormous", "elements", "Tile", list(&[1, 1 << 40, 1, 1]), vec![]),
        one("gather_beyond", "indices", "Gather", list(&[i64::MAX]), vec![int("axis", 1)]),
        one("gather_before", "indices", "Gather", list(&[i64::MIN]), vec![int("axis", 1)]),
        resize("resize_enormous", "elements", 1e6),
        resize("resize_to_nothing", "scale", 0.0),
        resize("resize_by_no_number", "scale", f32::NAN),
        one("softmax_far_away", "axis", "Softmax", vec![], vec![int("axis", i64::MIN)]),
        one("cast_to_integers", "integers", "Cast", vec![], vec![int("to", 7)]),
    ]
}

fn normalizations() -> Vec<Hostile> {
    let c = |name: &str, count: i64| floats(name, &[count]);
    let batch = |scale: i64, variance: i64| vec![c("s", scale), c("b", 3), c("m", 3), c("v", variance)];
    vec![
        one("dense_of_other_width", "do not fit", "Gemm", vec![floats("w", &[5, 2])], vec![]),
        one("dense_weights_of_three_axes", "two axes", "Gemm", vec![floats("w", &[2, 2, 2])], vec![]),
        one("dense_bias_of_other_width", "C must be", "Gemm", vec![floats("w", &[8, 2]), c("b", 3)], vec![]),
        one("products_of_other_width", "do not fit", "MatMul", vec![floats("w", &[5, 2])], vec![]),
        one("batch_normalization_of_other_width", "do not fit", "BatchNormalization", batch(3, 2), vec![]),
        one("batch_normalization_of_too_few_channels", "do not fit", "BatchNormalization", batch(1, 1), vec![]),
        one("layer_normalization_far_away", "axis", "LayerNormalization", vec![c("s", 8)], vec![int("axis", i64::MIN)]),
        one(
            "layer_normalization_of_other_width",
            "(LayerNormalization)",
            "LayerNormalization",
            vec![c("s", 5)],
            vec![],
        ),
        one(
            "group_normalization_of_no_groups",
            "num_groups",
            "GroupNormalization",
            vec![c("s", 3), c("b", 3)],
            vec![int("num_groups", 0)],
        ),
        one(
            "group_normalization_of_many_groups",
            "num_groups",
            "GroupNormalization",
            vec![c("s", 3), c("b", 3)],
            vec![int("num_groups", i64::MAX)],
        ),
        one(
            "instance_normalization_of_other_width",
            "(InstanceNormalization)",
            "InstanceNormalization",
            vec![c("s", 2), c("b", 2)],
            vec![],
        ),
        one("slopes_of_other_shape", "(PRelu)", "PRelu", vec![floats("w", &[7])], vec![]),
        one("norm_of_the_seventh_kind", "(LpNormalization)", "LpNormalization", vec![], vec![int("p", 7)]),
        one("sum_of_other_shape", "(Add)", "Add", vec![floats("w", &[7, 7])], vec![]),
        one("sum_of_another_batch", "constant operand", "Add", vec![floats("w", &[2, 3, 8, 8])], vec![]),
    ]
}
