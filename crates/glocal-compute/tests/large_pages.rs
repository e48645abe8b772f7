//! The heap of a program that keeps freed memory asks for large pages, for what it grows by, too.
//!
//! Without the harness, whose threads have heaps of their own.

/// Whether the system was asked for large pages at `address`; `None` where there are none to ask for.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn asked_for(address: usize) -> Option<bool> {
    std::fs::metadata("/sys/kernel/mm/transparent_hugepage").ok()?;
    let maps = std::fs::read_to_string("/proc/self/smaps").ok()?;
    let mut inside = false;
    for line in maps.lines() {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some((start, end)) = first.split_once('-') {
            let [start, end] = [start, end].map(|bound| usize::from_str_radix(bound, 16).unwrap());
            inside = (start..end).contains(&address);
        } else if first == "VmFlags:" && inside {
            return Some(rest.split_whitespace().any(|flag| flag == "hg"));
        }
    }
    panic!("{address:x} is not mapped")
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn main() {
    /// Below the size that gets pages of its own, and the smallest that holds a whole large page.
    const ELEMENTS: usize = 200 << 10;
    const COUNT: usize = 160;
    glocal_compute::keep_freed_memory();
    let tensors: Vec<_> = (0..COUNT).map(|_| glocal_compute::Tensor::zeros([ELEMENTS]).unwrap()).collect();
    for (index, tensor) in tensors.iter().enumerate() {
        let answer = asked_for(tensor.data().as_ptr().addr());
        if answer.is_none() {
            println!("skipped: this system has no large pages");
            return;
        }
        assert_eq!(answer, Some(true), "tensor {index} of {COUNT}");
        assert!(tensor.data().iter().all(|&element| element == 0.0));
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn main() {}
