//! Why a function of the C interface fails.

use crate::error::Error;
use crate::ffi::status::wtgram_status;

/// Why a function of the C interface fails: the handle is invalid, or the core returned an error.
#[derive(Debug)]
pub(in crate::ffi) enum Failure {
    InvalidHandle,
    Core(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl From<&Failure> for wtgram_status {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::InvalidHandle => Self::WTGRAM_ERROR_INVALID_HANDLE,
            Failure::Core(error) => error.into(),
        }
    }
}
