//! The derives of Sconce: [`macro@Config`] for configurations, [`macro@ConfigValue`] for enums of words.

mod attributes;
mod config;
mod words;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct the configuration of an object, as Keras writes it.
///
/// It writes the trait `Config` (reading, writing, JSON Schema), `new` with the required arguments,
/// `Default` where none is required, and one builder method for each argument with a default, under
/// the field's doc comment. Types of fields implement `ConfigValue`. Fields are keys of the `config`
/// object, in their order.
///
/// On the struct, `#[config(..)]` takes
///
/// - `name = "Dense"`: Keras's class name, if it is not the struct's; with a const parameter `RANK`, as
///   `name = "Conv{RANK}D"`, one for each of its values from 1 to 3;
/// - `module = "keras.src.ops.numpy"`: Keras's module, if it is not that of the kind;
/// - `package = "my_package"`: the type is the user's own, and files name it `my_package>Dense`
///   (`register_keras_serializable(package="my_package")`);
/// - `part = LossFn`: `From` for that type of part, for types of the user's own;
/// - `new(units, scale)`: the arguments of `new`, if they are not the required ones; `no_new`: none is
///   written;
/// - `no_default`: `Default` is not written; `no_builders`: no builder methods;
/// - `only(quantization_config = null)`: a key that is accepted with this value only, and written after
///   the others; `read_only(..)`: one that is not written;
/// - `dtype`: Keras's key `dtype` of losses and metrics, accepted for float32;
/// - `named`: builder methods of `crate::Named<Self>` that forward to the layer's;
/// - `serde`: `Serialize` and `Deserialize` by the same code;
/// - `value`: `ConfigValue`, for objects that are members of other configurations;
/// - `crate = path`: where `sconce_core` is, if it is neither a dependency of a `sconce-` package nor
///   `sconce::core`.
///
/// On a field:
///
/// - `default = true`, `default = "relu"`, `default = Mode::FanIn` (or `default` alone, for the type's
///   `Default`): the argument is not required. `Option`s are `None` without being told; a literal
///   stands for `Some` of it;
/// - `null = "linear"`: what `null` in JSON means;
/// - `range = "[0, 1)"`: bounds of the number or numbers, in interval notation; `inf` is no bound;
/// - `key = "lambda"`: Keras's key, if it is not the field's name;
/// - `with = module`: `from_json`, `to_json` and `schema` of that module instead of the type's;
/// - `or = pool_size`: an `Option` that is written as another field if `None`;
/// - `skip_none`: not written if `None`; `skip_default`: not written if it is the default;
///   `read_only`: never written;
/// - `no_builder`: no builder method;
/// - `flatten`: the field is a configuration whose keys are keys of this one, before its own; keys that
///   are left out have the values of the field's `default`. No builder method is written, but `AsMut` for the
///   field's type, for a trait whose builder methods all such configurations have;
/// - `skip`: not part of the configuration; starts as the type's `Default`.
#[proc_macro_derive(Config, attributes(config))]
pub fn derive_config(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    config::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an enum without fields a value of configurations, written as a word: the variant's name in
/// snake case, or `#[config(name = "..")]`. `#[config(alias = "..")]` adds names that are read too,
/// and `#[config(serde)]` on the enum `Serialize` and `Deserialize`.
#[proc_macro_derive(ConfigValue, attributes(config))]
pub fn derive_config_value(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    words::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
