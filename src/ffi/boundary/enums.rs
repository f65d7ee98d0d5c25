//! Numbers from the caller that stand for enum values.

/// Gives an enum of the interface a `read` function, which checks a number from the caller.
macro_rules! impl_read {
    ($name:ident { $($variant:ident),+ $(,)? } or $fault:literal) => {
        impl $name {
            /// The value with this number.
            pub(in crate::ffi) fn read(
                number: u32,
            ) -> Result<Self, $crate::ffi::boundary::failure::Failure> {
                [$(Self::$variant),+]
                    .into_iter()
                    .find(|value| *value as u32 == number)
                    .ok_or_else(|| $crate::ffi::boundary::pointer::invalid($fault))
            }
        }
    };
}
pub(in crate::ffi) use impl_read;
