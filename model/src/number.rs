//! Doubles as text: the shortest form that reads back as the same double.

/// Appends the shortest text that reads back as exactly `value`; minus zero is
/// written as zero, so that equal results are equal bytes.
///
/// # Panics
/// Never; values that are not finite are written as Rust prints them and are
/// kept out long before by the checks on bars.
pub fn push_f64(out: &mut String, value: f64) {
    use std::fmt::Write;
    let value = if value == 0.0 { 0.0 } else { value };
    let _ = write!(out, "{value}");
}

/// [`push_f64`] into a new string.
pub fn f64_text(value: f64) -> String {
    let mut out = String::new();
    push_f64(&mut out, value);
    out
}

#[cfg(test)]
mod tests {
    use super::f64_text;

    #[test]
    fn doubles_read_back_bit_for_bit() {
        for value in [0.1 + 0.2, 1e-5, 5e-324, f64::MAX, 0.000_312_415_150_803, -1.5] {
            assert_eq!(f64_text(value).parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }

    #[test]
    fn minus_zero_is_zero_and_whole_numbers_have_no_point() {
        assert_eq!(f64_text(-0.0), "0");
        assert_eq!(f64_text(20_000.0), "20000");
    }
}
