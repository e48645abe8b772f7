//! Products of two stacks of matrices.

use glocal_compute::{Backend, CpuBackend, Tensor};

use crate::naive::{Sum, assert_sums, flat, indices};
use crate::random::Random;

/// `[N, ..., M, K] · [N, ..., K, P]`, element by element.
fn products(a: &Tensor, b: &Tensor, shape: &[usize]) -> Vec<Sum> {
    let depth = a.shape()[a.rank() - 1];
    let at = |operand: &Tensor, index: &[usize], row: usize, column: usize| {
        let outer = index[..index.len() - 2].iter().zip(operand.shape());
        let mut index: Vec<usize> = outer.map(|(&index, &size)| if size == 1 { 0 } else { index }).collect();
        index.extend([row, column]);
        f64::from(operand.data()[flat(operand.shape(), &index)])
    };
    let product = |index: &Vec<usize>| {
        let (row, column) = (index[index.len() - 2], index[index.len() - 1]);
        let mut sum = Sum::default();
        (0..depth).for_each(|k| sum.add(at(a, index, row, k) * at(b, index, k, column)));
        sum
    };
    indices(shape).iter().map(product).collect()
}

#[test]
fn products_are_sums_of_products() {
    let mut random = Random::new(60);
    for _ in 0..60 {
        let rank = random.within(1, 3);
        let outer = random.several(rank, 1, 3);
        let [rows, depth, columns] = [random.within(1, 9), random.within(1, 70), random.within(1, 20)];
        // Any axis of one operand may be shared.
        let shared: Vec<usize> = outer.iter().map(|&size| if random.within(0, 3) == 0 { 1 } else { size }).collect();
        let a = random.tensor(&[shared, vec![rows, depth]].concat());
        let b = random.tensor(&[outer.clone(), vec![depth, columns]].concat());
        let shape = [outer.clone(), vec![rows, columns]].concat();
        let out = CpuBackend::new().matrix_product(&a, &b).unwrap();
        assert_eq!(out.shape(), shape);
        assert_sums(&out, &products(&a, &b, &shape), &(a.shape(), b.shape()));
    }
}

#[test]
fn stacks_that_do_not_fit_are_refused() {
    let backend = CpuBackend::new();
    let zeros = |shape: &[usize]| Tensor::zeros(shape).unwrap();
    let pairs: [(&[usize], &[usize]); 5] = [
        (&[2, 3], &[3, 2]),
        (&[1, 2, 3], &[1, 2, 3]),
        (&[1, 2, 3], &[3, 2]),
        (&[2, 4, 3], &[3, 3, 4]),
        (&[2, 2, 4, 3], &[2, 3, 3, 4]),
    ];
    for (a, b) in pairs {
        assert!(backend.matrix_product(&zeros(a), &zeros(b)).is_err(), "{a:?}, {b:?}");
    }
    assert_eq!(backend.matrix_product(&zeros(&[0, 2, 3]), &zeros(&[0, 3, 4])).unwrap().shape(), [0, 2, 4]);
}
