//! Example jobs: see the folders beside this file.
