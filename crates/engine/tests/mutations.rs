//! Ten thousand damaged blobs of each kind: never a panic, never a hang, never wild memory, and never
//! accepted unless somebody recomputed the digests.

mod support;

use sotto_engine::{HEADER_BYTES, reseal};
use support::Draws;
use support::blobs::{Blobs, KINDS};

const ROUNDS: u64 = 10_000;

/// Changes a few bytes somewhere, half of the time among the header and the lengths at the front.
fn mutate(blob: &mut Vec<u8>, donor: &[u8], draws: &mut Draws) {
    let front = blob.len().min(HEADER_BYTES + 160);
    let reach = if draws.below(2) == 0 { front } else { blob.len() };
    let at = draws.below(reach);
    match draws.below(8) {
        0 | 1 => blob[at] ^= 1 << draws.below(8),
        2 => blob[at] = draws.word() as u8,
        3 => blob.truncate(at),
        4 => {
            let length = draws.below(64).min(donor.len());
            let from = draws.below(donor.len() - length + 1);
            let end = (at + draws.below(64)).min(blob.len());
            blob.splice(at..end, donor[from..from + length].iter().copied());
        }
        // A field that may be a length: aligned, and a telling number.
        5 | 6 => {
            let at = at & !3;
            let telling = [0, 1, 2, 0x7fff_ffff, 0x8000_0000, u32::MAX, 1 << 16, 1 << 24];
            let field = telling[draws.below(telling.len())].wrapping_add(draws.below(3) as u32);
            let end = (at + 4).min(blob.len());
            blob[at..end].copy_from_slice(&field.to_le_bytes()[..end - at]);
        }
        _ => blob.extend_from_slice(&donor[..draws.below(donor.len().min(100))]),
    }
}

#[test]
fn damaged_blobs_are_refused_and_resealed_ones_do_no_harm() {
    let blobs = Blobs::new();
    for (index, kind) in KINDS.into_iter().enumerate() {
        let original = blobs.blob(kind);
        let mut accepted = 0;
        for round in 0..ROUNDS {
            let mut draws = Draws(((round + 1) << 8) | (index as u64 + 1));
            let donor = blobs.blob(KINDS[draws.below(KINDS.len())]);
            let mut blob = original.to_vec();
            for _ in 0..=draws.below(3) {
                if !blob.is_empty() {
                    mutate(&mut blob, donor, &mut draws);
                }
            }
            if blob != original {
                assert!(blobs.read(kind, &blob).is_err(), "{kind}, round {round}");
            }
            if round % 2 == 0 {
                reseal(&mut blob);
                accepted += usize::from(blobs.read(kind, &blob).is_ok());
            }
        }
        // The mutations do reach the code behind the digest.
        assert!(accepted > 0, "{kind}");
    }
    assert_peak_memory_below(1 << 20);
}

/// What the whole test used at most, in kilobytes; only Linux tells.
fn assert_peak_memory_below(limit: u64) {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return };
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(kilobytes < limit, "{kilobytes} kB");
}
