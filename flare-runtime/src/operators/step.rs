//! Stateless operators, composed by type so that a row of them costs one pass over a batch.
//!
//! Each operator holds the one before it and hands it a closure that continues with its own work; the compiler inlines
//! the whole row into one loop, as it does with iterator adaptors.

use serde::Serialize;

use crate::api::StageContext;
use crate::error::{BoxError, Error};

/// A row of fused operators, from the records of a stage's head to its output.
pub trait Step: Clone + Send + 'static {
    /// What the stage's head gives.
    type In: Send + 'static;
    /// What comes out.
    type Out: Send + 'static;
    /// Number of operators in the row; an operator's place in it is the length of the row before it.
    const LENGTH: usize;

    /// Processes one record; `emit` is called once for every record that comes out.
    fn run<E: FnMut(Self::Out, &mut StageContext)>(
        &mut self,
        item: Self::In,
        cx: &mut StageContext,
        emit: &mut E,
    );
}

/// The empty row.
pub struct Identity<T>(std::marker::PhantomData<fn(T) -> T>);

impl<T> Default for Identity<T> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<T> Clone for Identity<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T: Send + 'static> Step for Identity<T> {
    type In = T;
    type Out = T;
    const LENGTH: usize = 0;

    #[inline(always)]
    fn run<E: FnMut(T, &mut StageContext)>(&mut self, item: T, cx: &mut StageContext, emit: &mut E) {
        emit(item, cx);
    }
}

macro_rules! operator {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name<S, F> {
            before: S,
            function: F,
        }

        impl<S, F> $name<S, F> {
            pub(crate) fn new(before: S, function: F) -> Self {
                Self { before, function }
            }
        }
    };
}

operator! {
    /// One record to one record.
    Map
}

impl<S, F, U> Step for Map<S, F>
where
    S: Step,
    F: FnMut(S::Out) -> U + Clone + Send + 'static,
    U: Send + 'static,
{
    type In = S::In;
    type Out = U;
    const LENGTH: usize = S::LENGTH + 1;

    #[inline(always)]
    fn run<E: FnMut(U, &mut StageContext)>(&mut self, item: S::In, cx: &mut StageContext, emit: &mut E) {
        let function = &mut self.function;
        self.before.run(item, cx, &mut |item, cx| {
            let item = cx.blame(S::LENGTH, || function(item));
            emit(item, cx);
        });
    }
}

operator! {
    /// Keeps the records for which the function says so.
    Filter
}

impl<S, F> Step for Filter<S, F>
where
    S: Step,
    F: FnMut(&S::Out) -> bool + Clone + Send + 'static,
{
    type In = S::In;
    type Out = S::Out;
    const LENGTH: usize = S::LENGTH + 1;

    #[inline(always)]
    fn run<E: FnMut(S::Out, &mut StageContext)>(&mut self, item: S::In, cx: &mut StageContext, emit: &mut E) {
        let function = &mut self.function;
        self.before.run(item, cx, &mut |item, cx| {
            if cx.blame(S::LENGTH, || function(&item)) {
                emit(item, cx);
            }
        });
    }
}

operator! {
    /// Looks at each record and passes it on.
    Inspect
}

impl<S, F> Step for Inspect<S, F>
where
    S: Step,
    F: FnMut(&S::Out) + Clone + Send + 'static,
{
    type In = S::In;
    type Out = S::Out;
    const LENGTH: usize = S::LENGTH + 1;

    #[inline(always)]
    fn run<E: FnMut(S::Out, &mut StageContext)>(&mut self, item: S::In, cx: &mut StageContext, emit: &mut E) {
        let function = &mut self.function;
        self.before.run(item, cx, &mut |item, cx| {
            cx.blame(S::LENGTH, || function(&item));
            emit(item, cx);
        });
    }
}

operator! {
    /// One record to any number of records.
    FlatMap
}

impl<S, F, I> Step for FlatMap<S, F>
where
    S: Step,
    F: FnMut(S::Out) -> I + Clone + Send + 'static,
    I: IntoIterator,
    I::Item: Send + 'static,
{
    type In = S::In;
    type Out = I::Item;
    const LENGTH: usize = S::LENGTH + 1;

    #[inline(always)]
    fn run<E: FnMut(I::Item, &mut StageContext)>(
        &mut self,
        item: S::In,
        cx: &mut StageContext,
        emit: &mut E,
    ) {
        let function = &mut self.function;
        self.before.run(item, cx, &mut |item, cx| {
            let mut items = cx.blame(S::LENGTH, || function(item).into_iter());
            while let Some(item) = cx.blame(S::LENGTH, || items.next()) {
                emit(item, cx);
            }
        });
    }
}

operator! {
    /// One record to one record, or to the dirty-data output.
    TryMap
}

impl<S, F, U, X> Step for TryMap<S, F>
where
    S: Step,
    S::Out: Serialize,
    F: FnMut(&S::Out) -> Result<U, X> + Clone + Send + 'static,
    X: Into<BoxError>,
    U: Send + 'static,
{
    type In = S::In;
    type Out = U;
    const LENGTH: usize = S::LENGTH + 1;

    #[inline(always)]
    fn run<E: FnMut(U, &mut StageContext)>(&mut self, item: S::In, cx: &mut StageContext, emit: &mut E) {
        let function = &mut self.function;
        self.before.run(item, cx, &mut |item, cx| match cx.blame(S::LENGTH, || function(&item)) {
            Ok(item) => emit(item, cx),
            Err(error) => reject(&item, error.into(), S::LENGTH, cx),
        });
    }
}

#[cold]
fn reject<T: Serialize>(item: &T, error: BoxError, place: usize, cx: &mut StageContext) {
    let raw = serde_json::to_vec(item).unwrap_or_default();
    let error = match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(error) => Error::bad_record("the record cannot be converted").caused_by(error),
    };
    cx.reject(place, raw, error);
}
