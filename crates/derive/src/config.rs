//! `#[derive(Config)]`.

use crate::attributes::{Attributes, Container, doc};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{
    Data, DeriveInput, Expr, Fields, GenericArgument, GenericParam, Generics, Ident, LitStr,
    PathArguments, Result, Type, UnOp, Visibility,
};

pub fn expand(input: &DeriveInput) -> Result<TokenStream> {
    if input.generics.params.iter().any(|p| !matches!(p, GenericParam::Const(_))) {
        let message = "a configuration can be generic over numbers only";
        return Err(syn::Error::new_spanned(&input.generics, message));
    }
    let container = Container::parse(&input.attrs)?;
    let krate = container.krate();
    let fields = fields(input)?;
    let defaults = fields.iter().filter_map(Field::default_function);
    let parts: [TokenStream; 7] = [
        constructors(input, &container, &fields)?,
        builders(input, &container, &fields),
        config(input, &container, &fields),
        registered(input, &container),
        as_mut(input, &fields),
        container.serde.then(|| serde(input)).into_iter().collect(),
        container.value.then(|| value(&input.ident, &krate)).into_iter().collect(),
    ];
    Ok(quote! {
        const _: () = {
            use #krate::config::{self, Config, Fixed, Range, Reader, Writer};
            use #krate::json::{Json, Map};
            use #krate::schema::Definitions;
            use #krate::value::ConfigValue;
            #(#defaults)*
            #(#parts)*
        };
    })
}

/// A field, and what follows from its type and attributes.
struct Field {
    ident: Ident,
    key: String,
    doc: String,
    ty: Type,
    /// The type inside `Option`.
    inner: Option<Type>,
    attributes: Attributes,
    /// Those of the struct.
    generics: Generics,
}

fn fields(input: &DeriveInput) -> Result<Vec<Field>> {
    let named = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => fields.named.iter().collect(),
            Fields::Unit => Vec::new(),
            Fields::Unnamed(_) => {
                return Err(syn::Error::new_spanned(
                    input,
                    "the fields of a configuration have names",
                ));
            }
        },
        _ => return Err(syn::Error::new_spanned(input, "Config can be derived for structs only")),
    };
    let field = |field: &syn::Field| {
        let attributes = Attributes::parse(&field.attrs)?;
        let ident = field.ident.clone().unwrap_or_else(|| format_ident!("unnamed"));
        let key = attributes.key.as_ref().map_or_else(|| ident.unraw().to_string(), LitStr::value);
        let (doc, generics) = (doc(&field.attrs), input.generics.clone());
        let ty = without_group(&field.ty).clone();
        let inner = option(&ty).cloned();
        Ok(Field { ident, key, doc, ty, inner, attributes, generics })
    };
    named.into_iter().map(field).collect()
}

/// The type itself, where it came through a fragment `$ty:ty` of a macro.
fn without_group(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => without_group(&group.elem),
        ty => ty,
    }
}

/// `T` of `Option<T>`.
fn option(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let segment = path.path.segments.last().filter(|segment| segment.ident == "Option")?;
    match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => match arguments.args.first()? {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a builder takes the type itself: `impl Into<f64>` would leave the type of a literal open.
fn is_primitive(ty: &Type) -> bool {
    const PRIMITIVES: [&str; 9] = ["bool", "usize", "u64", "u32", "u8", "i64", "i32", "f64", "f32"];
    matches!(ty, Type::Path(path) if path.path.get_ident().is_some_and(|i| PRIMITIVES.iter().any(|p| i == p)))
}

fn is_literal(value: &Expr) -> bool {
    match value {
        Expr::Lit(_) => true,
        Expr::Unary(unary) => matches!(unary.op, UnOp::Neg(_)) && is_literal(&unary.expr),
        _ => false,
    }
}

impl Field {
    fn in_config(&self) -> bool {
        !self.attributes.skip
    }

    /// A key of the configuration, not several.
    fn is_key(&self) -> bool {
        self.in_config() && !self.attributes.flatten
    }

    fn is_required(&self) -> bool {
        self.is_key() && self.attributes.default.is_none() && self.inner.is_none()
    }

    /// The type a builder or `new` sets.
    fn set_type(&self) -> &Type {
        self.inner.as_ref().unwrap_or(&self.ty)
    }

    /// A value of an attribute as one of the field's type.
    fn value(&self, value: &Expr) -> TokenStream {
        let ty = self.set_type();
        let converted = match value {
            value if is_literal(value) && !is_primitive(ty) => quote!(<#ty>::from(#value)),
            value => quote!(#value),
        };
        if self.inner.is_some() && is_literal(value) { quote!(Some(#converted)) } else { converted }
    }

    fn default_name(&self) -> Ident {
        format_ident!("default_{}", self.ident.unraw())
    }

    /// The path of the function that makes the default.
    fn default_path(&self) -> TokenStream {
        let (name, (_, generics, _)) = (self.default_name(), self.generics.split_for_impl());
        let generics = generics.as_turbofish();
        quote!(#name #generics)
    }

    /// The default as a function, for the several places that need it.
    fn default_function(&self) -> Option<TokenStream> {
        if self.is_required() || !self.in_config() {
            return None;
        }
        let (name, ty, (generics, ..)) =
            (self.default_name(), &self.ty, self.generics.split_for_impl());
        let value = match &self.attributes.default {
            Some(Some(value)) => self.value(value),
            None if self.inner.is_some() => quote!(None),
            Some(None) | None => quote!(Default::default()),
        };
        Some(quote!(fn #name #generics () -> #ty { #value }))
    }

    /// The value in a struct expression that has every default.
    fn default_value(&self) -> TokenStream {
        if self.in_config() {
            let path = self.default_path();
            quote!(#path())
        } else {
            quote!(Default::default())
        }
    }

    /// The parameter of a function that sets the field, and the value that it gives.
    fn parameter(&self) -> (TokenStream, TokenStream) {
        let (ident, ty) = (&self.ident, self.set_type());
        let (parameter, value) = if is_primitive(ty) {
            (quote!(#ident: #ty), quote!(#ident))
        } else {
            (quote!(#ident: impl Into<#ty>), quote!(#ident.into()))
        };
        let value = if self.inner.is_some() { quote!(Some(#value)) } else { value };
        (parameter, value)
    }

    /// The function that reads it.
    fn reader(&self) -> TokenStream {
        let ty = &self.ty;
        let read = match &self.attributes.with {
            Some(module) => quote!(#module::from_json),
            None => quote!(<#ty as ConfigValue>::from_json),
        };
        match &self.attributes.null {
            Some(null) => {
                let null = self.value(null);
                quote!(|value| if value.is_null() { Ok(#null) } else { #read(value) })
            }
            None => read,
        }
    }

    /// The expression that writes a reference to it.
    fn writer(&self, value: &TokenStream) -> TokenStream {
        match &self.attributes.with {
            Some(module) => quote!(#module::to_json(#value)),
            None => quote!(ConfigValue::to_json(#value)),
        }
    }

    /// The expression that writes it, or what stands for it.
    fn own_writer(&self) -> TokenStream {
        let ident = &self.ident;
        let json = self.writer(&quote!(&self.#ident));
        match &self.attributes.or {
            Some(other) => {
                quote!(if self.#ident.is_some() { #json } else { ConfigValue::to_json(&self.#other) })
            }
            None => json,
        }
    }
}

/// `new` and `Default`.
fn constructors(
    input: &DeriveInput,
    container: &Container,
    fields: &[Field],
) -> Result<TokenStream> {
    let (name, vis) = (&input.ident, &input.vis);
    let (generics, own, _) = input.generics.split_for_impl();
    let required: Vec<&Field> = fields.iter().filter(|field| field.is_required()).collect();
    let has_default = required.is_empty() && !container.no_default;
    let default = has_default.then(|| {
        let values = fields.iter().map(|field| {
            let (ident, value) = (&field.ident, field.default_value());
            quote!(#ident: #value)
        });
        quote!(impl #generics Default for #name #own { fn default() -> Self { Self { #(#values),* } } })
    });
    if container.no_new {
        return Ok(default.into_iter().collect());
    }
    let arguments = match &container.new {
        None => required,
        Some(idents) => {
            if let Some(missing) = required.iter().find(|field| !idents.contains(&field.ident)) {
                let message = "`new` needs every required argument";
                return Err(syn::Error::new_spanned(&missing.ident, message));
            }
            let find = |ident: &Ident| {
                fields
                    .iter()
                    .find(|field| field.ident == *ident)
                    .ok_or_else(|| syn::Error::new_spanned(ident, "no field has this name"))
            };
            idents.iter().map(find).collect::<Result<_>>()?
        }
    };
    let parameters = arguments.iter().map(|field| field.parameter().0);
    let values = fields.iter().map(|field| {
        let is_argument = arguments.iter().any(|argument| argument.ident == field.ident);
        let value = if is_argument { field.parameter().1 } else { field.default_value() };
        let ident = &field.ident;
        quote!(#ident: #value)
    });
    let names: Vec<String> =
        arguments.iter().map(|field| format!("`{}`", field.ident.unraw())).collect();
    let doc = match (names.as_slice(), arguments.len() < fields.len()) {
        ([], _) => "With all of the defaults.".to_string(),
        ([one], true) => format!("With {one}, and the defaults of all else."),
        ([one], false) => format!("With {one}."),
        ([first @ .., last], true) => {
            format!("With {} and {last}, and the defaults of all else.", first.join(", "))
        }
        ([first @ .., last], false) => format!("With {} and {last}.", first.join(", ")),
    };
    Ok(quote! {
        #default
        impl #generics #name #own {
            #[doc = #doc]
            #vis fn new(#(#parameters),*) -> Self {
                Self { #(#values),* }
            }
        }
    })
}

/// One method for each argument with a default.
fn builders(input: &DeriveInput, container: &Container, fields: &[Field]) -> TokenStream {
    let (name, vis) = (&input.ident, &input.vis);
    let (generics, own_generics, _) = input.generics.split_for_impl();
    let fields: Vec<&Field> = fields
        .iter()
        .filter(|field| field.is_key() && !field.is_required())
        .filter(|field| !field.attributes.no_builder && !field.attributes.read_only)
        .collect();
    if fields.is_empty() || container.no_builders {
        return TokenStream::new();
    }
    let own = fields.iter().map(|field| {
        let (ident, doc, (parameter, value)) = (&field.ident, &field.doc, field.parameter());
        quote! {
            #[doc = #doc]
            #vis fn #ident(mut self, #parameter) -> Self {
                self.#ident = #value;
                self
            }
        }
    });
    let named = container.named.then(|| forwarded(input, vis, &fields));
    quote! {
        impl #generics #name #own_generics { #(#own)* }
        #named
    }
}

/// The same methods on `Named<Self>`.
fn forwarded(input: &DeriveInput, vis: &Visibility, fields: &[&Field]) -> TokenStream {
    let (name, (generics, own, _)) = (&input.ident, input.generics.split_for_impl());
    let methods = fields.iter().map(|field| {
        let (ident, doc, (parameter, _)) = (&field.ident, &field.doc, field.parameter());
        quote! {
            #[doc = #doc]
            #vis fn #ident(self, #parameter) -> Self {
                self.map(|layer| layer.#ident(#ident))
            }
        }
    });
    quote!(impl #generics crate::Named<#name #own> { #(#methods)* })
}

/// The trait `Config`.
fn config(input: &DeriveInput, container: &Container, fields: &[Field]) -> TokenStream {
    let (name, krate) = (&input.ident, container.krate());
    let (generics, own, _) = input.generics.split_for_impl();
    let class_name = class_name(input, container);
    let doc = doc(&input.attrs);
    let descriptions = fields.iter().filter(|field| field.is_key()).map(description);
    let flattened: Vec<&Field> = fields.iter().filter(|f| f.attributes.flatten).collect();
    let only = container.only.iter().map(|(key, value, written)| {
        let key = key.unraw().to_string();
        quote!(Fixed::Only { key: #key, value: || #value, written: #written })
    });
    let fixed = only.chain(container.dtype.then(|| quote!(Fixed::Dtype)));
    let read = fields.iter().map(|field| {
        let (ident, key, from_json) = (&field.ident, &field.key, field.reader());
        if !field.in_config() {
            return quote!(#ident: Default::default());
        }
        if field.is_required() {
            return quote!(#ident: reader.required(#key, #from_json)?);
        }
        let default = field.default_path();
        if field.attributes.flatten {
            return quote!(#ident: reader.flattened(#default)?);
        }
        quote!(#ident: reader.optional(#key, #from_json, #default)?)
    });
    let write_flattened = flattened.iter().map(|field| {
        let ident = &field.ident;
        quote!(writer.flatten(Config::to_config(&self.#ident)?);)
    });
    let write = fields.iter().filter(|f| f.is_key() && !f.attributes.read_only).map(|field| {
        let (ident, key) = (&field.ident, &field.key);
        let json = field.own_writer();
        let write = quote!(writer.write(#key, #json)?;);
        match field.attributes {
            Attributes { skip_none: true, .. } => quote!(if self.#ident.is_some() { #write }),
            Attributes { skip_default: true, .. } => {
                let default = field.default_path();
                quote!(if self.#ident != #default() { #write })
            }
            _ => write,
        }
    });
    let checks = fields.iter().filter_map(|field| {
        let (ident, key, range) = (&field.ident, &field.key, field.attributes.range.as_ref()?);
        Some(quote!(#range.check(#key, &self.#ident)?;))
    });
    let check_flattened = flattened.iter().map(|field| {
        let ident = &field.ident;
        quote!(Config::check_ranges(&self.#ident)?;)
    });
    let checks: Vec<TokenStream> = check_flattened.chain(checks).collect();
    let (check, check_read) = if checks.is_empty() {
        (None, None)
    } else {
        let check = quote! {
            fn check_ranges(&self) -> #krate::Result<()> {
                #(#checks)*
                Ok(())
            }
        };
        (Some(check), Some(quote!(Config::check_ranges(&value)?;)))
    };
    let module = container
        .module
        .as_ref()
        .map(|module| quote!(const MODULE: Option<&'static str> = Some(#module);));
    let flattened = (!flattened.is_empty()).then(|| {
        let rows = flattened.iter().map(|field| {
            let (ty, default) = (&field.ty, field.default_path());
            quote! {
                config::Flattened {
                    fields: <#ty as Config>::FIELDS,
                    defaults: || Config::to_config(&#default()),
                }
            }
        });
        quote!(const FLATTENED: &'static [config::Flattened] = &[#(#rows),*];)
    });
    let registered = container.package.as_ref().map(|package| {
        let registered_name = format!("{}>{}", package.value(), plain_name(input, container));
        quote!(const REGISTERED: Option<&'static str> = Some(#registered_name);)
    });
    // A struct without fields reads and writes nothing.
    let reader =
        format_ident!("{}reader", if fields.iter().any(Field::in_config) { "" } else { "_" });
    quote! {
        impl #generics Config for #name #own {
            const CLASS_NAME: &'static str = #class_name;
            #module
            #registered
            const DOC: &'static str = #doc;
            const FIELDS: &'static [config::Field] = &[#(#descriptions),*];
            const FIXED: &'static [Fixed] = &[#(#fixed),*];
            #flattened

            fn from_config(config: &Map) -> #krate::Result<Self> {
                let #reader = Reader::new::<Self>(config)?;
                let value = Self { #(#read),* };
                #check_read
                Ok(value)
            }

            #[allow(unused_mut)]
            fn to_config(&self) -> #krate::Result<Map> {
                let mut writer = Writer::default();
                #(#write_flattened)*
                #(#write)*
                Ok(writer.finish(Self::FIXED))
            }

            #check
        }
    }
}

/// The class name that is stated, or else that of the struct.
fn plain_name(input: &DeriveInput, container: &Container) -> String {
    container.name.as_ref().map_or_else(|| input.ident.to_string(), LitStr::value)
}

/// Keras's class name. The name of a const parameter in braces stands for its value, from 1 to 3.
fn class_name(input: &DeriveInput, container: &Container) -> TokenStream {
    let name = plain_name(input, container);
    let Some(parameter) = input.generics.const_params().next().map(|parameter| &parameter.ident)
    else {
        return quote!(#name);
    };
    let of = |value: &str| name.replace(&format!("{{{parameter}}}"), value);
    let (one, two, three) = (of("1"), of("2"), of("3"));
    quote!(match #parameter { 1 => #one, 2 => #two, _ => #three })
}

/// A row of `Config::FIELDS`.
fn description(field: &Field) -> TokenStream {
    let (key, doc, ty) = (&field.key, &field.doc, &field.ty);
    let schema = match &field.attributes.with {
        Some(module) => quote!(#module::schema),
        None => quote!(<#ty as ConfigValue>::schema),
    };
    let default = if field.is_required() {
        quote!(None)
    } else {
        let path = field.default_path();
        let json = field.writer(&quote!(&#path()));
        quote!(Some(|| #json))
    };
    let range = match &field.attributes.range {
        Some(range) => quote!(Some(#range)),
        None => quote!(None),
    };
    let null = field.attributes.null.is_some();
    quote! {
        config::Field {
            key: #key, doc: #doc, schema: #schema, default: #default, range: #range, null: #null,
        }
    }
}

/// `Registered`, and `From` for a part.
fn registered(input: &DeriveInput, container: &Container) -> TokenStream {
    let (name, krate) = (&input.ident, container.krate());
    let Some(package) = &container.package else { return TokenStream::new() };
    let registered_name = format!("{}>{}", package.value(), plain_name(input, container));
    let part = container.part.as_ref().map(|part| {
        quote! {
            impl From<#name> for #part {
                fn from(value: #name) -> Self {
                    Self::registered(value)
                }
            }
        }
    });
    quote! {
        impl #krate::Registered for #name {
            const REGISTERED_NAME: &'static str = #registered_name;
        }
        #part
    }
}

/// `AsMut` for each flattened configuration.
fn as_mut(input: &DeriveInput, fields: &[Field]) -> TokenStream {
    let (name, (generics, own, _)) = (&input.ident, input.generics.split_for_impl());
    let flattened = fields.iter().filter(|field| field.attributes.flatten);
    flattened
        .map(|field| {
            let (ident, ty) = (&field.ident, &field.ty);
            quote! {
                impl #generics AsMut<#ty> for #name #own {
                    fn as_mut(&mut self) -> &mut #ty {
                        &mut self.#ident
                    }
                }
            }
        })
        .collect()
}

/// `Serialize` and `Deserialize` by way of `Config`.
fn serde(input: &DeriveInput) -> TokenStream {
    let name = &input.ident;
    quote! {
        impl config::Serialize for #name {
            fn serialize<S: config::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                config::serialize(self, serializer)
            }
        }
        impl<'de> config::Deserialize<'de> for #name {
            fn deserialize<D: config::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                config::deserialize(deserializer)
            }
        }
    }
}

/// `ConfigValue` by way of `Config`.
fn value(name: &Ident, krate: &TokenStream) -> TokenStream {
    quote! {
        impl ConfigValue for #name {
            fn from_json(value: &Json) -> #krate::Result<Self> {
                config::value_from_json(value)
            }
            fn to_json(&self) -> #krate::Result<Json> {
                self.to_config().map(Json::Object)
            }
            fn schema(definitions: &mut Definitions) -> Json {
                definitions.config::<Self>()
            }
        }
    }
}
