#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::pairwise_message::run(data));
