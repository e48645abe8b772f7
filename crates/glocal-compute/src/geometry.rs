//! How a window slides over an input: the attributes of convolutions, pools and slices, named as in ONNX.

/// The attributes of a convolution over 1 to 3 spatial axes. Weights are `[out, in / group, kernel...]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConvolutionGeometry {
    /// The step of the window, per spatial axis; at least 1.
    pub strides: Vec<usize>,
    /// The distance between kernel elements, per spatial axis; at least 1.
    pub dilations: Vec<usize>,
    /// Zeros before the first element, per spatial axis.
    pub pads_begin: Vec<usize>,
    /// Zeros after the last element, per spatial axis.
    pub pads_end: Vec<usize>,
    /// The number of groups that the channels are split in; at least 1, divides the input and output channels.
    pub group: usize,
}

/// The attributes of a max or average pool over 1 to 3 spatial axes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PoolGeometry {
    /// The size of the window, per spatial axis; at least 1.
    pub kernel: Vec<usize>,
    /// The step of the window, per spatial axis; at least 1.
    pub strides: Vec<usize>,
    /// The distance between window elements, per spatial axis; at least 1.
    pub dilations: Vec<usize>,
    /// Padding before the first element, per spatial axis.
    pub pads_begin: Vec<usize>,
    /// Padding after the last element, per spatial axis.
    pub pads_end: Vec<usize>,
    /// Whether a last window that sticks out of the padded input counts (as ONNX defines it: a window that would
    /// start in the end padding is left out).
    pub ceil_mode: bool,
}

/// The elements `start, start + step, ...` of one axis, `count` of them. A negative step walks backward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SliceRange {
    /// The first element.
    pub start: usize,
    /// The distance to the next element; not 0.
    pub step: isize,
    /// The number of elements.
    pub count: usize,
}

impl ConvolutionGeometry {
    /// The output size of each spatial axis for an input of `input` and a kernel of `kernel`; `None` when the kernel
    /// does not fit into the padded input, the ranks differ, or a stride is 0.
    pub fn output_spatial(&self, input: &[usize], kernel: &[usize]) -> Option<Vec<usize>> {
        let rank = input.len();
        let attributes = [&self.strides, &self.dilations, &self.pads_begin, &self.pads_end];
        if kernel.len() != rank || attributes.iter().any(|attribute| attribute.len() != rank) {
            return None;
        }
        (0..rank)
            .map(|axis| {
                let span = window_span(kernel[axis], self.dilations[axis])?;
                let padded = input[axis].checked_add(self.pads_begin[axis])?.checked_add(self.pads_end[axis])?;
                padded.checked_sub(span)?.checked_div(self.strides[axis])?.checked_add(1)
            })
            .collect()
    }
}

impl PoolGeometry {
    /// The output size of each spatial axis for an input of `input`; `None` when the window does not fit, the ranks
    /// differ, or a stride is 0.
    pub fn output_spatial(&self, input: &[usize]) -> Option<Vec<usize>> {
        let rank = input.len();
        let attributes = [&self.kernel, &self.strides, &self.dilations, &self.pads_begin, &self.pads_end];
        if attributes.iter().any(|attribute| attribute.len() != rank) {
            return None;
        }
        (0..rank)
            .map(|axis| {
                let span = window_span(self.kernel[axis], self.dilations[axis])?;
                let padded = input[axis].checked_add(self.pads_begin[axis])?.checked_add(self.pads_end[axis])?;
                let room = padded.checked_sub(span)?;
                let stride = self.strides[axis];
                let steps = if self.ceil_mode { room.checked_add(stride.checked_sub(1)?)? } else { room }
                    .checked_div(stride)?;
                let starts_in_end_padding = steps.checked_mul(stride)? >= input[axis] + self.pads_begin[axis];
                Some(if self.ceil_mode && starts_in_end_padding { steps } else { steps + 1 })
            })
            .collect()
    }
}

/// The number of input elements between the first and last element of a dilated window, both counted.
fn window_span(kernel: usize, dilation: usize) -> Option<usize> {
    kernel.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)
}
