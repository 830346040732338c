//! Handles of states: what an operator's functions read and write by.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::states::{Access, Kept};
use crate::error::Result;

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident<$($param:ident),*>) => {
        $(#[$doc])*
        pub struct $name<$($param),*> {
            index: usize,
            types: PhantomData<fn() -> ($($param,)*)>,
        }

        impl<$($param),*> $name<$($param),*> {
            pub(super) fn new(index: usize) -> Self {
                Self { index, types: PhantomData }
            }
        }

        impl<$($param),*> Clone for $name<$($param),*> {
            fn clone(&self) -> Self {
                Self::new(self.index)
            }
        }

        /// A handle that no operator has declared; it must be replaced by one of `Declare` before it is used.
        impl<$($param),*> Default for $name<$($param),*> {
            fn default() -> Self {
                Self::new(usize::MAX)
            }
        }

        impl<$($param),*> fmt::Debug for $name<$($param),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.index).finish()
            }
        }
    };
}

handle! {
    /// One value a key.
    ValueState<V>
}

impl<V: Kept> ValueState<V> {
    /// The value.
    ///
    /// # Errors
    /// When the backend cannot read it.
    pub fn get<'a, A: Access>(&self, cx: &'a mut A) -> Result<Option<&'a V>> {
        let (table, key, now) = cx.states().at::<V>(self.index);
        table.get(key, now)
    }

    /// Sets the value.
    ///
    /// # Errors
    /// When the backend cannot write it.
    pub fn set<A: Access>(&self, cx: &mut A, value: V) -> Result<()> {
        let (table, key, now) = cx.states().at::<V>(self.index);
        table.insert(key, value, now)
    }

    /// Changes the value in place, made by its `Default` where there is none, and returns what `change` returns: one
    /// access where `get` and `set` are two.
    ///
    /// # Errors
    /// When the backend cannot read or write it.
    pub fn update<A: Access, R>(&self, cx: &mut A, change: impl FnOnce(&mut V) -> R) -> Result<R>
    where
        V: Default,
    {
        self.update_or(cx, V::default, change)
    }

    /// As [`ValueState::update`], with a value made by `make` where there is none.
    ///
    /// # Errors
    /// When the backend cannot read or write it.
    pub fn update_or<A: Access, R>(
        &self,
        cx: &mut A,
        make: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> Result<R> {
        let (table, key, now) = cx.states().at::<V>(self.index);
        Ok(change(table.get_or_insert_with(key, now, make)?))
    }

    /// Takes the value out.
    ///
    /// # Errors
    /// When the backend cannot read or write it.
    pub fn take<A: Access>(&self, cx: &mut A) -> Result<Option<V>> {
        let (table, key, now) = cx.states().at::<V>(self.index);
        table.remove(key, now)
    }

    /// Forgets the value.
    ///
    /// # Errors
    /// When the backend cannot write it.
    pub fn clear<A: Access>(&self, cx: &mut A) -> Result<()> {
        self.take(cx).map(drop)
    }
}

handle! {
    /// A list a key.
    ListState<V>
}

impl<V: Kept> ListState<V> {
    /// The values in the order in which they were added.
    ///
    /// # Errors
    /// When the backend cannot read them.
    pub fn get<'a, A: Access>(&self, cx: &'a mut A) -> Result<&'a [V]> {
        let (table, key, now) = cx.states().at::<Vec<V>>(self.index);
        Ok(table.get(key, now)?.map_or(&[], Vec::as_slice))
    }

    /// Adds a value at the end.
    ///
    /// # Errors
    /// When the backend cannot write it.
    pub fn push<A: Access>(&self, cx: &mut A, value: V) -> Result<()> {
        let (table, key, now) = cx.states().at::<Vec<V>>(self.index);
        table.get_or_insert_with(key, now, Vec::new)?.push(value);
        Ok(())
    }

    /// Replaces all values; an empty list is none.
    ///
    /// # Errors
    /// When the backend cannot write them.
    pub fn set<A: Access>(&self, cx: &mut A, values: Vec<V>) -> Result<()> {
        let (table, key, now) = cx.states().at::<Vec<V>>(self.index);
        if values.is_empty() {
            table.remove(key, now)?;
        } else {
            table.insert(key, values, now)?;
        }
        Ok(())
    }

    /// Takes all values out.
    ///
    /// # Errors
    /// When the backend cannot read or write them.
    pub fn take<A: Access>(&self, cx: &mut A) -> Result<Vec<V>> {
        let (table, key, now) = cx.states().at::<Vec<V>>(self.index);
        Ok(table.remove(key, now)?.unwrap_or_default())
    }

    /// Forgets all values.
    ///
    /// # Errors
    /// When the backend cannot write.
    pub fn clear<A: Access>(&self, cx: &mut A) -> Result<()> {
        self.take(cx).map(drop)
    }
}

handle! {
    /// A map a key, in the order of its own keys.
    MapState<N, V>
}

impl<N: Ord + Kept, V: Kept> MapState<N, V> {
    /// The value under a name.
    ///
    /// # Errors
    /// When the backend cannot read it.
    pub fn get<'a, A: Access>(&self, cx: &'a mut A, name: &N) -> Result<Option<&'a V>> {
        let (table, key, now) = cx.states().at::<BTreeMap<N, V>>(self.index);
        Ok(table.get(key, now)?.and_then(|map| map.get(name)))
    }

    /// All names with their values.
    ///
    /// # Errors
    /// When the backend cannot read them.
    pub fn iter<'a, A: Access>(&self, cx: &'a mut A) -> Result<impl Iterator<Item = (&'a N, &'a V)>> {
        let (table, key, now) = cx.states().at::<BTreeMap<N, V>>(self.index);
        Ok(table.get(key, now)?.into_iter().flatten())
    }

    /// Sets the value under a name.
    ///
    /// # Errors
    /// When the backend cannot write it.
    pub fn insert<A: Access>(&self, cx: &mut A, name: N, value: V) -> Result<()> {
        let (table, key, now) = cx.states().at::<BTreeMap<N, V>>(self.index);
        table.get_or_insert_with(key, now, BTreeMap::new)?.insert(name, value);
        Ok(())
    }

    /// Changes the value under a name in place, made by its `Default` where there is none.
    ///
    /// # Errors
    /// When the backend cannot read or write it.
    pub fn update<A: Access, R>(&self, cx: &mut A, name: N, change: impl FnOnce(&mut V) -> R) -> Result<R>
    where
        V: Default,
    {
        let (table, key, now) = cx.states().at::<BTreeMap<N, V>>(self.index);
        Ok(change(table.get_or_insert_with(key, now, BTreeMap::new)?.entry(name).or_default()))
    }

    /// Takes the value under a name out.
    ///
    /// # Errors
    /// When the backend cannot read or write it.
    pub fn remove<A: Access>(&self, cx: &mut A, name: &N) -> Result<Option<V>> {
        let (table, key, now) = cx.states().at::<BTreeMap<N, V>>(self.index);
        let Some(map) = table.get_mut(key, now)? else { return Ok(None) };
        let removed = map.remove(name);
        if map.is_empty() {
            table.remove(key, now)?;
        }
        Ok(removed)
    }

    /// Forgets the map.
    ///
    /// # Errors
    /// When the backend cannot write.
    pub fn clear<A: Access>(&self, cx: &mut A) -> Result<()> {
        let (table, key, now) = cx.states().at::<BTreeMap<N, V>>(self.index);
        table.remove(key, now).map(drop)
    }
}

type Combine<A, V> = Arc<dyn Fn(&mut A, V) + Send + Sync>;

/// One value a key, into which every added value is merged.
#[derive(Clone)]
pub struct ReducingState<V> {
    value: ValueState<V>,
    reduce: Option<Combine<V, V>>,
}

impl<V: Kept> ReducingState<V> {
    pub(super) fn new(index: usize, reduce: impl Fn(&mut V, V) + Send + Sync + 'static) -> Self {
        Self { value: ValueState::new(index), reduce: Some(Arc::new(reduce)) }
    }

    /// The value.
    ///
    /// # Errors
    /// When the backend cannot read it.
    pub fn get<'a, A: Access>(&self, cx: &'a mut A) -> Result<Option<&'a V>> {
        self.value.get(cx)
    }

    /// Merges a value in.
    ///
    /// # Errors
    /// When the backend cannot read or write it.
    pub fn add<A: Access>(&self, cx: &mut A, value: V) -> Result<()> {
        let (table, key, now) = cx.states().at::<V>(self.value.index);
        match (table.get_mut(key, now)?, &self.reduce) {
            (Some(known), Some(reduce)) => {
                reduce(known, value);
                Ok(())
            }
            _ => table.insert(key, value, now),
        }
    }

    /// Forgets the value.
    ///
    /// # Errors
    /// When the backend cannot write.
    pub fn clear<A: Access>(&self, cx: &mut A) -> Result<()> {
        self.value.clear(cx)
    }
}

impl<V> Default for ReducingState<V> {
    fn default() -> Self {
        Self { value: ValueState::default(), reduce: None }
    }
}

/// One accumulator a key, into which every added value is put.
#[derive(Clone)]
pub struct AggregatingState<A, V> {
    value: ValueState<A>,
    add: Option<Combine<A, V>>,
}

impl<A: Default + Kept, V> AggregatingState<A, V> {
    pub(super) fn new(index: usize, add: impl Fn(&mut A, V) + Send + Sync + 'static) -> Self {
        Self { value: ValueState::new(index), add: Some(Arc::new(add)) }
    }

    /// The accumulator.
    ///
    /// # Errors
    /// When the backend cannot read it.
    pub fn get<'a, C: Access>(&self, cx: &'a mut C) -> Result<Option<&'a A>> {
        self.value.get(cx)
    }

    /// Puts a value in.
    ///
    /// # Errors
    /// When the backend cannot read or write it.
    pub fn add<C: Access>(&self, cx: &mut C, value: V) -> Result<()> {
        self.value.update(cx, |accumulator| {
            if let Some(add) = &self.add {
                add(accumulator, value);
            }
        })
    }

    /// Forgets the accumulator.
    ///
    /// # Errors
    /// When the backend cannot write.
    pub fn clear<C: Access>(&self, cx: &mut C) -> Result<()> {
        self.value.clear(cx)
    }
}

impl<A, V> Default for AggregatingState<A, V> {
    fn default() -> Self {
        Self { value: ValueState::default(), add: None }
    }
}
