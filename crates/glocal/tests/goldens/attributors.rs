//! Attributions that average, integrate or occlude.

use glocal::attribution::method::{Extent, IntegratedGradients, Noise, Occlusion, SmoothGrad};
use glocal::attribution::{Initial, Method, Pairing, Request};
use glocal_compute::Tensor;
use serde_json::Value;

use crate::support::{Oracle, differ, tolerance};
use crate::{MODELS, starts};

#[test]
fn attributors_equal_the_reference() {
    let mut failures = Vec::new();
    let mut cases = 0;
    for name in MODELS {
        let oracle = Oracle::load(name);
        for case in oracle.cases("attributor") {
            cases += 1;
            let ours = oracle.attribution(case).into_data();
            let expected = &case["expected"];
            let golden = oracle.tensor(expected["file"].as_str().unwrap(), expected["input"].as_str().unwrap()).1;
            if let Some(failure) = differ(&ours, &golden, tolerance(case, 0)) {
                failures.push(format!("{name} {}: {failure}", case["id"]));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(cases, 50, "the oracle has 50 cases");
}

impl Oracle {
    /// What our method makes of a case: `[N, ...]`.
    fn attribution(&self, case: &Value) -> Tensor {
        let attributor = self.attributor(case).unwrap();
        let (initial, conditions) = starts(case, attributor.model());
        let parameters = &case["params"];
        let passes = || parameters["n_iter"].as_u64().unwrap() as usize;
        let method = match case["attributor"].as_str().unwrap() {
            "SmoothGrad" => {
                let noise = &case["noise"];
                let (shape, data) = self.tensor(noise["file"].as_str().unwrap(), noise["tensor"].as_str().unwrap());
                Method::SmoothGrad(SmoothGrad {
                    noise_level: parameters["noise_level"].as_f64().unwrap() as f32,
                    passes: passes(),
                    noise: Noise::Given(Tensor::new(shape, data).unwrap()),
                })
            }
            "IntegratedGradients" => {
                Method::IntegratedGradients(IntegratedGradients { steps: passes(), ..IntegratedGradients::default() })
            }
            "Occlusion" => {
                let stride = Some(extent(&parameters["stride"]));
                Method::Occlusion(Occlusion { window: extent(&parameters["window"]), stride, ..Occlusion::default() })
            }
            other => panic!("attributor {other}"),
        };
        assert!(!matches!((&method, &initial), (Method::Occlusion(_), Initial::One)));
        let request = Request { conditions, method, pairing: Pairing::Zip, initial, ..Request::default() };
        let items = attributor.attribute(&self.inputs, &request).unwrap().items;
        let data = items.into_iter().flat_map(|item| item.input.unwrap().into_data()).collect();
        Tensor::new(self.inputs.shape(), data).unwrap()
    }
}

fn extent(value: &Value) -> Extent {
    match value.as_array() {
        None => Extent::Every(value.as_u64().unwrap() as usize),
        Some(sizes) => Extent::Last(sizes.iter().map(|size| size.as_u64().unwrap() as usize).collect()),
    }
}
