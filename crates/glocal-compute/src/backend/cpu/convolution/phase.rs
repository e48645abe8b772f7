//! The phases of a stride: the input elements that meet the same kernel elements.

use crate::backend::cpu::axis::Axis;

/// Along one axis, the input elements `offset, offset + stride, ...` and the kernel elements that reach them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phase {
    /// The first input element.
    pub(super) offset: usize,
    /// The distance to the next one.
    pub(super) stride: usize,
    /// The kernel elements that reach these input elements.
    pub(super) kernel: Vec<usize>,
    /// For each of them, by how much the output element that it reaches input element `offset + i · stride` from is
    /// past `i`; ascending.
    taps: Vec<i64>,
}

impl Phase {
    /// The phases that any kernel element reaches; the input elements of others get no gradient.
    pub(super) fn all(kernel: usize, stride: usize, dilation: usize, pad_begin: usize) -> Vec<Self> {
        let (step, pad) = (stride as i64, pad_begin as i64);
        let mut phases: Vec<Self> = Vec::new();
        // Output element o reaches input element o · stride − pad + k · dilation with kernel element k.
        for element in (0..kernel).rev() {
            let reached = element as i64 * dilation as i64 - pad;
            let offset = reached.rem_euclid(step) as usize;
            let tap = (offset as i64 - reached) / step;
            let phase = match phases.iter_mut().find(|phase| phase.offset == offset) {
                Some(phase) => phase,
                None => phases.push_mut(Self { offset, stride, kernel: Vec::new(), taps: Vec::new() }),
            };
            phase.kernel.push(element);
            phase.taps.push(tap);
        }
        phases
    }

    /// The axis that computes the gradient of this phase's input elements from `output` elements of `r`; `None` when an
    /// input of `input` elements has none of this phase.
    pub(super) fn axis(&self, input: usize, output: usize) -> Option<Axis> {
        let count = input.checked_sub(self.offset)?.div_ceil(self.stride);
        (count > 0).then(|| Axis { size: output, start: 0, step: 1, count, taps: self.taps.clone() })
    }
}

/// One phase of each axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phases<'a>(pub(super) [&'a Phase; 3]);

impl<'a> Phases<'a> {
    /// Every combination of the axes' phases.
    pub(super) fn all(phases: &'a [Vec<Phase>; 3]) -> impl Iterator<Item = Self> {
        let [deep, vertical, horizontal] = phases;
        deep.iter()
            .flat_map(move |z| vertical.iter().flat_map(move |y| horizontal.iter().map(move |x| Self([z, y, x]))))
    }

    /// The axes of this phase; `None` when the input has no element of it.
    pub(super) fn axes(&self, input: [usize; 3], output: [usize; 3]) -> Option<[Axis; 3]> {
        let [z, y, x] = self.0;
        Some([z.axis(input[0], output[0])?, y.axis(input[1], output[1])?, x.axis(input[2], output[2])?])
    }

    /// The kernel elements of this phase, as positions in a row-major kernel of `kernel` elements, in the order of the
    /// axes' taps.
    pub(super) fn kernel(&self, kernel: [usize; 3]) -> Vec<usize> {
        let [z, y, x] = self.0;
        let mut elements = Vec::with_capacity(z.kernel.len() * y.kernel.len() * x.kernel.len());
        for z in &z.kernel {
            for y in &y.kernel {
                elements.extend(x.kernel.iter().map(|x| (z * kernel[1] + y) * kernel[2] + x));
            }
        }
        elements
    }

    /// Whether this phase holds every input element.
    pub(super) fn is_everything(&self) -> bool {
        self.0.iter().all(|phase| phase.stride == 1)
    }

    /// Writes the gradient `from` of this phase's elements of one channel to where they stand in the input `to`.
    pub(super) fn spread(&self, axes: &[Axis; 3], input: [usize; 3], from: &[f32], to: &mut [f32]) {
        let [deep, vertical, horizontal] = self.0;
        let mut rows = from.chunks_exact(axes[2].count);
        for z in (deep.offset..input[0]).step_by(deep.stride) {
            for y in (vertical.offset..input[1]).step_by(vertical.stride) {
                let Some(from) = rows.next() else { return };
                let start = (z * input[1] + y) * input[2];
                let to = to[start..start + input[2]].iter_mut().skip(horizontal.offset).step_by(horizontal.stride);
                for (to, from) in to.zip(from) {
                    *to = *from;
                }
            }
        }
    }
}
