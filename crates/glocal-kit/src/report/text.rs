//! Words and numbers as they stand in the page.

/// Escapes text for element content and quoted attributes. Control characters other than line breaks and tabs, which no
/// HTML document may hold, become the replacement character.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(letter),
            control if control.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A number with four significant digits; very large and very small ones with a power of ten.
pub(super) fn number(value: f64) -> String {
    if value.is_nan() {
        return "not a number".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    // The exponent after rounding: 9.9999 has two digits before the point.
    let scientific = format!("{:.3e}", value.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = match exponent.parse::<i32>() {
        _ if value.is_infinite() => "∞".to_owned(),
        Ok(exponent @ -3..=4) => format!("{:.*}", (3 - exponent).max(0) as usize, value.abs()),
        _ => format!("{mantissa} × 10<sup>{}</sup>", exponent.replace('-', MINUS)),
    };
    format!("{}{digits}", if value < 0.0 { MINUS } else { "" })
}

/// A fraction as a percentage with one decimal; a tiny one as less than the smallest that can be shown.
pub(super) fn percent(fraction: f32) -> String {
    let value = f64::from(fraction) * 100.0;
    match value {
        value if value.is_nan() => "not a number".to_owned(),
        value if value > 0.0 && value < 0.05 => "&lt; 0.1 %".to_owned(),
        value if (99.95..100.0).contains(&value) => "&gt; 99.9 %".to_owned(),
        value => format!("{}{:.1} %", if value < 0.0 { MINUS } else { "" }, value.abs()),
    }
}

/// A share with its sign; a tiny one as closer to zero than the smallest that can be shown.
pub(crate) fn signed_percent(fraction: f32) -> String {
    match fraction {
        fraction if fraction > 0.0 && fraction < 0.0005 => "&lt; +0.1 %".to_owned(),
        fraction if fraction < 0.0 && fraction > -0.0005 => format!("&gt; {MINUS}0.1 %"),
        fraction if fraction > 0.0 => format!("+{}", percent(fraction)),
        fraction => percent(fraction),
    }
}

const MINUS: &str = "\u{2212}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_lose_their_meaning() {
        assert_eq!(escape(r#"<img src="x" onerror='y'>&"#), "&lt;img src=&quot;x&quot; onerror=&#39;y&#39;&gt;&amp;");
        assert_eq!(escape("a\0b\u{1b}c\u{85}d\ne"), "a\u{fffd}b\u{fffd}c\u{fffd}d\ne");
    }

    #[test]
    fn numbers_have_four_digits() {
        let cases = [
            (0.0, "0"),
            (12.345_67, "12.35"),
            (-0.5, "−0.5000"),
            (99_994.0, "99994"),
            (0.099_999_999, "0.1000"),
            (9.9999, "10.00"),
            (0.001_234_5, "0.001234"),
            (1.5e-7, "1.500 × 10<sup>−7</sup>"),
            (-2e9, "−2.000 × 10<sup>9</sup>"),
            (5e-324, "4.941 × 10<sup>−324</sup>"),
            (f64::NAN, "not a number"),
            (f64::NEG_INFINITY, "−∞"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn percentages_never_round_to_certainty_or_to_nothing() {
        let cases =
            [(0.0, "0.0 %"), (0.0001, "&lt; 0.1 %"), (0.123_4, "12.3 %"), (0.9999, "&gt; 99.9 %"), (1.0, "100.0 %")];
        for (value, expected) in cases {
            assert_eq!(percent(value), expected);
        }
        let cases = [
            (0.0, "0.0 %"),
            (0.25, "+25.0 %"),
            (1.0, "+100.0 %"),
            (-0.0, "0.0 %"),
            (-0.25, "−25.0 %"),
            (1e-6, "&lt; +0.1 %"),
            (-1e-6, "&gt; −0.1 %"),
        ];
        for (value, expected) in cases {
            assert_eq!(signed_percent(value), expected);
        }
        assert_eq!(signed_percent(f32::NAN), "not a number");
    }
}
