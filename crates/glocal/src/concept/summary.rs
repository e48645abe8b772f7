//! What there is to know of the values of a concept, found in one pass as fast as they are read: a scan does this for every
//! value of every layer.

/// How many sums run side by side, so that a processor adds several numbers at once. The results depend on it.
const LANES: usize = 8;

/// How many values are looked at before the place of the largest is noted; a whole number of lanes.
const BLOCK: usize = 64;

/// Which values are summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Summed {
    /// All of them.
    All,
    /// The positive ones. A NaN counts as positive, so that it is seen.
    Positive,
}

/// The sum of some values, their largest one, and whether there is any.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Summary {
    pub(super) sum: f64,
    /// The index of the first largest value, or of the first NaN.
    pub(super) peak: usize,
    /// Whether any value is not zero.
    pub(super) active: bool,
}

/// What is known of the values so far.
struct Running {
    /// Lane `l` sums the values `l`, `l + 8`, ... in their order.
    sums: [f64; LANES],
    /// The bits that are set in any value; NaN and infinities have some too.
    bits: [u32; LANES],
    /// The largest value, and the block that it was first found in. NaN are passed over.
    largest: f32,
    block: usize,
}

impl Summary {
    pub(super) fn of(values: &[f32], summed: Summed) -> Self {
        match summed {
            Summed::All => Self::with(values, |value| value),
            // This becomes one instruction; a negative zero, which it leaves, changes no sum.
            Summed::Positive => Self::with(values, |value| if 0.0 > value { 0.0 } else { value }),
        }
    }

    #[inline(always)]
    fn with(values: &[f32], term: impl Fn(f32) -> f32) -> Self {
        // Units of dense layers have one value each. That is added to the zero of its lane.
        if let [value] = values {
            return Self { sum: 0.0 + f64::from(term(*value)), peak: 0, active: *value != 0.0 };
        }
        let mut running = Running { sums: [0.0; LANES], bits: [0; LANES], largest: f32::NEG_INFINITY, block: 0 };
        let (blocks, rest) = values.as_chunks::<BLOCK>();
        for (index, block) in blocks.iter().enumerate() {
            running.take(block.as_chunks::<LANES>().0, index, &term);
        }
        let (chunks, last) = rest.as_chunks::<LANES>();
        running.take(chunks, blocks.len(), &term);
        running.take_last(last, blocks.len(), &term);
        let sum = running.sums.iter().sum::<f64>();
        // Every NaN is in the sum; the sum may be one without any.
        let not_a_number = if sum.is_nan() { values.iter().position(|value| value.is_nan()) } else { None };
        let first = running.block * BLOCK;
        let of_block = values.get(first..).unwrap_or(&[]).iter().take(BLOCK);
        let peak = || first + of_block.clone().position(|value| *value == running.largest).unwrap_or(0);
        // A sign alone is a negative zero.
        let active = running.bits.iter().fold(0, |all, bits| all | bits) << 1 != 0;
        Self { sum, peak: not_a_number.unwrap_or_else(peak), active }
    }
}

impl Running {
    /// Takes in the chunks of a block, or those of it that are whole.
    #[inline(always)]
    fn take(&mut self, chunks: &[[f32; LANES]], block: usize, term: &impl Fn(f32) -> f32) {
        let mut largest = [f32::NEG_INFINITY; LANES];
        let (mut sums, mut bits) = (self.sums, self.bits);
        for chunk in chunks {
            for lane in 0..LANES {
                let value = chunk[lane];
                sums[lane] += f64::from(term(value));
                bits[lane] |= value.to_bits();
                largest[lane] = if value > largest[lane] { value } else { largest[lane] };
            }
        }
        (self.sums, self.bits) = (sums, bits);
        self.note(
            largest.into_iter().fold(f32::NEG_INFINITY, |all, value| if value > all { value } else { all }),
            block,
        );
    }

    /// Takes in the values that are too few for a chunk.
    #[inline(always)]
    fn take_last(&mut self, values: &[f32], block: usize, term: &impl Fn(f32) -> f32) {
        for ((sum, bits), value) in self.sums.iter_mut().zip(&mut self.bits).zip(values) {
            *sum += f64::from(term(*value));
            *bits |= value.to_bits();
        }
        values.iter().for_each(|value| self.note(*value, block));
    }

    #[inline(always)]
    fn note(&mut self, value: f32, block: usize) {
        if value > self.largest {
            (self.largest, self.block) = (value, block);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = f32> {
        prop_oneof![
            20 => (-3i8..4).prop_map(f32::from),
            20 => Just(0.0),
            1 => prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY), Just(-0.0)],
        ]
    }

    #[test]
    fn the_largest_may_be_the_least_there_is() {
        for values in [&[f32::NEG_INFINITY; 70][..], &[-0.0; 130], &[]] {
            assert_eq!(Summary::of(values, Summed::All).peak, 0);
        }
        assert!(!Summary::of(&[-0.0; 130], Summed::All).active);
        // The sum is not a number here, but none of the values.
        let mut values = [1.0; 100];
        (values[10], values[80]) = (f32::NEG_INFINITY, f32::INFINITY);
        let found = Summary::of(&values, Summed::All);
        assert!(found.sum.is_nan() && found.peak == 80 && found.active, "{found:?}");
        assert_eq!(Summary::of(&values, Summed::Positive).sum, f64::INFINITY);
    }

    proptest! {
        #[test]
        fn sums_run_in_eight_lanes_to_the_bit(values in prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 0..300)) {
            // Results of scans depend on this order.
            for (summed, is_left_out) in
                [(Summed::All, (|_| false) as fn(f32) -> bool), (Summed::Positive, |value| value <= 0.0)]
            {
                let mut sums = [0f64; 8];
                for (index, value) in values.iter().enumerate() {
                    sums[index % 8] += if is_left_out(*value) { 0.0 } else { f64::from(*value) };
                }
                let (expected, found) = (sums.iter().sum::<f64>(), Summary::of(&values, summed).sum);
                prop_assert!(found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan()));
            }
        }

        #[test]
        fn a_summary_says_what_three_passes_say(values in prop::collection::vec(value(), 0..200)) {
            let found = [Summed::All, Summed::Positive].map(|summed| Summary::of(&values, summed));
            // Small integers sum exactly in any order.
            let sum: f64 = values.iter().map(|value| f64::from(*value)).sum();
            let positive: f64 = values.iter().filter(|value| value.is_nan() || **value > 0.0).map(|value| f64::from(*value)).sum();
            for (found, expected) in found.iter().zip([sum, positive]) {
                prop_assert!(found.sum == expected || (found.sum.is_nan() && expected.is_nan()));
            }
            let nan = values.iter().position(|value| value.is_nan());
            let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let first = values.iter().position(|value| *value == largest);
            for found in found {
                prop_assert_eq!(found.peak, nan.or(first).unwrap_or(0));
                prop_assert_eq!(found.active, values.iter().any(|value| *value != 0.0));
            }
        }
    }
}
