//! A stream hands out what a request asks for, in its order, a few results at a time, and stops when it is told to.

use std::ops::ControlFlow;

use glocal::attribution::{Condition, Method, Pairing, Progress, Request, Scope};
use glocal::concept::Selection;
use glocal::error::{RequestError, RequestErrorKind, RunErrorKind};
use glocal_compute::Tensor;

use crate::{attributor, difference, inputs, merged};

fn is_cancelled(error: &RequestError) -> bool {
    matches!(error.kind(), RequestErrorKind::Run(cause) if *cause.kind() == RunErrorKind::Cancelled)
}

/// Conditions on every channel of a layer, each of two classes.
fn conditions() -> Vec<Condition> {
    let condition =
        |index: usize| Condition::class(index % 2).through("layer2.0.conv1", Selection::channels([index / 2]));
    (0..8).map(condition).collect()
}

#[test]
fn a_stream_has_the_results_of_a_request_for_every_method() {
    let attributor = attributor(merged("resnet_tiny"), "epsilon-plus");
    let x = inputs("resnet_tiny");
    let trace = attributor.trace(&x).unwrap();
    for method in
        ["plain", "gradient-times-input", "smooth-grad:passes=3", "integrated-gradients:steps=3", "occlusion:window=6"]
    {
        let is_occlusion = method.starts_with("occlusion");
        for (scope, pairing) in
            [(Scope::Isolated, Pairing::Product), (Scope::Whole, Pairing::Product), (Scope::Isolated, Pairing::Zip)]
        {
            let mut conditions = conditions();
            if is_occlusion {
                conditions.iter_mut().for_each(|condition| condition.layers.clear());
            }
            if pairing == Pairing::Zip {
                conditions.truncate(x.batch());
            }
            let record = if is_occlusion { Vec::new() } else { vec!["layer1.0.conv2".to_owned()] };
            let method: Method = method.parse().unwrap();
            let request = Request { conditions, method, scope, pairing, record, rows_at_once: 3, ..Request::default() };
            let together = trace.attribute(&Request { rows_at_once: 100, ..request.clone() }).unwrap();
            let mut stream = trace.stream(&request).unwrap();
            let total = together.items.len();
            assert_eq!(stream.progress(), Progress { done: 0, total });
            for (index, item) in together.items.iter().enumerate() {
                let streamed = stream.next().unwrap().unwrap();
                assert_eq!((streamed.sample, streamed.condition), (item.sample, item.condition));
                assert_eq!(difference(&streamed, item), None, "{}, {scope:?}, {pairing:?}, {index}", request.method);
                assert_eq!(stream.progress(), Progress { done: index + 1, total });
            }
            assert!(stream.next().is_none());
            let mut count = 0;
            let take = |_, progress: Progress| {
                count += 1;
                assert_eq!(progress.done, count);
                if count == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            assert!(trace.for_each(&request, take).unwrap().is_break());
            assert_eq!(count, 2);
        }
    }
}

#[test]
fn a_request_that_makes_no_sense_is_refused_before_there_is_work() {
    let attributor = attributor(merged("resnet_tiny"), "epsilon-plus");
    let trace = attributor.trace(&inputs("resnet_tiny")).unwrap();
    for (request, words) in [
        (Request { conditions: vec![Condition::class(999)], ..Request::default() }, "999"),
        (Request { pairing: Pairing::Zip, ..Request::default() }, "pair"),
        (Request { start: Some("layer1".to_owned()), ..Request::default() }, "layer1"),
        (
            Request { method: "smooth-grad".parse().unwrap(), start: Some("conv1".to_owned()), ..Request::default() },
            "conv1",
        ),
    ] {
        let error = trace.stream(&request).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn cancelling_ends_a_stream_with_one_error() {
    let attributor = attributor(merged("resnet_tiny"), "epsilon-plus");
    let x = inputs("resnet_tiny");
    let request = Request { conditions: conditions(), rows_at_once: 2, ..Request::default() };
    let trace = attributor.trace(&x).unwrap();
    let mut stream = trace.stream(&request).unwrap();
    assert!(stream.next().unwrap().is_ok());
    request.cancel.cancel();
    // What was made already is handed out.
    assert!(stream.next().unwrap().is_ok());
    assert!(is_cancelled(&stream.next().unwrap().unwrap_err()));
    assert!(stream.next().is_none());
    assert!(attributor.trace_until(&x, &request.cancel).is_err());
    assert!(is_cancelled(&attributor.attribute(&x, &request).unwrap_err()));
}

#[test]
fn a_trace_for_a_request_answers_it_as_any_trace_does() {
    let attributor = attributor(merged("resnet_tiny"), "epsilon-plus");
    let x = inputs("resnet_tiny");
    let record = vec!["layer1.0.conv2".to_owned(), "layer2.0.conv1".to_owned()];
    let (class, conditions) = (Condition::class(1), conditions());
    let through = class.clone().through("layer1.0.conv2", Selection::channels([0, 2]));
    let twice = conditions[0].clone().through("layer1.0.conv2", Selection::channels([1]));
    // For one sample and condition nothing is prepared for a second descent.
    let one = Tensor::new([&[1], x.sample_shape()].concat(), x.row(0).to_vec()).unwrap();
    for conditions in [vec![class.clone()], vec![through], vec![twice], conditions, vec![class.clone(), class]] {
        for (x, scope, rows_at_once) in
            [(&one, Scope::Isolated, 100), (&one, Scope::Whole, 1), (&x, Scope::Isolated, 1), (&x, Scope::Whole, 100)]
        {
            let (conditions, record) = (conditions.clone(), record.clone());
            let request = Request { conditions, scope, record, rows_at_once, ..Request::default() };
            let expected = attributor.trace(x).unwrap().attribute(&request).unwrap();
            let answered = attributor.trace_for(x, &request).unwrap().attribute(&request).unwrap();
            assert_eq!(answered.prediction, expected.prediction);
            assert_eq!(answered.activations, expected.activations);
            assert_eq!(answered.items.len(), expected.items.len());
            for (a, b) in answered.items.iter().zip(&expected.items) {
                assert_eq!(difference(a, b), None, "{:?}, {scope:?}, {rows_at_once}", request.conditions);
            }
        }
    }
}
