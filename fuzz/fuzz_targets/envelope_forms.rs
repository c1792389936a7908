#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::envelope_forms::run(data));
