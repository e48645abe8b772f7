//! Requests that make no sense for a method, and work that is cancelled.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use glocal::attribution::method::{Baseline, IntegratedGradients, Noise, SmoothGrad};
use glocal::attribution::{Cancel, Condition, Initial, Method, Request};
use glocal::concept::Selection;
use glocal::error::{RequestErrorKind, RunErrorKind};
use glocal_compute::Tensor;

use super::methods;
use crate::{attributor, inputs, merged};

#[test]
fn requests_that_make_no_sense_are_refused() {
    use RequestErrorKind as Kind;
    let attributor = attributor(merged("vgg_tiny"), "epsilon-plus");
    let of = |method: &str| Request { method: method.parse().unwrap(), ..Request::default() };
    let smooth = |method: SmoothGrad| Request { method: Method::SmoothGrad(method), ..Request::default() };
    let given = |shape: &[usize]| Noise::Given(Tensor::zeros(shape).unwrap());
    let integrated =
        |method: IntegratedGradients| Request { method: Method::IntegratedGradients(method), ..Request::default() };
    let masked = vec![Condition::class(0).through("features.4", Selection::channels([0]))];
    type Expected = fn(&Kind) -> bool;
    let cases: Vec<(Request, Expected)> = vec![
        (Request { conditions: masked, ..of("occlusion") }, |kind| matches!(kind, Kind::NoRelevance { .. })),
        (Request { record: vec!["features.4".to_owned()], ..of("occlusion") }, |kind| {
            matches!(kind, Kind::NoRelevance { .. })
        }),
        (Request { initial: Initial::One, ..of("occlusion") }, |kind| matches!(kind, Kind::NoRelevance { .. })),
        (of("occlusion:window=2,stride=3"), |kind| matches!(kind, Kind::Window { .. })),
        (of("occlusion:window=1x1x1x1"), |kind| matches!(kind, Kind::Window { .. })),
        (Request { conditions: vec![Condition::class(9)], ..of("occlusion") }, |kind| {
            matches!(kind, Kind::Concept { .. })
        }),
        (smooth(SmoothGrad { passes: 0, ..SmoothGrad::default() }), |kind| {
            matches!(kind, Kind::Parameter { name: "passes", .. })
        }),
        (smooth(SmoothGrad { noise_level: -1.0, ..SmoothGrad::default() }), |kind| {
            matches!(kind, Kind::Parameter { name: "noise", .. })
        }),
        (
            smooth(SmoothGrad { passes: 3, noise: given(&[3, 3, 3, 16, 16]), ..SmoothGrad::default() }),
            |kind| matches!(kind, Kind::PerturbationShape { what: "noise", expected, .. } if expected == &[2, 3, 3, 16, 16]),
        ),
        (smooth(SmoothGrad { passes: 3, noise: given(&[2, 2, 3, 16, 16]), ..SmoothGrad::default() }), |kind| {
            matches!(kind, Kind::PerturbationShape { .. })
        }),
        (integrated(IntegratedGradients { steps: 0, ..IntegratedGradients::default() }), |kind| {
            matches!(kind, Kind::Parameter { name: "steps", .. })
        }),
        (
            integrated(IntegratedGradients {
                baseline: Baseline::Given(Tensor::zeros([2, 3, 16, 16]).unwrap()),
                ..IntegratedGradients::default()
            }),
            |kind| matches!(kind, Kind::PerturbationShape { what: "baseline", .. }),
        ),
        (Request { conditions: vec![Condition::class(9)], ..of("smooth-grad") }, |kind| {
            matches!(kind, Kind::Concept { .. })
        }),
    ];
    for (index, (request, expected)) in cases.iter().enumerate() {
        let error = attributor.attribute(&inputs("vgg_tiny"), request).unwrap_err();
        assert!(expected(error.kind()), "case {index}: {:?}", error.kind());
        assert!(!error.to_string().is_empty());
    }
    // What fits is taken: one row of noise for all samples, a baseline for each.
    let noise = smooth(SmoothGrad { passes: 3, noise: given(&[2, 1, 3, 16, 16]), ..SmoothGrad::default() });
    let baseline = Baseline::Given(inputs("vgg_tiny"));
    let baseline = integrated(IntegratedGradients { baseline, ..IntegratedGradients::default() });
    for request in [noise, baseline.clone()] {
        assert!(attributor.attribute(&inputs("vgg_tiny"), &request).is_ok());
    }
    // A path of no length leads to nothing.
    let items = attributor.attribute(&inputs("vgg_tiny"), &baseline).unwrap().items;
    assert!(items.iter().all(|item| item.input.as_ref().unwrap().data().iter().all(|&value| value == 0.0)));
}

#[test]
fn no_samples_give_no_results() {
    let attributor = attributor(merged("vgg_tiny"), "epsilon-plus");
    for method in methods() {
        let request = Request { method, ..Request::default() };
        let none = attributor.attribute(&Tensor::zeros([0, 3, 16, 16]).unwrap(), &request).unwrap();
        assert!(none.items.is_empty(), "{}", request.method);
        let request = Request { conditions: Vec::new(), ..request };
        assert!(attributor.attribute(&inputs("vgg_tiny"), &request).unwrap().items.is_empty());
    }
}

#[test]
fn work_stops_when_it_is_cancelled_half_way() {
    let attributor = attributor(merged("vgg_tiny"), "epsilon-plus");
    for method in methods().into_iter().filter(|method| *method != Method::TimesInput) {
        let (cancel, calls) = (Cancel::default(), Arc::new(AtomicUsize::new(0)));
        let (flag, counted) = (cancel.clone(), Arc::clone(&calls));
        let function = move |value: &Tensor| {
            if counted.fetch_add(1, Ordering::Relaxed) == 1 {
                flag.cancel();
            }
            value.clone()
        };
        let initial = Initial::Function(Arc::new(function));
        let request = Request { method, initial, cancel, rows_at_once: 1, ..Request::default() };
        let error = attributor.attribute(&inputs("vgg_tiny"), &request).unwrap_err();
        let cancelled = |kind: &RequestErrorKind| matches!(kind, RequestErrorKind::Run(error) if matches!(error.kind(), RunErrorKind::Cancelled));
        assert!(cancelled(error.kind()), "{}: {error}", request.method);
        assert_eq!(calls.load(Ordering::Relaxed), 2, "{}", request.method);
    }
}
