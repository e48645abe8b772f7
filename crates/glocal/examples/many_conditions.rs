//! Measures how long many conditions take, and how much memory.
//!
//! ```text
//! many_conditions MODEL.onnx LAYER channels|neurons COUNT [ROWS_AT_ONCE] [CANCEL_MS]
//! ```
//!
//! Conditions are the first COUNT channels of LAYER, or COUNT neurons spread over it, under the predicted class, with the rules
//! `epsilon-plus-flat`. The input is a wave. With CANCEL_MS the work is cancelled after so many milliseconds, from the start of
//! the forward pass, and how long it took to end is told.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glocal::attribution::Cancel;
use glocal::concept::Selection;
use glocal::{Attributor, Condition, ImportOptions, Model, Request, canonize};
use glocal_compute::{CpuBackend, Tensor};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, layer, unit, count, more @ ..] = arguments.as_slice() else {
        return Err("expected MODEL.onnx LAYER channels|neurons COUNT [ROWS_AT_ONCE] [CANCEL_MS]".into());
    };
    let onnx = glocal_onnx::Model::read(path)?;
    let model = canonize(&Model::from_onnx(onnx, &ImportOptions::default(), Arc::new(CpuBackend::new()))?)?;
    let attributor = Attributor::new(model, "epsilon-plus-flat".parse()?)?;
    let shape = attributor.model().input_shape();
    let wave = (0..shape.iter().product::<usize>()).map(|index| (index as f32 * 0.37).sin()).collect();
    let input = Tensor::new([&[1], shape].concat(), wave)?;

    let neurons: usize = attributor.model().graph().node(attributor.model().layer(layer)?).shape.iter().product();
    let count: usize = count.parse()?;
    let selection = |index: usize| match unit.as_str() {
        "channels" => Selection::channels([index]),
        // Steps of a prime number, so that channels and positions change.
        _ => Selection::neurons([index * 7919 % neurons]),
    };
    let conditions = (0..count).map(|index| Condition::predicted().through(layer, selection(index))).collect();
    let rows_at_once = more.first().map_or(Ok(8), |rows| rows.parse())?;
    let request = Request { conditions, rows_at_once, ..Request::default() };
    print!("{}", attributor.explain(&request, 1)?.to_string().lines().next().unwrap_or(""));
    println!("; resident {} MiB", memory("VmRSS"));

    if let Some(delay) = more.get(1) {
        return cancelled(&attributor, &input, &request, Duration::from_millis(delay.parse()?));
    }
    let begin = Instant::now();
    let trace = attributor.trace(&input)?;
    println!("forward pass: {:?}, resident {} MiB", begin.elapsed(), memory("VmRSS"));
    for once in ["first", "second"] {
        let begin = Instant::now();
        let alone =
            Request { conditions: vec![Condition::everything()], start: Some(layer.clone()), ..Request::default() };
        trace.attribute(&alone)?;
        println!("one plain way down from {layer}, {once}: {:?}", begin.elapsed());
    }
    let begin = Instant::now();
    let mut stream = trace.stream(&request)?;
    while let Some(item) = stream.next() {
        item?;
        let done = stream.progress().done;
        if done.is_power_of_two() || done == count {
            let each = begin.elapsed() / done as u32;
            println!("{done}: {each:?} each, resident {} MiB, peak {} MiB", memory("VmRSS"), memory("VmHWM"));
        }
    }
    Ok(())
}

/// Cancels the work after `delay`, and tells how long it took to end.
fn cancelled(
    attributor: &Attributor,
    input: &Tensor,
    request: &Request,
    delay: Duration,
) -> Result<(), Box<dyn Error>> {
    let cancel: Cancel = request.cancel.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(delay);
        cancel.cancel();
        Instant::now()
    });
    let outcome = attributor.attribute(input, request);
    let end = Instant::now();
    let began = thread.join().map_err(|_| "the thread that cancels failed")?;
    match outcome {
        Ok(found) => println!("{} results were there before it was cancelled", found.items.len()),
        Err(error) => println!("{error}, {:?} after the call", end.duration_since(began)),
    }
    Ok(())
}

/// A number of `/proc/self/status` in MiB; 0 where there is no such file.
fn memory(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or(0) / 1024
}
