//! Parameters of statements that user code runs.

use crate::model::{IntoValue, Value};

/// What is bound to the `?` of a statement, in order: a tuple, an array, a slice or a `Vec` of values; `()` for none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no list of parameters",
    label = "not a list of parameters",
    note = "write a tuple such as `(id, name)`; a single parameter is `(id,)`, none is `()`"
)]
pub trait IntoParams {
    /// The values in the order of the placeholders.
    fn into_params(self) -> Vec<Value>;
}

impl<T: IntoValue, const N: usize> IntoParams for [T; N] {
    fn into_params(self) -> Vec<Value> {
        self.into_iter().map(T::into_value).collect()
    }
}

impl<T: IntoValue + Clone> IntoParams for &[T] {
    fn into_params(self) -> Vec<Value> {
        self.iter().cloned().map(T::into_value).collect()
    }
}

impl<T: IntoValue> IntoParams for Vec<T> {
    fn into_params(self) -> Vec<Value> {
        self.into_iter().map(T::into_value).collect()
    }
}

impl IntoParams for () {
    fn into_params(self) -> Vec<Value> {
        Vec::new()
    }
}

macro_rules! tuples {
    ($($name:ident)*) => {
        impl<$($name: IntoValue),*> IntoParams for ($($name,)*) {
            fn into_params(self) -> Vec<Value> {
                #[allow(non_snake_case, reason = "one name for a type and its value")]
                let ($($name,)*) = self;
                vec![$($name.into_value()),*]
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
tuples!(A B C D E F G H I);
tuples!(A B C D E F G H I J);
tuples!(A B C D E F G H I J K);
tuples!(A B C D E F G H I J K L);
