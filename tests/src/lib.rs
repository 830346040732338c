//! Tests of Flare as its users meet it; see the folders beside this one.
