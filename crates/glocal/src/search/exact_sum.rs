//! Sums of floats without any rounding, so that they do not depend on the order in which they are made.

use num_bigint::{BigInt, BigUint, Sign};

/// The sum of any number of `f32` values, or of products of two of them, as an integer of units of 2⁻³²⁰.
///
/// The smallest product of two floats is 2⁻²⁹⁸ and the largest is below 2²⁵⁶, so that each is a whole number of units, and
/// 2⁶³ of them fit the 640 bits. Adding is associative and commutative, bit for bit.
///
/// Source: the idea is Kulisch's long accumulator (Kulisch 2013, doi 10.1515/9783110301793).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExactSum {
    /// Two's complement, the least significant word first.
    words: [u64; WORDS],
}

const WORDS: usize = 10;

/// The exponent of the unit.
const UNIT: i32 = -320;

/// The stored bits of an `f64`'s fraction, and what its exponent is shifted by.
const FRACTION_BITS: u32 = 52;

/// What the exponent bits of an `f64` lie above the exponent of its last fraction bit.
const EXPONENT_BIAS: i32 = 1075;

impl ExactSum {
    /// Adds a finite value; others are left out.
    pub fn add(&mut self, value: f32) {
        self.add_exact(f64::from(value));
    }

    /// Adds the product of two finite values; where one is not, nothing is added.
    pub fn add_product(&mut self, one: f32, other: f32) {
        // 24 bits times 24 bits are 48, which an f64 holds.
        self.add_exact(f64::from(one) * f64::from(other));
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        let mut carry = false;
        for (word, other) in self.words.iter_mut().zip(other.words) {
            let (sum, first) = word.overflowing_add(other);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*word, carry) = (sum, first || second);
        }
    }

    /// `value` is a finite whole number of units below 2²⁵⁶.
    fn add_exact(&mut self, value: f64) {
        let bits = value.to_bits();
        let exponent = ((bits >> FRACTION_BITS) & 0x7ff) as i32;
        // Zero; smaller floats are no products of two `f32`. Infinite and NaN have the greatest exponent.
        if exponent == 0 || exponent == 0x7ff {
            return;
        }
        let fraction = (bits & ((1 << FRACTION_BITS) - 1)) | (1 << FRACTION_BITS);
        let shift = exponent - EXPONENT_BIAS - UNIT;
        // Bits below the unit are zero.
        let (fraction, shift) = if shift < 0 { (fraction >> -shift, 0) } else { (fraction, shift as usize) };
        let wide = u128::from(fraction) << (shift % 64);
        // A value touches two words; that a carry goes beyond them is rare.
        let Some([low, high, beyond @ ..]) = self.words.get_mut(shift / 64..) else { return };
        let words = u128::from(*high) << 64 | u128::from(*low);
        let negative = value.is_sign_negative();
        let (sum, carry) = if negative { words.overflowing_sub(wide) } else { words.overflowing_add(wide) };
        (*low, *high) = (sum as u64, (sum >> 64) as u64);
        if carry {
            let step = if negative { u64::overflowing_sub } else { u64::overflowing_add };
            for word in beyond {
                let (sum, carry) = step(*word, 1);
                *word = sum;
                if !carry {
                    break;
                }
            }
        }
    }

    /// The sum, rounded once.
    pub fn value(&self) -> f64 {
        let (sign, magnitude) = self.magnitude();
        rounded(sign, magnitude.into_iter(), UNIT)
    }

    /// The number of units.
    pub(super) fn integer(&self) -> BigInt {
        let (sign, magnitude) = self.magnitude();
        let mut digits = [0; 2 * WORDS];
        for (pair, word) in digits.as_chunks_mut::<2>().0.iter_mut().zip(magnitude) {
            *pair = [word as u32, (word >> 32) as u32];
        }
        let len = digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1);
        BigInt::from_biguint(sign, BigUint::from_slice(&digits[..len]))
    }

    /// The sign and the size of the number of units.
    fn magnitude(&self) -> (Sign, [u64; WORDS]) {
        if self.words[WORDS - 1] >> 63 == 0 {
            return (Sign::Plus, self.words);
        }
        let mut carry = true;
        let negated = self.words.map(|word| {
            let (word, over) = (!word).overflowing_add(u64::from(carry));
            carry = over;
            word
        });
        (Sign::Minus, negated)
    }

    /// The number of units, as a two's complement integer, the least significant byte first, of as few bytes as hold it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = self.words.map(u64::to_le_bytes);
        let bytes = bytes.as_flattened();
        let sign = if self.words[WORDS - 1] >> 63 == 1 { 0xff } else { 0 };
        // The last byte says nothing where the one before it has the sign already.
        let says_nothing = |pair: &&[u8]| pair[1] == sign && (pair[0] ^ sign) >> 7 == 0;
        let needless = bytes.windows(2).rev().take_while(says_nothing).count();
        bytes[..bytes.len() - needless].to_vec()
    }

    /// What [`to_bytes`](Self::to_bytes) made; `None` for what it never makes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut whole = [if bytes.last()? >> 7 == 1 { 0xff } else { 0 }; WORDS * 8];
        whole.get_mut(..bytes.len())?.copy_from_slice(bytes);
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(whole.chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().ok()?);
        }
        let sum = Self { words };
        (sum.to_bytes() == bytes).then_some(sum)
    }
}

/// `integer` · 2^`exponent`, rounded to the nearest `f64` (to an even last bit on ties).
pub(super) fn to_f64(integer: &BigInt, exponent: i32) -> f64 {
    rounded(integer.sign(), integer.iter_u64_digits(), exponent)
}

/// The same for a sign and words, the least significant one first.
fn rounded(sign: Sign, mut words: impl DoubleEndedIterator<Item = u64> + ExactSizeIterator, exponent: i32) -> f64 {
    while let Some(last) = words.next_back() {
        if last == 0 {
            continue;
        }
        // The 64 leading bits: more than a float's 53.
        let (below, zeros) = (words.len() as i32 * 64, last.leading_zeros());
        let next = words.next_back().unwrap_or(0);
        let both = (u128::from(last) << 64 | u128::from(next)) << zeros;
        // One bit stands for all those that follow: it only has to tell a tie from more than a tie.
        let rest = both as u64 != 0 || words.any(|word| word != 0);
        let rounded = ((both >> 64) as u64 | u64::from(rest)) as f64;
        // In two steps, as one power alone may be out of range.
        let power = below - zeros as i32 + exponent;
        let value = rounded * 2f64.powi(power / 2) * 2f64.powi(power - power / 2);
        return if sign == Sign::Minus { -value } else { value };
    }
    0.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(values: &[f32]) -> ExactSum {
        let mut sum = ExactSum::default();
        values.iter().for_each(|value| sum.add(*value));
        sum
    }

    #[test]
    fn nothing_is_rounded_away() {
        let tiny = f32::from_bits(1);
        assert_eq!(sum(&[f32::MAX, tiny, -f32::MAX]).value(), f64::from(tiny));
        assert_eq!(sum(&[1.0, -1.0]).value(), 0.0);
        assert_eq!(sum(&[f32::MAX; 3]).value(), 3.0 * f64::from(f32::MAX));
        assert_eq!(sum(&[-0.5, f32::NAN, f32::INFINITY, -0.25]).value(), -0.75);
        let mut squares = ExactSum::default();
        squares.add_product(tiny, tiny);
        assert_eq!(squares.value(), 2f64.powi(-298));
        squares.add_product(f32::MAX, -f32::MAX);
        squares.add_product(f32::MAX, f32::MAX);
        assert_eq!(squares.value(), 2f64.powi(-298));
    }

    #[test]
    fn values_are_rounded_to_the_nearest() {
        // 2⁵³ + 1 is a tie and goes to the even 2⁵³; anything more goes up.
        let power = 2f32.powi(53);
        assert_eq!(sum(&[power, 1.0]).value(), 2f64.powi(53));
        assert_eq!(sum(&[power, 1.0, f32::MIN_POSITIVE]).value(), 2f64.powi(53) + 2.0);
        assert_eq!(sum(&[-power, -1.0, -f32::MIN_POSITIVE]).value(), -2f64.powi(53) - 2.0);
        assert_eq!(sum(&[power, 3.0]).value(), 2f64.powi(53) + 4.0);
        let most_negative = ExactSum { words: std::array::from_fn(|index| u64::from(index == WORDS - 1) << 63) };
        assert_eq!(most_negative.value(), -2f64.powi(640 - 1 + UNIT));
    }

    /// The nearest float by whole numbers alone.
    fn nearest(integer: &BigInt) -> f64 {
        let magnitude = integer.magnitude();
        let excess = magnitude.bits().saturating_sub(53);
        let mut kept = magnitude >> excess;
        let (rest, tie) = (magnitude - (&kept << excess), (BigUint::from(1u8) << excess) >> 1u8);
        if excess > 0 && (rest > tie || rest == tie && kept.bit(0)) {
            kept += 1u8;
        }
        let kept = kept.iter_u64_digits().next().unwrap_or(0) as f64;
        let size = kept * 2f64.powi(excess as i32) * 2f64.powi(UNIT);
        if integer.sign() == Sign::Minus { -size } else { size }
    }

    #[test]
    fn only_bytes_that_are_written_are_read() {
        for bytes in [&[][..], &[1, 0], &[0xff, 0xff], &[1; 81]] {
            assert_eq!(ExactSum::from_bytes(bytes), None, "{bytes:?}");
        }
        assert_eq!(ExactSum::default().to_bytes(), [0]);
        for byte in [[0x80, 0], [0x7f, 0], [0xff, 0], [0x80, 0xff], [0, 0x80], [0x7f, 0x80]] {
            let number = BigInt::from_signed_bytes_le(&byte);
            let expected = number.to_signed_bytes_le();
            assert_eq!(ExactSum::from_bytes(&expected).unwrap().to_bytes(), expected, "{number}");
        }
    }

    proptest! {
        #[test]
        fn order_and_grouping_do_not_matter(
            values in prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 0..40),
            cut in 0usize..40,
        ) {
            let cut = cut.min(values.len());
            let mut backwards = values.clone();
            backwards.reverse();
            let whole = sum(&values);
            prop_assert_eq!(&sum(&backwards), &whole);
            let mut parts = sum(&values[cut..]);
            parts.merge(&sum(&values[..cut]));
            prop_assert_eq!(&parts, &whole);
            prop_assert_eq!(whole.to_bytes(), whole.integer().to_signed_bytes_le());
            prop_assert_eq!(&ExactSum::from_bytes(&whole.to_bytes()), &Some(whole));
        }

        #[test]
        fn sums_of_any_size_are_rounded_to_the_nearest(
            // powers around ties of the first: 2⁵³, 1, and what is far below
            terms in prop::collection::vec((any::<bool>(), prop::sample::select(&[53, 52, 1, 0, -1, -11, -12, -40, -64, -140])), 0..8),
            values in prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 0..3),
        ) {
            let terms = terms.into_iter().map(|(negative, power)| if negative { -2f32.powi(power) } else { 2f32.powi(power) });
            for sum in [sum(&terms.clone().collect::<Vec<_>>()), sum(&terms.chain(values).collect::<Vec<_>>())] {
                prop_assert_eq!(sum.value(), nearest(&sum.integer()));
                prop_assert_eq!(to_f64(&sum.integer(), UNIT), nearest(&sum.integer()));
            }
        }

        #[test]
        fn small_integers_sum_as_integers(values in prop::collection::vec(-1000i16..1000, 0..50)) {
            let mut squares = ExactSum::default();
            values.iter().for_each(|value| squares.add_product(f32::from(*value), f32::from(*value) * 0.125));
            let expected: i64 = values.iter().map(|value| i64::from(*value).pow(2)).sum();
            prop_assert_eq!(squares.value(), expected as f64 / 8.0);
        }
    }
}
