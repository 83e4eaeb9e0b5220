//! Numbers as Python writes them, in the files that Keras's callbacks leave.

/// Python's `repr` of a float: the fewest digits that say which one it is, and an exponent from 1e16 on
/// and below 1e-4.
pub(super) fn repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let size = value.abs();
    match value != 0.0 && !(1e-4..1e16).contains(&size) {
        true => exponent(&format!("{value:e}")),
        false if value.fract() == 0.0 => format!("{value:.1}"),
        false => format!("{value}"),
    }
}

/// "1.5e-7" as "1.5e-07".
pub(super) fn exponent(text: &str) -> String {
    let Some((digits, exponent)) = text.split_once('e') else { return text.to_string() };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(("+", exponent), |e| ("-", e));
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::repr;

    /// What Python 3 prints for the same numbers.
    #[test]
    fn numbers_are_python_s() {
        for (value, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-2.5, "-2.5"),
            (0.1, "0.1"),
            (1e-4, "0.0001"),
            (9.999999747378752e-5, "9.999999747378752e-05"),
            (5e-5, "5e-05"),
            (1e-7, "1e-07"),
            (5e-324, "5e-324"),
            (123456.5, "123456.5"),
            (1e15, "1000000000000000.0"),
            (9007199254740993.0, "9007199254740992.0"),
            (1e16, "1e+16"),
            (-3.000000081769267e16, "-3.000000081769267e+16"),
            (1e100, "1e+100"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(repr(value), expected);
        }
    }
}
