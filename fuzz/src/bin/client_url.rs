#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wtgram::fuzz::client_url(bytes));
