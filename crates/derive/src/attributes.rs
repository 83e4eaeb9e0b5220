//! What `#[config(..)]` says.

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Expr, Ident, Lit, LitStr, Path, Result, Type, parenthesized};

/// `#[config(..)]` of a struct or enum.
#[derive(Default)]
pub struct Container {
    pub name: Option<LitStr>,
    pub package: Option<LitStr>,
    pub module: Option<LitStr>,
    pub part: Option<Type>,
    pub new: Option<Vec<Ident>>,
    pub no_new: bool,
    pub no_default: bool,
    pub no_builders: bool,
    pub only: Vec<(Ident, TokenStream, bool)>,
    pub dtype: bool,
    pub named: bool,
    pub serde: bool,
    pub value: bool,
    krate: Option<Path>,
}

impl Container {
    pub fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut out = Self::default();
        each(attributes, |meta| {
            let key = key(&meta)?;
            match key.as_str() {
                "name" => out.name = Some(meta.value()?.parse()?),
                "module" => out.module = Some(meta.value()?.parse()?),
                "package" => out.package = Some(meta.value()?.parse()?),
                "part" => out.part = Some(meta.value()?.parse()?),
                "new" => out.new = Some(idents(&meta)?),
                "no_new" => out.no_new = true,
                "no_default" => out.no_default = true,
                "no_builders" => out.no_builders = true,
                "only" | "read_only" => meta.parse_nested_meta(|inner| {
                    let key = inner.path.require_ident()?.clone();
                    out.only.push((
                        key,
                        json(&inner.value()?.parse()?)?,
                        meta.path.is_ident("only"),
                    ));
                    Ok(())
                })?,
                "dtype" => out.dtype = true,
                "named" => out.named = true,
                "serde" => out.serde = true,
                "value" => out.value = true,
                "crate" => out.krate = Some(meta.value()?.call(Path::parse_mod_style)?),
                _ => return Err(meta.error("unknown attribute of a configuration")),
            }
            Ok(())
        })?;
        Ok(out)
    }

    /// Where `sconce_core` is.
    pub fn krate(&self) -> TokenStream {
        if let Some(path) = &self.krate {
            return quote!(#path);
        }
        // Packages of the workspace depend on `sconce-core`, users on the facade.
        match std::env::var("CARGO_PKG_NAME") {
            Ok(package) if package.starts_with("sconce-") => quote!(::sconce_core),
            _ => quote!(::sconce::core),
        }
    }
}

/// `#[config(..)]` of a field.
#[derive(Default)]
pub struct Attributes {
    /// `Some(None)`: the type's `Default`.
    pub default: Option<Option<Expr>>,
    pub null: Option<Expr>,
    pub range: Option<TokenStream>,
    pub key: Option<LitStr>,
    pub with: Option<Path>,
    pub or: Option<Ident>,
    pub skip_none: bool,
    pub skip_default: bool,
    pub read_only: bool,
    pub no_builder: bool,
    pub skip: bool,
    pub flatten: bool,
}

impl Attributes {
    pub fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut out = Self::default();
        each(attributes, |meta| {
            let key = key(&meta)?;
            match key.as_str() {
                "default" if meta.input.peek(syn::Token![=]) => {
                    out.default = Some(Some(meta.value()?.parse()?));
                }
                "default" => out.default = Some(None),
                "null" => out.null = Some(meta.value()?.parse()?),
                "range" => out.range = Some(range(&meta.value()?.parse()?)?),
                "key" => out.key = Some(meta.value()?.parse()?),
                "with" => out.with = Some(meta.value()?.call(Path::parse_mod_style)?),
                "or" => out.or = Some(meta.value()?.parse()?),
                "skip_none" => out.skip_none = true,
                "skip_default" => out.skip_default = true,
                "read_only" => out.read_only = true,
                "no_builder" => out.no_builder = true,
                "skip" => out.skip = true,
                "flatten" => out.flatten = true,
                _ => return Err(meta.error("unknown attribute of a configuration's field")),
            }
            Ok(())
        })?;
        Ok(out)
    }
}

/// Calls `read` for each `key` or `key = value` of `#[config(..)]`.
pub fn each(
    attributes: &[Attribute],
    mut read: impl FnMut(ParseNestedMeta) -> Result<()>,
) -> Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("config")) {
        attribute.parse_nested_meta(&mut read)?;
    }
    Ok(())
}

fn key(meta: &ParseNestedMeta) -> Result<String> {
    Ok(meta.path.require_ident()?.to_string())
}

fn idents(meta: &ParseNestedMeta) -> Result<Vec<Ident>> {
    let content;
    parenthesized!(content in meta.input);
    let list = content.parse_terminated(|input| input.parse::<Ident>(), syn::Token![,])?;
    Ok(list.into_iter().collect())
}

/// `null`, or a literal, as code that makes a JSON value.
fn json(value: &Expr) -> Result<TokenStream> {
    match value {
        Expr::Path(path) if path.path.is_ident("null") => Ok(quote!(Json::Null)),
        Expr::Lit(literal) => Ok(quote!(Json::from(#literal))),
        other => Err(syn::Error::new_spanned(other, "must be `null` or a literal")),
    }
}

/// `"[0, inf)"` as code that makes a `Range`.
fn range(text: &LitStr) -> Result<TokenStream> {
    parse_range(&text.value()).ok_or_else(|| {
        let message = "must be an interval such as \"[0, 1]\", \"(0, inf)\" or \"(-inf, inf)\"";
        syn::Error::new(text.span(), message)
    })
}

fn parse_range(text: &str) -> Option<TokenStream> {
    let low_open = text.starts_with('(');
    let high_open = text.ends_with(')');
    let inner = text.strip_prefix(['(', '['])?.strip_suffix([')', ']'])?;
    let (low, high) = inner.split_once(',')?;
    let bound = |text: &str| text.trim().parse::<f64>().ok().filter(|bound| !bound.is_nan());
    let code = |bound: f64| match bound {
        f64::INFINITY => quote!(f64::INFINITY),
        f64::NEG_INFINITY => quote!(f64::NEG_INFINITY),
        bound => quote!(#bound),
    };
    let (low, high) = (code(bound(low)?), code(bound(high)?));
    Some(quote!(Range { low: #low, low_open: #low_open, high: #high, high_open: #high_open }))
}

/// The text of doc comments, without the space after `///`.
pub fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter(|a| a.path().is_ident("doc")).filter_map(|attribute| {
        match &attribute.meta.require_name_value().ok()?.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(line) => Some(line.value()),
                _ => None,
            },
            _ => None,
        }
    });
    let lines: Vec<String> =
        lines.map(|line| line.strip_prefix(' ').map_or(line.clone(), str::to_string)).collect();
    lines.join("\n")
}
