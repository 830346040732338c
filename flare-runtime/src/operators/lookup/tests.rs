//! The lookup operator as a whole, against scripted lookups.
