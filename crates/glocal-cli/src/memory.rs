//! Amounts of memory: as they are written, and as the machine has them.

/// What is taken for the machine's memory where it cannot be told.
const UNKNOWN: usize = 4 << 30;

/// Reads `2GB`, `512MiB`, `1.5G`, `300000000`.
pub fn bytes(text: &str) -> Result<usize, &'static str> {
    const EXPECTED: &str = "expected a number of bytes, as 2GB, 512MiB or 300000000";
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => f64::from(1 << 10),
        "mib" => f64::from(1 << 20),
        "gib" => f64::from(1 << 30),
        "tib" => f64::from(1 << 20) * f64::from(1 << 20),
        _ => return Err(EXPECTED),
    };
    let bytes = number.parse::<f64>().map_err(|_| EXPECTED)? * factor;
    if bytes >= 1.0 && bytes.is_finite() { Ok(bytes as usize) } else { Err(EXPECTED) }
}

/// A quarter of the machine's memory, or of what a container may use of it.
pub fn quarter() -> usize {
    let total = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    total.into_iter().chain(limit).min().unwrap_or(UNKNOWN) / 4
}

/// The bytes of `MemTotal` in the text of `/proc/meminfo`.
fn total(text: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<usize>().ok()?.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read() {
        for (text, expected) in [
            ("2GB", 2_000_000_000),
            ("512MiB", 512 << 20),
            ("1.5g", 1_500_000_000),
            ("0.5 TiB", 1 << 39),
            ("300000000", 300_000_000),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "much", "-1", "0", "1.2.3GB", "5 apples", "0.1"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert_eq!(total("Foo: 1 kB\nMemTotal:       16 kB\n"), Some(16 << 10));
        assert!(quarter() > 0);
    }
}
