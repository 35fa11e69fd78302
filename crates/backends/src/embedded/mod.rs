//! Embedded adapters: nothing to install.
