//! Gives the shared library its ABI name. The version comes from `Cargo.toml` and from nowhere else.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    let major = var("CARGO_PKG_VERSION_MAJOR").expect("cargo sets it");
    let minor = var("CARGO_PKG_VERSION_MINOR").expect("cargo sets it");
    // Before 1.0 each minor version is an ABI of its own (docs/c-interface.md).
    let abi = if major == "0" { format!("0.{minor}") } else { major };
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libwtgram.so.{abi}");
    // Lanes are threads of this library: after a dlclose they would run code that is no longer mapped.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
