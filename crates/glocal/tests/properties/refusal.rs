//! Requests that make no sense for the model.

use glocal::attribution::{Attributor, Cancel, Condition, Initial, Pairing, Request, Scope};
use glocal::concept::Selection;
use glocal::error::{RequestError, RequestErrorKind, RunErrorKind};
use glocal::search::{SampleId, Scan, ScanOptions};
use glocal_compute::Tensor;

use crate::{attributor, inputs, merged};

fn refused(attributor: &Attributor, name: &str, request: &Request) -> RequestError {
    let error = attributor.attribute(&inputs(name), request).unwrap_err();
    assert!(!error.to_string().is_empty());
    error
}

fn of(condition: Condition) -> Request {
    Request { conditions: vec![condition], ..Request::default() }
}

#[test]
fn conditions_that_do_not_fit_are_errors() {
    use RequestErrorKind as Kind;
    let attributor = attributor(merged("resnet_tiny"), "epsilon-plus");
    let channel = |id| Selection::channels([id]);
    type Expected = fn(&Kind) -> bool;
    let cases: Vec<(&str, Request, Expected)> = vec![
        (
            "two branches",
            of(Condition::class(0).through("layer2.0.conv2", channel(0)).through("layer2.0.downsample.0", channel(0))),
            |kind| matches!(kind, Kind::NotOnOnePath { .. }),
        ),
        (
            "a layer twice",
            of(Condition::class(0).through("conv1", channel(0)).through("conv1", channel(1))),
            |kind| matches!(kind, Kind::RepeatedLayer { layer } if layer == "conv1"),
        ),
        (
            "a layer twice, by two of its names",
            of(Condition::class(0).through("conv1", channel(0)).through("bn1", channel(1))),
            |kind| matches!(kind, Kind::RepeatedLayer { .. }),
        ),
        (
            "an unknown layer",
            of(Condition::class(0).through("layer9", channel(0))),
            |kind| matches!(kind, Kind::Layer(error) if error.name() == "layer9" && !error.nearest().is_empty()),
        ),
        ("a channel too many", of(Condition::class(0).through("conv1", channel(6))), |kind| {
            matches!(kind, Kind::Concept { id: 6, count: 6, unit: "channels", .. })
        }),
        ("a neuron too many", of(Condition::class(0).through("conv1", Selection::neurons([6 * 16 * 16]))), |kind| {
            matches!(kind, Kind::Concept { count: 1536, unit: "neurons", .. })
        }),
        ("a class too many", of(Condition::class(5)), |kind| matches!(kind, Kind::Concept { id: 5, count: 5, .. })),
        (
            "a target outside of the start layer",
            Request { start: Some("conv1".to_owned()), ..of(Condition::class(6)) },
            |kind| matches!(kind, Kind::Concept { id: 6, count: 6, .. }),
        ),
        (
            "a prediction of a layer",
            Request { start: Some("conv1".to_owned()), ..of(Condition::predicted()) },
            |kind| matches!(kind, Kind::StartWithoutTarget { start } if start == "conv1"),
        ),
        (
            "a condition above the start",
            Request { start: Some("layer1.0.conv1".to_owned()), ..of(Condition::class(0).through("fc", channel(0))) },
            |kind| matches!(kind, Kind::NotExplained { layer, .. } if layer == "fc"),
        ),
        ("an unknown recorded layer", Request { record: vec!["conv7".to_owned()], ..Request::default() }, |kind| {
            matches!(kind, Kind::Layer(_))
        }),
        ("an unknown start layer", Request { start: Some("conv7".to_owned()), ..Request::default() }, |kind| {
            matches!(kind, Kind::Layer(_))
        }),
        (
            "two conditions for three samples",
            Request {
                conditions: vec![Condition::class(0), Condition::class(1)],
                pairing: Pairing::Zip,
                ..Request::default()
            },
            |kind| matches!(kind, Kind::Unpaired { samples: 3, conditions: 2 }),
        ),
        (
            "an initial relevance of another shape",
            Request { initial: Initial::Given(Tensor::zeros([3, 4]).unwrap()), ..Request::default() },
            |kind| matches!(kind, Kind::InitialShape { given, .. } if given == &[3, 4]),
        ),
        (
            "an initial relevance for other rows",
            Request { initial: Initial::Given(Tensor::zeros([2, 5]).unwrap()), ..Request::default() },
            |kind| matches!(kind, Kind::InitialShape { .. }),
        ),
    ];
    for scope in [Scope::Isolated, Scope::Whole] {
        for (what, request, expected) in &cases {
            if *what == "two branches" && scope == Scope::Whole {
                continue;
            }
            let error = refused(&attributor, "resnet_tiny", &Request { scope, ..request.clone() });
            assert!(expected(error.kind()), "{what}, {scope:?}: {:?}", error.kind());
        }
    }
    // Under whole scope, parallel branches may both be masked.
    let whole = Request { scope: Scope::Whole, ..cases[0].1.clone() };
    assert!(attributor.attribute(&inputs("resnet_tiny"), &whole).is_ok());
}

#[test]
fn inputs_of_another_shape_are_errors() {
    let attributor = attributor(merged("mlp"), "epsilon-plus");
    for shape in [&[3, 7][..], &[12], &[]] {
        let error = attributor.trace(&Tensor::zeros(shape).unwrap()).unwrap_err();
        assert!(matches!(error.kind(), RunErrorKind::InputShape { .. }), "{error}");
    }
}

#[test]
fn no_samples_and_no_conditions_give_no_results() {
    let attributor = attributor(merged("resnet_tiny"), "epsilon-plus-flat");
    let none = Tensor::zeros([&[0], attributor.model().input_shape()].concat()).unwrap();
    assert!(attributor.attribute(&none, &Request::default()).unwrap().items.is_empty());
    let request = Request { conditions: Vec::new(), ..Request::default() };
    assert!(attributor.attribute(&inputs("resnet_tiny"), &request).unwrap().items.is_empty());
}

fn cancelled(error: &RequestError) -> bool {
    matches!(error.kind(), RequestErrorKind::Run(error) if matches!(error.kind(), RunErrorKind::Cancelled))
}

#[test]
fn cancelled_work_ends_in_an_error() {
    let attributor = attributor(merged("vgg_tiny"), "epsilon-plus");
    for scope in [Scope::Isolated, Scope::Whole] {
        let request = Request { scope, ..Request::default() };
        request.cancel.clone().cancel();
        assert!(cancelled(&refused(&attributor, "vgg_tiny", &request)));
    }
    let cancel = Cancel::default();
    cancel.cancel();
    let scan = Scan::new(attributor, &["features.0".to_owned()], ScanOptions::default()).unwrap();
    let ids = [0, 1, 2].map(SampleId);
    let error = scan.observe(&inputs("vgg_tiny"), &ids, &[], &cancel).unwrap_err();
    assert!(cancelled(&error), "{error}");
}

#[test]
fn models_without_a_rule_for_a_node_are_refused() {
    let composite = glocal::composite::Composite::new("empty");
    let error = Attributor::new(merged("mlp"), composite).unwrap_err();
    assert!(matches!(error.kind(), RequestErrorKind::NoRule { kind: "dense", .. }), "{error}");
}

#[test]
fn a_scan_needs_a_sample_for_each_input() {
    let attributor = attributor(merged("vgg_tiny"), "epsilon-plus");
    let scan = Scan::new(attributor, &["features.0".to_owned()], ScanOptions::default()).unwrap();
    let x = inputs("vgg_tiny");
    let ids = |count: u64| (0..count).map(SampleId).collect::<Vec<_>>();
    for (samples, targets) in [(2, 0), (4, 0), (3, 1), (3, 2)] {
        let targets = vec![vec![0]; targets];
        let error = scan.observe(&x, &ids(samples), &targets, &Cancel::default()).unwrap_err();
        assert!(matches!(error.kind(), RequestErrorKind::Batch { inputs: 3, .. }), "{:?}", error.kind());
    }
    assert!(scan.observe(&x, &ids(3), &[], &Cancel::default()).is_ok());
}

/// Rules that do not fit a layer are found before any work, with the layer's name and what the rule needs.
#[test]
fn rules_that_do_not_fit_are_found_when_they_are_assigned() {
    let entry = |entry: &str| format!("extends = \"epsilon-plus\"\n[[rules]]\n{entry}");
    let cases = [
        ("kind = \"dense\"\nrule = \"pass\"", "an input of the output's shape"),
        ("kind = \"max-pool\"\nrule = \"pass\"", "an input of the output's shape"),
        ("kind = \"sum\"\nrule = \"pass\"", "an op with one input"),
        ("kind = \"relu\"\nrule = \"z-plus\"", "a convolution or dense layer"),
        (
            "kind = \"convolution\"\nfirst = true\nrule = \"z-box\"\nlow = [-1, -1]\nhigh = [1, 1]",
            "one bound for all, or one for each of the 3 channels; 2 were given",
        ),
    ];
    for (rule, needs) in cases {
        let composite = glocal::Composite::from_toml(&entry(rule)).unwrap();
        let error = Attributor::new(merged("resnet_tiny"), composite).unwrap_err();
        let is_wrong_rule = matches!(error.kind(), RequestErrorKind::WrongRule { .. });
        assert!(is_wrong_rule && error.to_string().contains(needs), "{rule}: {error}");
    }
}
