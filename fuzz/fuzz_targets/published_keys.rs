#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::published_keys::run(data));
