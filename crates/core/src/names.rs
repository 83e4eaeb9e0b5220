//! Keras's names of objects.

/// Keras's `to_snake_case`: "InputLayer" to "input_layer", "Conv2D" to "conv2d".
pub fn snake_case(class_name: &str) -> String {
    let chars: Vec<char> =
        class_name.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| chars.get(i));
        let after = chars.get(i + 1);
        let starts_word = c.is_uppercase()
            && before.is_some_and(|b| b.is_lowercase() || after.is_some_and(|a| a.is_lowercase()));
        if starts_word {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// [`snake_case`] of a type's name, without its path and parameters: the default name of a user's own
/// objects.
pub fn snake_case_of<T: ?Sized>() -> String {
    let name = std::any::type_name::<T>();
    let name = name.split_once('<').map_or(name, |(name, _)| name);
    snake_case(name.rsplit("::").next().unwrap_or(name))
}
