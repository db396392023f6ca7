//! The random bytes of keys: the keystream of the crate's generator, AES-128 in counter mode, many blocks at
//! a time.
//!
//! With the crate's generator most of a key generation goes into the bookkeeping of single bytes. This one
//! gives the same bytes to the same algorithms of the crate, and a test holds it to that.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Block};
use tfhe_csprng::generators::aes_ctr::{AesCtrParams, TableIndex};
use tfhe_csprng::generators::{
    ByteCount, BytesPerChild, ChildrenCount, ForkError, RandomGenerator,
};
use tfhe_csprng::seeders::SeedKind;
use zeroize::Zeroize;

const BLOCK_BYTES: usize = 16;
/// Blocks of one refill: masks of a small ciphertext take five refills, those of a large one thirty.
const BLOCKS: usize = 32;
const BUFFER_BYTES: usize = BLOCKS * BLOCK_BYTES;

/// The bytes of a seed's keystream from one position to another.
pub(crate) struct Keystream {
    cipher: Aes128,
    buffer: [u8; BUFFER_BYTES],
    /// Index of the next byte in the buffer, and number of bytes there.
    used: usize,
    filled: usize,
    /// Position of the first byte after the buffer, and of the first one that is out of bounds.
    next: u64,
    end: u64,
}

impl Keystream {
    fn between(cipher: Aes128, next: u64, end: u64) -> Self {
        Self { cipher, buffer: [0; BUFFER_BYTES], used: 0, filled: 0, next, end }
    }

    /// Bytes that are left.
    fn left(&self) -> u64 {
        self.end - self.next + (self.filled - self.used) as u64
    }

    /// Makes the blocks from that of the next byte on, as far as the bound asks for them.
    #[cold]
    fn refill(&mut self) {
        let block = BLOCK_BYTES as u64;
        let first = self.next / block;
        let last = self.end.div_ceil(block).min(first + BLOCKS as u64);
        let mut counters = [Block::default(); BLOCKS];
        let counters = &mut counters[..(last - first) as usize];
        for (counter, number) in counters.iter_mut().zip(first..) {
            *counter = u128::from(number).to_le_bytes().into();
        }
        self.cipher.encrypt_blocks(counters);
        for (bytes, block) in self.buffer.chunks_exact_mut(BLOCK_BYTES).zip(counters) {
            bytes.copy_from_slice(block);
            bytes_of(block).zeroize();
        }
        self.used = (self.next - first * block) as usize;
        self.filled = (self.end.min(last * block) - first * block) as usize;
        self.next = first * block + self.filled as u64;
    }
}

/// The bytes of a block, to be wiped.
fn bytes_of(block: &mut Block) -> &mut [u8] {
    block
}

impl Iterator for Keystream {
    type Item = u8;

    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        if self.used == self.filled {
            if self.next == self.end {
                return None;
            }
            self.refill();
        }
        let byte = self.buffer[self.used];
        self.used += 1;
        Some(byte)
    }
}

/// The parts of a keystream, each of the same number of bytes.
pub(crate) struct Children {
    cipher: Aes128,
    bytes: u64,
    next: u64,
    end: u64,
}

impl Iterator for Children {
    type Item = Keystream;

    fn next(&mut self) -> Option<Keystream> {
        let first = self.next;
        self.next += self.bytes;
        (first < self.end).then(|| Keystream::between(self.cipher.clone(), first, self.next))
    }
}

impl RandomGenerator for Keystream {
    type ChildrenIter = Children;

    fn new(params: impl Into<AesCtrParams>) -> Self {
        let AesCtrParams { seed, first_index } = params.into();
        let SeedKind::Ctr(seed) = seed else { panic!("internal: keys have plain seeds") };
        let first = TableIndex::distance(&first_index, &TableIndex::FIRST);
        let first = first.and_then(|position| u64::try_from(position.0).ok());
        let first = first.expect("internal: keys use the beginning of a keystream");
        Self::between(Aes128::new(&seed.0.to_le_bytes().into()), first, u64::MAX)
    }

    fn remaining_bytes(&self) -> ByteCount {
        ByteCount(self.left().into())
    }

    fn next_table_index(&self) -> Option<TableIndex> {
        let position = u128::from(self.end - self.left());
        (self.left() > 0).then(|| TableIndex::FIRST.increased(position))
    }

    fn try_fork(
        &mut self,
        ChildrenCount(children): ChildrenCount,
        BytesPerChild(bytes): BytesPerChild,
    ) -> Result<Children, ForkError> {
        if children == 0 {
            return Err(ForkError::ZeroChildrenCount);
        }
        if bytes == 0 {
            return Err(ForkError::ZeroBytesPerChild);
        }
        let total = children.checked_mul(bytes).filter(|&total| total <= self.left());
        let Some(total) = total else { return Err(ForkError::ForkTooLarge) };
        let next = self.end - self.left();
        (self.used, self.filled, self.next) = (0, 0, next + total);
        Ok(Children { cipher: self.cipher.clone(), bytes, next, end: next + total })
    }
}

impl Drop for Keystream {
    fn drop(&mut self) {
        // Some of these bytes become noise.
        self.buffer.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use tfhe::core_crypto::prelude::*;
    use tfhe_csprng::seeders::Seed;

    use super::*;

    fn both(seed: u128) -> (Keystream, DefaultRandomGenerator) {
        (Keystream::new(Seed(seed)), DefaultRandomGenerator::new(Seed(seed)))
    }

    #[test]
    fn the_bytes_are_those_of_the_crate() {
        let (mut ours, mut theirs) = both(0x0123_4567_89ab_cdef_1122_3344_5566_7788);
        for _ in 0..10 * BUFFER_BYTES + 7 {
            assert_eq!(ours.next(), theirs.next());
        }
        assert_eq!(ours.next_table_index(), theirs.next_table_index());
    }

    #[test]
    fn parts_are_those_of_the_crate() {
        for (skipped, children, bytes) in [(0, 3, 16), (5, 4, 700), (511, 2, 1), (33, 7, 512)] {
            let (mut ours, mut theirs) = both(u128::MAX - 5);
            for _ in 0..skipped {
                assert_eq!(ours.next(), theirs.next());
            }
            let fork = (ChildrenCount(children), BytesPerChild(bytes));
            let our_parts: Vec<_> = ours.try_fork(fork.0, fork.1).expect("fork").collect();
            let their_parts: Vec<_> = theirs.try_fork(fork.0, fork.1).expect("fork").collect();
            assert_eq!(our_parts.len(), their_parts.len());
            for (ours, theirs) in our_parts.into_iter().zip(their_parts) {
                assert_eq!(ours.remaining_bytes(), theirs.remaining_bytes());
                assert_eq!(ours.collect::<Vec<u8>>(), theirs.collect::<Vec<u8>>());
            }
            assert_eq!(ours.next_table_index(), theirs.next_table_index());
            assert_eq!(ours.next(), theirs.next());
        }
    }

    #[test]
    fn parts_must_fit() {
        let (mut ours, _) = both(1);
        let mut part = ours.try_fork(ChildrenCount(1), BytesPerChild(10)).expect("fork");
        let mut part = part.next().expect("one part");
        part.next();
        assert!(part.try_fork(ChildrenCount(2), BytesPerChild(5)).is_err());
        assert!(part.try_fork(ChildrenCount(0), BytesPerChild(5)).is_err());
        assert!(part.try_fork(ChildrenCount(5), BytesPerChild(0)).is_err());
        assert!(part.try_fork(ChildrenCount(u64::MAX), BytesPerChild(u64::MAX)).is_err());
        assert_eq!(part.count(), 9);
    }
}
