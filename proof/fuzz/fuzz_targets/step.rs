//! `cargo fuzz run step`: the life of an interlock, under the oracle of `proof::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let lived = proof::fuzz::live(data);
    assert!(lived.wrong.is_empty(), "unsafe writes: {:?}", lived.wrong);
});
