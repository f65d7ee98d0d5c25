//! Parts that every function of the C interface uses.
//!
//! - `guard`: runs the body of a function and turns errors and panics into a status.
//! - `handle`: handles and the tables of their objects.
//! - `pointer`: the only code that follows the caller's pointers.
//! - `descriptor`: file descriptors of the caller.
//! - `enums`: numbers of the caller that stand for enum values.
//! - `failure`: why a function fails, as a status.
//! - `fork`: notices that the process is a forked child.

pub(in crate::ffi) mod descriptor;
pub(in crate::ffi) mod enums;
pub(in crate::ffi) mod failure;
mod fork;
pub(in crate::ffi) mod guard;
pub(in crate::ffi) mod handle;
pub(in crate::ffi) mod pointer;
