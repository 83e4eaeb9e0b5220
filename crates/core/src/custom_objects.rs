//! Objects of the user's own that files can name, in the manner of Keras's `custom_objects`.

use crate::config::Registered;
use crate::part::Part;
use crate::registry::{Holds, Kind, Member};
use crate::schema::Definitions;
use crate::{Json, Result, json::Map};
use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;

/// Types and functions of your own, by the names they are registered under. Within
/// [`CustomObjects::scope`], JSON and files can name them.
///
/// ```
/// use sconce_core::{Config, CustomObjects};
/// # use sconce_core::{Entry, Kind, Part, Result, registry};
/// # trait Loss: Send + Sync {}
/// # struct Losses;
/// # impl Kind for Losses {
/// #     type Object = dyn Loss;
/// #     const NAME: &'static str = "loss";
/// #     const MODULE: &'static str = "keras.losses";
/// #     fn entries() -> &'static [Entry<Self>] { Self::ENTRIES }
/// # }
/// # registry! { Losses(Loss): }
///
/// /// A loss of my own.
/// #[derive(Config)]
/// #[config(package = "my_package")]
/// struct Pinball {
///     /// The quantile.
///     #[config(default = 0.5, range = "(0, 1)")]
///     quantile: f64,
/// }
/// # impl Loss for Pinball {}
///
/// let objects = CustomObjects::new().register::<Losses, Pinball>();
/// let written = Part::<Losses>::registered(Pinball::new().quantile(0.9)).to_json()?;
/// assert_eq!(written["registered_name"], "my_package>Pinball");
/// let read = objects.scope(|| Part::<Losses>::from_json(&written))?;
/// assert_eq!(read.to_json()?, written);
/// # Ok::<(), sconce_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct CustomObjects(Vec<(String, Arc<dyn Any + Send + Sync>)>);

thread_local! {
    /// The scopes around the code that runs, innermost last.
    static SCOPES: RefCell<Vec<CustomObjects>> = const { RefCell::new(Vec::new()) };
}

/// One registered type or function.
pub(crate) enum Custom<K: Kind> {
    Type {
        class_name: &'static str,
        registered_name: &'static str,
        read: fn(&Map) -> Result<Member<K>>,
        schema: fn(&mut Definitions) -> Json,
    },
    Function(Part<K>),
}

impl<K: Kind> Custom<K> {
    pub(crate) fn registered_name(&self) -> &str {
        match self {
            Self::Type { registered_name, .. } => registered_name,
            Self::Function(part) => part.name(),
        }
    }

    pub(crate) fn class_name(&self) -> &str {
        match self {
            Self::Type { class_name, .. } => class_name,
            Self::Function(_) => "function",
        }
    }

    /// The schema of its configuration; none for a function.
    pub(crate) fn schema(&self, definitions: &mut Definitions) -> Option<Json> {
        match self {
            Self::Type { schema, .. } => Some(schema(definitions)),
            Self::Function(_) => None,
        }
    }
}

impl CustomObjects {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a type under its registered name. It takes the place of an object of the same kind and
    /// name.
    pub fn register<K: Holds<T>, T: Registered>(self) -> Self {
        self.add(Custom::<K>::Type {
            class_name: T::CLASS_NAME,
            registered_name: T::REGISTERED_NAME,
            read: Member::read::<T>,
            schema: T::schema,
        })
    }

    /// Adds an object without configuration under a registered name, which Keras writes as it writes
    /// functions. See [`Part::function`].
    pub fn function<K: Kind>(self, registered_name: &str, object: Arc<K::Object>) -> Self {
        self.add(Custom::<K>::Function(Part::function(registered_name, object)))
    }

    fn add<K: Kind>(mut self, custom: Custom<K>) -> Self {
        let name = custom.registered_name().to_string();
        self.0.retain(|(other, object)| *other != name || !object.is::<Custom<K>>());
        self.0.push((name, Arc::new(custom)));
        self
    }

    /// Runs `body`, in which (on this thread) these objects are known by name. Scopes nest; the inner
    /// one's objects come first.
    pub fn scope<R>(&self, body: impl FnOnce() -> R) -> R {
        /// Leaves the scope, also when `body` panics.
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                SCOPES.with_borrow_mut(Vec::pop);
            }
        }
        SCOPES.with_borrow_mut(|scopes| scopes.push(self.clone()));
        let _leave = Leave;
        body()
    }
}

impl std::fmt::Debug for CustomObjects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CustomObjects({})", self.0.len())
    }
}

/// Whether an object of any kind is known here by this registered name.
pub fn is_registered(registered_name: &str) -> bool {
    SCOPES.with_borrow(|scopes| {
        scopes.iter().flat_map(|scope| &scope.0).any(|(name, _)| name == registered_name)
    })
}

/// Whether an object of any kind is known here whose registered name ends in this class: old files know
/// classes without a package.
pub fn is_registered_class(class_name: &str) -> bool {
    SCOPES.with_borrow(|scopes| {
        let mut names = scopes.iter().flat_map(|scope| &scope.0).map(|(name, _)| name);
        names.any(|name| name.rsplit('>').next() == Some(class_name))
    })
}

/// Whether an object of one kind is known here by this registered name.
pub fn is_registered_as<K: Kind>(registered_name: &str) -> bool {
    find::<K>(registered_name).is_some()
}

/// All objects of a kind that are known here, the innermost scope's first.
pub(crate) fn of_kind<K: Kind>() -> Vec<Arc<Custom<K>>> {
    SCOPES.with_borrow(|scopes| {
        let objects = scopes.iter().rev().flat_map(|scope| scope.0.iter());
        objects.filter_map(|(_, object)| object.clone().downcast().ok()).collect()
    })
}

/// The object of a kind that is known here by its registered name.
pub(crate) fn find<K: Kind>(registered_name: &str) -> Option<Arc<Custom<K>>> {
    of_kind::<K>().into_iter().find(|custom| custom.registered_name() == registered_name)
}
