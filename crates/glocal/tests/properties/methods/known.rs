//! Methods whose results are known by other means: of linear models, and window by window.

use glocal::attribution::method::{Extent, Hidden, IntegratedGradients, Occlusion, SmoothGrad};
use glocal::attribution::{Attribution, Condition, Initial, Method, Request};
use glocal_compute::Tensor;

use super::{ROUNDING, sum, zip};
use crate::{MODELS, attributor, inputs, merged, support};

/// For `f(x) = w·x + b` all methods are known: every gradient is w.
#[test]
fn methods_of_a_linear_model_are_its_weights() {
    let attributor = attributor(merged("parallel_linear"), "gradient");
    let x = inputs("parallel_linear");
    let run = |method: Method, initial: Initial| {
        let conditions = (0..3).map(Condition::class).collect();
        attributor.attribute(&x, &Request { conditions, method, initial, ..Request::default() }).unwrap().items
    };
    let zero = Tensor::zeros(x.shape()).unwrap();
    let bias = attributor.trace(&zero).unwrap().prediction().clone();
    let single = |hidden| Method::Occlusion(Occlusion { window: Extent::Every(1), hidden, ..Occlusion::default() });
    let plain = run(Method::Plain, Initial::One);
    let smooth = run(Method::SmoothGrad(SmoothGrad::default()), Initial::One);
    let times = run(Method::TimesInput, Initial::One);
    let integrated = run(Method::IntegratedGradients(IntegratedGradients::default()), Initial::One);
    let (alone, lost) = (run(single(Hidden::Outside), Initial::Value), run(single(Hidden::Window), Initial::Value));
    for (index, item) in plain.iter().enumerate() {
        let weights = item.input.as_ref().unwrap();
        let of = |items: &[Attribution]| items[index].input.clone().unwrap();
        let sample = Tensor::new(weights.shape(), x.row(item.sample).to_vec()).unwrap();
        let products = zip(weights, &sample, |w, x| w * x);
        assert_eq!(of(&smooth), *weights);
        assert_eq!(of(&times), products);
        assert_eq!(support::differ(of(&integrated).data(), products.data(), ROUNDING), None);
        // A score is a sum of larger products.
        assert_eq!(support::differ(of(&lost).data(), products.data(), 10.0 * ROUNDING), None);
        let bias = bias.row(item.sample)[item.condition];
        let with_bias = zip(&products, &products, |product, _| product + bias);
        assert_eq!(support::differ(of(&alone).data(), with_bias.data(), 10.0 * ROUNDING), None);
    }
}

#[test]
fn a_window_over_everything_has_the_whole_score() {
    for name in MODELS {
        let attributor = attributor(merged(name), "epsilon-plus");
        let x = inputs(name);
        let run = |text: &str| {
            let conditions = vec![Condition::everything(), Condition::class(1)];
            let request = Request { conditions, method: text.parse().unwrap(), ..Request::default() };
            attributor.attribute(&x, &request).unwrap()
        };
        let zero = attributor.trace(&Tensor::zeros(x.shape()).unwrap()).unwrap().prediction().clone();
        let (alone, lost) = (run("occlusion:window=1000"), run("occlusion:window=1000,hide=window"));
        for (alone_item, lost_item) in alone.items.iter().zip(&lost.items) {
            let score = |of: &Tensor| match alone_item.condition {
                0 => sum(of.row(alone_item.sample)),
                _ => f64::from(of.row(alone_item.sample)[1]),
            };
            let whole = score(&alone.prediction);
            let all =
                |item: &Attribution, value: f64| item.input.as_ref().unwrap().data().iter().all(|&x| x == value as f32);
            assert!(all(alone_item, whole), "{name}");
            assert!(all(lost_item, whole - score(&zero)), "{name}");
            assert!(alone_item.layers.is_empty());
        }
    }
}

#[test]
fn occlusion_scores_windows_one_by_one() {
    let attributor = attributor(merged("vgg_tiny"), "epsilon-plus");
    let x = inputs("vgg_tiny");
    let (size, window, stride) = (16, 6, 5);
    let layer = "features.8";
    let method = Occlusion {
        window: Extent::Every(window),
        stride: Some(Extent::Last(vec![stride, stride])),
        ..Occlusion::default()
    };
    let conditions = vec![Condition::class(3)];
    let request =
        Request { conditions, method: Method::Occlusion(method), start: Some(layer.to_owned()), ..Request::default() };
    let items = attributor.attribute(&x, &request).unwrap().items;
    let node = attributor.model().layer(layer).unwrap();
    for item in &items {
        let mut sums = vec![0.0f64; x.row_len()];
        let mut counts = vec![0.0; x.row_len()];
        for (top, left) in [0, 5, 10].into_iter().flat_map(|top| [0, 5, 10].map(|left| (top, left))) {
            let inside = |at: usize| {
                let (row, column) = (at / size % size, at % size);
                (top..top + window).contains(&row) && (left..left + window).contains(&column)
            };
            let sample = x.row(item.sample).iter().enumerate().map(|(at, &x)| if inside(at) { x } else { 0.0 });
            let sample = Tensor::new([1, 3, size, size], sample.collect()).unwrap();
            let trace = attributor.trace(&sample).unwrap();
            let value = trace.value(node);
            let plane: usize = value.sample_shape()[1..].iter().product();
            let score = sum(&value.row(0)[3 * plane..4 * plane]);
            (0..x.row_len()).filter(|&at| inside(at)).for_each(|at| {
                sums[at] += score;
                counts[at] += 1.0;
            });
        }
        let expected: Vec<f32> = sums.iter().zip(&counts).map(|(sum, count)| (sum / count) as f32).collect();
        assert_eq!(support::differ(item.input.as_ref().unwrap().data(), &expected, ROUNDING), None);
    }
}
