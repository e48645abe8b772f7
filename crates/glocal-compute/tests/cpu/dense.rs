//! Dense layers and their input gradients.

use glocal_compute::{Backend, CpuBackend, Tensor};

use crate::naive::{Sum, assert_sums};
use crate::random::Random;

fn forward(x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Vec<Sum> {
    let (outputs, inputs) = (w.shape()[0], w.shape()[1]);
    let mut sums = Vec::new();
    for x in x.data().chunks_exact(inputs) {
        for output in 0..outputs {
            let mut sum = Sum::default();
            if let Some(bias) = bias {
                sum.add(bias.data()[output].into());
            }
            let terms = x.iter().zip(w.row(output)).map(|(&x, &w)| f64::from(x) * f64::from(w));
            terms.for_each(|term| sum.add(term));
            sums.push(sum);
        }
    }
    sums
}

fn input_gradient(r: &Tensor, w: &Tensor) -> Vec<Sum> {
    let (outputs, inputs) = (w.shape()[0], w.shape()[1]);
    let mut sums = Vec::new();
    for r in r.data().chunks_exact(outputs) {
        let mut row = vec![Sum::default(); inputs];
        for (output, &r) in r.iter().enumerate() {
            row.iter_mut().zip(w.row(output)).for_each(|(sum, &w)| sum.add(f64::from(r) * f64::from(w)));
        }
        sums.extend(row);
    }
    sums
}

fn check(lead: &[usize], inputs: usize, outputs: usize, random: &mut Random) {
    let backend = CpuBackend::new();
    let context = (lead, inputs, outputs);
    let x = random.tensor(&[lead, &[inputs]].concat());
    let w = random.tensor(&[outputs, inputs]);
    let bias = random.flip().then(|| random.tensor(&[outputs]));
    let packed = backend.pack_dense(&w).unwrap();
    let out = backend.dense(&x, &packed, bias.as_ref()).unwrap();
    assert_eq!(out.shape(), [lead, &[outputs]].concat());
    assert_sums(&out, &forward(&x, &w, bias.as_ref()), &context);
    let r = random.tensor(out.shape());
    let gradient = backend.dense_input_gradient(&r, &packed).unwrap();
    assert_eq!(gradient.shape(), x.shape());
    assert_sums(&gradient, &input_gradient(&r, &w), &context);
}

#[test]
fn layers_agree_with_plain_loops() {
    let mut random = Random::new(10);
    for _ in 0..100 {
        let lead = random.within(1, 2);
        let lead = random.several(lead, 1, 5);
        let (inputs, outputs) = (random.within(1, 40), random.within(1, 40));
        check(&lead, inputs, outputs, &mut random);
    }
    check(&[20], 600, 70, &mut random);
    check(&[0], 6, 7, &mut random);
}

#[test]
fn large_layers_agree_with_plain_loops() {
    let mut random = Random::new(11);
    for (inputs, outputs) in [(1100, 1000), (1043, 1009), ((1 << 20) + 3, 1), (1, (1 << 20) + 3)] {
        check(&[1], inputs, outputs, &mut random);
        check(&[3], inputs, outputs, &mut random);
        check(&[2, 2], inputs, outputs, &mut random);
    }
}

/// Where a gradient has no part in a row of the weights, that row is not read: relevance after a ReLU is like that.
#[test]
fn zeros_of_large_layers_are_passed_over() {
    let (backend, mut random) = (CpuBackend::new(), Random::new(12));
    let (inputs, outputs) = (1100, 1000);
    let w = random.tensor(&[outputs, inputs]);
    let mut r = random.tensor(&[4, outputs]);
    for (index, value) in r.data_mut().iter_mut().enumerate() {
        // a row of zeros, one with a few numbers, one with many, one with all
        let taken = match index / outputs {
            0 => false,
            1 => index % 97 == 0,
            2 => index % 3 != 0,
            _ => true,
        };
        *value = if taken { *value } else { 0.0 };
    }
    let packed = backend.pack_dense(&w).unwrap();
    let gradient = backend.dense_input_gradient(&r, &packed).unwrap();
    assert_sums(&gradient, &input_gradient(&r, &w), &"zeros");
    assert!(gradient.row(0).iter().all(|value| value.to_bits() == 0));

    let mut broken = w.clone();
    broken.data_mut()[..inputs].fill(f32::NAN);
    let packed = backend.pack_dense(&broken).unwrap();
    let untouched = backend.dense_input_gradient(&r, &packed).unwrap();
    assert_eq!(untouched.row(0), gradient.row(0));
    assert!(untouched.row(3).iter().all(|value| value.is_nan()));
}
