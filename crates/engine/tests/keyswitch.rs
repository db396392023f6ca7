//! The batched keyswitch against the `tfhe` crate's.

mod support;

use sotto_engine::{Ciphertext, keyswitch_batch};
use support::Draws;
use tfhe::core_crypto::prelude::*;

/// Input dimension, output dimension, base log, levels, batch.
const CASES: [[usize; 5]; 5] = [
    [2048, 885, 3, 6, 5],
    [2048, 822, 3, 5, 1],
    [1024, 601, 2, 9, 16],
    [256, 1, 10, 3, 3],
    [512, 64, 32, 1, 2],
];

#[test]
fn a_batched_keyswitch_equals_the_crates_bit_for_bit() {
    let mut draws = Draws(1);
    for [input, output, base_log, level, batch] in CASES {
        let mut words = |count: usize| (0..count).map(|_| draws.word()).collect::<Vec<u64>>();
        let key = words(input * level * (output + 1)).into_iter().map(|word| word as u32);
        let key = LweKeyswitchKey::from_container(
            key.collect::<Vec<u32>>(),
            DecompositionBaseLog(base_log),
            DecompositionLevelCount(level),
            LweSize(output + 1),
            CiphertextModulus::new_native(),
        );
        let ciphertexts = words(batch * (input + 1));
        let rows: Vec<&[u64]> = ciphertexts.chunks_exact(input + 1).collect();
        let mut switched = vec![0; batch * (output + 1)];
        let inputs: Vec<Ciphertext<'_>> =
            rows.iter().map(|row| Ciphertext::from_words(row)).collect();
        keyswitch_batch(&key, &inputs, &mut switched);
        for (row, switched) in rows.iter().zip(switched.chunks_exact(output + 1)) {
            let mut reference = vec![0; output + 1];
            keyswitch_lwe_ciphertext_with_scalar_change(
                &key,
                &LweCiphertext::from_container(*row, CiphertextModulus::new_native()),
                &mut LweCiphertext::from_container(
                    reference.as_mut_slice(),
                    CiphertextModulus::new_native(),
                ),
            );
            assert_eq!(switched, reference);
        }
    }
}
