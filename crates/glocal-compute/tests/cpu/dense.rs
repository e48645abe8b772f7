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
    for (inputs, outputs) in [(1100, 1000), ((1 << 20) + 3, 1), (1, (1 << 20) + 3)] {
        check(&[1], inputs, outputs, &mut random);
        check(&[2, 2], inputs, outputs, &mut random);
    }
}
