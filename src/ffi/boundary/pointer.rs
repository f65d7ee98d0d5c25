//! The caller's pointers. Only this file follows them.

use std::ffi::{CStr, c_char};
use std::time::Duration;

use super::failure::Failure;
use super::guard::{guard, guard_detailed, quiet};
use crate::error::Error;
use crate::ffi::status::wtgram_status;
use crate::runtime::wait::{Deadline, Timeout};
use crate::text::{beginning, readable};

/// A timeout that never elapses.
pub const WTGRAM_FOREVER: i64 = -1;

pub(in crate::ffi) fn invalid(what: &'static str) -> Failure {
    Failure::Core(Error::InvalidArgument(what.into()))
}

/// Bytes from the caller. With length 0, the pointer is ignored.
///
/// # Safety
/// `data` is NULL or points to `length` readable bytes.
pub(in crate::ffi) unsafe fn bytes<'a>(data: *const u8, length: usize) -> Result<&'a [u8], Failure> {
    // SAFETY: as for `elements`.
    unsafe { elements(data, length) }
}

/// An array from the caller. With length 0, the pointer is ignored.
///
/// # Safety
/// `data` is NULL or points to `length` readable elements.
pub(in crate::ffi) unsafe fn elements<'a, T>(data: *const T, length: usize) -> Result<&'a [T], Failure> {
    if length == 0 {
        return Ok(&[]);
    }
    check(data, length)?;
    // SAFETY: not NULL and aligned, of a length that can exist; the caller vouches for the rest.
    Ok(unsafe { std::slice::from_raw_parts(data, length) })
}

/// An array of the caller that the library writes. With length 0, the pointer is ignored.
///
/// # Safety
/// `data` is NULL or points to `length` writable elements that are initialized or of a type without invalid values.
pub(in crate::ffi) unsafe fn elements_mut<'a, T>(
    data: *mut T,
    length: usize,
) -> Result<&'a mut [T], Failure> {
    if length == 0 {
        return Ok(&mut []);
    }
    check(data, length)?;
    // SAFETY: as above.
    Ok(unsafe { std::slice::from_raw_parts_mut(data, length) })
}

fn check<T>(data: *const T, length: usize) -> Result<(), Failure> {
    if data.is_null() {
        return Err(invalid("a pointer is NULL although its length is not 0"));
    }
    if !data.is_aligned() {
        return Err(invalid("a pointer is not aligned"));
    }
    // No object is larger than that, in Rust and in every allocator.
    if length > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(invalid("a length is larger than memory can be"));
    }
    Ok(())
}

/// An output of the caller. It is zeroed at once, and stays zero on every status but OK.
///
/// # Safety
/// `pointer` is NULL or points to a writable `T`, for which all zeroes is a value.
pub(in crate::ffi) unsafe fn output<'a, T>(pointer: *mut T) -> Result<&'a mut T, Failure> {
    if pointer.is_null() {
        return Err(invalid("an output pointer is NULL"));
    }
    if !pointer.is_aligned() {
        return Err(invalid("an output pointer is not aligned"));
    }
    // SAFETY: not NULL and aligned; the caller vouches for the rest.
    unsafe {
        pointer.write_bytes(0, 1);
        Ok(&mut *pointer)
    }
}

/// Zeroes an output before any check that can fail, that of the handle included. NULL is reported
/// later.
///
/// # Safety
/// As for [`output`].
pub(in crate::ffi) unsafe fn clear<T>(pointer: *mut T) {
    // SAFETY: as for `output`.
    let _ = unsafe { output(pointer) };
}

/// Runs `body` inside the guard and writes its result to `out`. `out` is checked before `body`
/// runs, and is zero on any status but OK.
///
/// # Safety
/// As for [`output`].
pub(in crate::ffi) unsafe fn give<T>(
    out: *mut T,
    body: impl FnOnce() -> Result<T, Failure>,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { clear(out) };
    guard(|| {
        // SAFETY: the caller's promise.
        let out = unsafe { output(out) }?;
        *out = body()?;
        Ok(())
    })
}

/// A text from the caller.
///
/// # Safety
/// `text` is NULL or NUL-terminated.
pub(in crate::ffi) unsafe fn text<'a>(text: *const c_char) -> Result<&'a str, Failure> {
    // SAFETY: as for this function.
    unsafe { optional_text(text) }?.ok_or_else(|| invalid("a text is NULL"))
}

/// A text from the caller that may be absent.
///
/// # Safety
/// `text` is NULL or NUL-terminated.
pub(in crate::ffi) unsafe fn optional_text<'a>(text: *const c_char) -> Result<Option<&'a str>, Failure> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL; the caller vouches for the NUL.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map(Some).map_err(|_| invalid("a text is not UTF-8"))
}

/// Texts from the caller.
///
/// # Safety
/// `texts` is NULL or points to `count` NUL-terminated texts.
pub(in crate::ffi) unsafe fn texts(
    texts: *const *const c_char,
    count: usize,
) -> Result<Vec<String>, Failure> {
    // SAFETY: the caller's promise.
    unsafe { elements(texts, count)?.iter().map(|one| text(*one).map(str::to_owned)).collect() }
}

/// Writes `text` and a NUL. `length` gets the length without the NUL, also if `capacity` is too
/// small.
///
/// # Safety
/// `buffer` is NULL or points to `capacity` writable bytes; `length` is NULL or points to a writable `size_t`.
pub(in crate::ffi) unsafe fn write_text(
    text: &str,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> Result<(), Failure> {
    // SAFETY: the caller's promise is that of both.
    let (buffer, length) = unsafe { (elements_mut(buffer.cast::<u8>(), capacity)?, output(length)?) };
    *length = text.len();
    if text.len() >= capacity {
        if let Some(first) = buffer.first_mut() {
            *first = 0;
        }
        return Err(Error::BufferTooSmall { needed: text.len() }.into());
    }
    buffer[..text.len()].copy_from_slice(text.as_bytes());
    buffer[text.len()] = 0;
    Ok(())
}

/// Makes a text and writes it, as [`write_text`] does. If `body` fails, `length` gets 0.
///
/// # Safety
/// As for [`write_text`].
pub(in crate::ffi) unsafe fn give_text(
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
    body: impl FnOnce() -> Result<String, Failure>,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { clear(length) };
    // SAFETY: the caller's promise.
    guard(|| unsafe { write_text(&body()?, buffer, capacity, length) })
}

/// Makes a list and writes it. `count` gets its length, also if `capacity` is too small. If `body`
/// fails, `count` gets 0.
///
/// # Safety
/// `buffer` is NULL or points to `capacity` writable elements of a type without invalid values;
/// `count` is NULL or points to a writable `size_t`.
pub(in crate::ffi) unsafe fn give_elements<T: Copy>(
    buffer: *mut T,
    capacity: usize,
    count: *mut usize,
    body: impl FnOnce() -> Result<Vec<T>, Failure>,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { clear(count) };
    guard(|| {
        let list = body()?;
        // SAFETY: the caller's promise is that of both.
        let (buffer, count) = unsafe { (elements_mut(buffer, capacity)?, output(count)?) };
        *count = list.len();
        let target = buffer.get_mut(..list.len()).ok_or(Error::BufferTooSmall { needed: list.len() })?;
        target.copy_from_slice(&list);
        Ok(())
    })
}

/// Writes as much of `text` as fits, made readable, and a NUL. For explanations: a shortened one is
/// better than none.
///
/// # Safety
/// `buffer` is NULL or points to `capacity` writable bytes.
pub(in crate::ffi) unsafe fn write_detail(text: &str, buffer: *mut c_char, capacity: usize) {
    // SAFETY: the caller's promise.
    let Ok(buffer) = (unsafe { elements_mut(buffer.cast::<u8>(), capacity) }) else { return };
    let Some(room) = buffer.len().checked_sub(1) else { return };
    let text = readable(text);
    let text = beginning(&text, room);
    buffer[..text.len()].copy_from_slice(text.as_bytes());
    buffer[text.len()] = 0;
}

/// Runs `body` inside the guard. The caller's `buffer` gets the text of a failure, and is empty
/// otherwise.
///
/// # Safety
/// As for [`write_detail`].
pub(in crate::ffi) unsafe fn detailed(
    buffer: *mut c_char,
    capacity: usize,
    body: impl FnOnce() -> Result<(), Failure>,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { write_detail("", buffer, capacity) };
    guard_detailed(
        // SAFETY: as above.
        |text| unsafe { write_detail(text, buffer, capacity) },
        || {
            // SAFETY: as above.
            unsafe { elements_mut(buffer.cast::<u8>(), capacity) }?;
            body()
        },
    )
}

/// A struct of the caller that begins with its size, so that it can grow at its end.
///
/// # Safety
/// Implementors are `repr(C)`, begin with `struct_size: usize`, and have no invalid values.
pub(in crate::ffi) unsafe trait Versioned: Copy {
    /// The size in the first release of this SONAME. No version is smaller.
    const FIRST_SIZE: usize;

    /// All defaults, with `struct_size` set.
    fn initial() -> Self;
}

/// Writes the initial value of a struct of the first version, because the caller may have space for
/// no more: it was built against the first header or without the header's inline function.
///
/// # Safety
/// `target` is NULL or points to a writable struct of the first version.
pub(in crate::ffi) unsafe fn init<T: Versioned>(target: *mut T) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(target, T::FIRST_SIZE) };
}

/// Writes the initial value of a struct of the version with `size` bytes. A struct of a newer
/// version gets only the fields that this library knows, and the size of these.
///
/// # Safety
/// `target` is NULL or points to `size` writable bytes.
pub(in crate::ffi) unsafe fn init_sized<T: Versioned>(target: *mut T, size: usize) {
    if target.is_null() || !target.is_aligned() || size < size_of::<usize>() {
        return;
    }
    let known = if size < T::FIRST_SIZE { 0 } else { size.min(size_of::<T>()) };
    // SAFETY: not NULL, aligned, and `known` and the size field are at most `size` bytes; plain data.
    quiet(|| unsafe {
        let initial = T::initial();
        std::ptr::copy_nonoverlapping((&raw const initial).cast::<u8>(), target.cast::<u8>(), known);
        target.cast::<usize>().write(known);
    });
}

/// Options from the caller; NULL means the defaults. If the struct is an older, shorter one, the
/// other fields have their defaults.
///
/// # Safety
/// `options` is NULL or points to a struct of the size that its first field says.
pub(in crate::ffi) unsafe fn read_options<T: Versioned>(options: *const T) -> Result<T, Failure> {
    let mut value = T::initial();
    if options.is_null() {
        return Ok(value);
    }
    if !options.is_aligned() {
        return Err(invalid("an options pointer is not aligned"));
    }
    // SAFETY: not NULL, aligned; every such struct begins with its size.
    let size = unsafe { options.cast::<usize>().read() };
    check_size::<T>(size)?;
    // SAFETY: the caller vouches for `size` readable bytes, which are at most those of `value`, plain data.
    unsafe { std::ptr::copy_nonoverlapping(options.cast::<u8>(), (&raw mut value).cast::<u8>(), size) };
    Ok(value)
}

/// Checks a statistics struct of the caller, then fills it with the result of `body`. If `body`
/// fails, all of it but its size is zero.
///
/// # Safety
/// As for [`fill`].
pub(in crate::ffi) unsafe fn give_sized<T: Versioned>(
    target: *mut T,
    body: impl FnOnce() -> Result<T, Failure>,
) -> wtgram_status {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { sized_output(target) }?;
        let value = body()?;
        // SAFETY: the caller's promise.
        unsafe { fill(target, value) }
    })
}

/// Fills a statistics struct of the caller, up to its size.
///
/// # Safety
/// `target` is NULL or points to a writable struct of the size that its first field says.
pub(in crate::ffi) unsafe fn fill<T: Versioned>(target: *mut T, value: T) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    let size = unsafe { sized_output(target) }?;
    // SAFETY: `size` is at most that of `value`; the size field stays the caller's.
    unsafe {
        let skip = size_of::<usize>();
        let source = (&raw const value).cast::<u8>().add(skip);
        std::ptr::copy_nonoverlapping(source, target.cast::<u8>().add(skip), size - skip);
    }
    Ok(())
}

/// Checks a statistics struct of the caller and zeroes all of it but its size.
///
/// # Safety
/// As for [`fill`].
pub(in crate::ffi) unsafe fn sized_output<T: Versioned>(target: *mut T) -> Result<usize, Failure> {
    if target.is_null() || !target.is_aligned() {
        return Err(invalid("an output pointer is NULL or not aligned"));
    }
    // SAFETY: not NULL, aligned; every such struct begins with its size.
    let size = unsafe { target.cast::<usize>().read() };
    check_size::<T>(size)?;
    let skip = size_of::<usize>();
    // SAFETY: the caller vouches for `size` writable bytes.
    unsafe { target.cast::<u8>().add(skip).write_bytes(0, size - skip) };
    Ok(size)
}

fn check_size<T: Versioned>(size: usize) -> Result<(), Failure> {
    const { assert!(T::FIRST_SIZE <= size_of::<T>(), "structs only grow") };
    // A size above this version's is refused, not cut: the field may be garbage.
    if (T::FIRST_SIZE..=size_of::<T>()).contains(&size) {
        Ok(())
    } else {
        Err(invalid("struct_size is not that of any version: was the _init function called?"))
    }
}

/// A timeout from the caller: [`WTGRAM_FOREVER`], 0 or microseconds.
pub(in crate::ffi) fn deadline(timeout_us: i64) -> Result<Deadline, Failure> {
    Ok(match timeout_us {
        WTGRAM_FOREVER => Timeout::Forever,
        0 => Timeout::Now,
        1.. => Timeout::After(Duration::from_micros(timeout_us.unsigned_abs())),
        _ => return Err(invalid("a timeout is negative and not WTGRAM_FOREVER")),
    }
    .deadline())
}

/// A duration from the caller; 0 means none.
pub(in crate::ffi) fn optional_duration(us: i64) -> Result<Option<Duration>, Failure> {
    match us {
        0 => Ok(None),
        1.. => Ok(Some(Duration::from_micros(us.unsigned_abs()))),
        _ => Err(invalid("a duration is negative")),
    }
}

/// A duration for the caller, in microseconds.
pub(in crate::ffi) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_readable_shortened_to_fit_and_ends_with_a_nul() {
        let detail = |capacity: usize| {
            let mut buffer = vec![b'?'; capacity];
            // SAFETY: as many writable bytes as it says.
            unsafe { write_detail("a\0\u{2066}ü", buffer.as_mut_ptr().cast(), capacity) };
            String::from_utf8(buffer).unwrap()
        };
        assert_eq!(detail(17), "a\\u{0}\\u{2066}ü\0");
        assert_eq!(detail(16), "a\\u{0}\\u{2066}\0?");
        assert_eq!(detail(1), "\0");
        assert_eq!(detail(0), "");
    }
}
