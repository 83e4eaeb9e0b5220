//! `#[derive(ConfigValue)]`.

use crate::attributes::{Container, each};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields, LitStr, Result};

pub fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(syn::Error::new_spanned(input, "ConfigValue can be derived for enums only"));
    };
    let container = Container::parse(&input.attrs)?;
    let (krate, name) = (container.krate(), &input.ident);
    let mut words = Vec::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(syn::Error::new_spanned(variant, "a word cannot hold fields"));
        }
        let mut word: Option<LitStr> = None;
        let mut aliases: Vec<LitStr> = Vec::new();
        each(&variant.attrs, |meta| {
            if meta.path.is_ident("name") {
                word = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("alias") {
                aliases.push(meta.value()?.parse()?);
            } else {
                return Err(meta.error("unknown attribute of a word"));
            }
            Ok(())
        })?;
        let ident = &variant.ident;
        let word = word.map_or_else(|| snake_case(&ident.to_string()), |word| word.value());
        words.push(quote!((#name::#ident, #word, &[#(#aliases),*])));
    }
    let first = data.variants.iter().enumerate().map(|(i, variant)| {
        let ident = &variant.ident;
        quote!(#name::#ident => #i)
    });
    let serde = container.serde.then(|| serde(name, &krate));
    Ok(quote! {
        const _: () = {
            use #krate::value::{ConfigValue, Words, word, words_schema};
            const WORDS: &Words<#name> = &[#(#words),*];
            impl ConfigValue for #name {
                fn from_json(value: &#krate::Json) -> #krate::Result<Self> {
                    word(value, WORDS)
                }
                fn to_json(&self) -> #krate::Result<#krate::Json> {
                    let index = match self { #(#first),* };
                    Ok(WORDS[index].1.into())
                }
                fn schema(_: &mut #krate::schema::Definitions) -> #krate::Json {
                    words_schema(WORDS)
                }
            }
            #serde
        };
    })
}

/// `Serialize` and `Deserialize` by way of `ConfigValue`.
fn serde(name: &syn::Ident, krate: &TokenStream) -> TokenStream {
    quote! {
        impl #krate::value::Serialize for #name {
            fn serialize<S: #krate::value::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                #krate::value::serialize(self, s)
            }
        }
        impl<'de> #krate::value::Deserialize<'de> for #name {
            fn deserialize<D: #krate::value::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                #krate::value::deserialize(d)
            }
        }
    }
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_uppercase() && i > 0 {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}
