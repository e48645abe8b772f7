//! The heap of a program that keeps freed memory asks for large pages, for what it grows by, too.
//!
//! Without the harness, whose threads have heaps of their own.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// Below the size that gets pages of its own; all are far more than the heap has at its start.
    const ELEMENTS: usize = 200 << 10;
    const COUNT: usize = 160;
    let told = std::fs::read_to_string("/proc/self/smaps").is_ok_and(|maps| maps.contains("VmFlags:"));
    if !told || std::fs::metadata("/sys/kernel/mm/transparent_hugepage").is_err() {
        println!("skipped: this system has no large pages, or does not tell");
        return Ok(());
    }
    glocal_compute::keep_freed_memory();
    let tensors = (0..COUNT).map(|_| glocal_compute::Tensor::zeros([ELEMENTS])).collect::<Result<Vec<_>, _>>()?;
    let asked = asked_for()?;
    for (index, tensor) in tensors.iter().enumerate() {
        // The first begins in what the heap had at its start, which may have pages already.
        let middle = tensor.data()[ELEMENTS / 2..].as_ptr().addr();
        assert!(asked.iter().any(|range| range.contains(&middle)), "tensor {index} of {COUNT}: {middle:x}");
        assert!(tensor.data().iter().all(|&element| element == 0.0));
    }
    Ok(())
}

/// The addresses for which the system was asked for large pages.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn asked_for() -> Result<Vec<std::ops::Range<usize>>, Box<dyn std::error::Error>> {
    let maps = std::fs::read_to_string("/proc/self/smaps")?;
    let (mut asked, mut current) = (Vec::new(), 0..0);
    for line in maps.lines() {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some((start, end)) = first.split_once('-') {
            current = usize::from_str_radix(start, 16)?..usize::from_str_radix(end, 16)?;
        } else if first == "VmFlags:" && rest.split_whitespace().any(|flag| flag == "hg") {
            asked.push(current.clone());
        }
    }
    Ok(asked)
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn main() {}
