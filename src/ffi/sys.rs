//! The raw bindings, made by bindgen from `wrapper.h`; `build.rs` holds the exact list of names.
#![allow(non_upper_case_globals, non_camel_case_types, non_snake_case, missing_docs, unreachable_pub)]
#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block
)]
#![allow(unsafe_op_in_unsafe_fn)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
