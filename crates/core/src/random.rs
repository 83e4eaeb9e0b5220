//! The one source of randomness: Philox4x32-10, a counter-based generator (Salmon et al., "Parallel
//! random numbers: as easy as 1, 2, 3", SC 2011). A value depends only on (seed, stream, position),
//! never on the device, the number of threads, or what was drawn elsewhere.

/// One stream of random numbers, named by a seed and a stream key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    key: [u32; 2],
    stream_key: u64,
    position: u64,
    buffer: [u32; 4],
    used: usize,
}

/// One Philox4x32 block of ten rounds.
#[inline]
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    rounds(counter.map(|word| [word]), key).map(|[word]| word)
}

/// Ten rounds of `N` blocks at once, word by word, in a loop that vectorises.
#[inline(always)]
fn rounds<const N: usize>(mut counters: [[u32; N]; 4], mut key: [u32; 2]) -> [[u32; N]; 4] {
    for _ in 0..10 {
        let [c0, c1, c2, c3] = counters;
        for i in 0..N {
            let a = u64::from(c0[i]) * 0xD251_1F53;
            let b = u64::from(c2[i]) * 0xCD9E_8D57;
            counters[0][i] = (b >> 32) as u32 ^ c1[i] ^ key[0];
            counters[1][i] = b as u32;
            counters[2][i] = (a >> 32) as u32 ^ c3[i] ^ key[1];
            counters[3][i] = a as u32;
        }
        key[0] = key[0].wrapping_add(0x9E37_79B9);
        key[1] = key[1].wrapping_add(0xBB67_AE85);
    }
    counters
}

/// FNV-1a, to turn a weight's or layer's path into a stream key that does not depend on its place.
pub fn key_of(path: &str) -> u64 {
    path.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// One key made of two: of a nested layer's place, for example.
pub fn key_of_pair(outer: u64, inner: u64) -> u64 {
    let mixed = (outer ^ inner.rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 31) ^ inner
}

impl Stream {
    /// The stream `stream_key` of `seed`.
    pub fn new(seed: u64, stream_key: u64) -> Self {
        Self {
            key: [seed as u32, (seed >> 32) as u32],
            stream_key,
            position: 0,
            buffer: [0; 4],
            used: 4,
        }
    }

    /// The stream of a seed for a named use ("shuffle", or a weight's path).
    pub fn named(seed: u64, name: &str) -> Self {
        Self::new(seed, key_of(name))
    }

    /// A new stream of the same name, of another seed.
    pub fn reseeded(&self, seed: u64) -> Self {
        Self::new(seed, self.stream_key)
    }

    /// The words of the blocks from `first` on, whatever was drawn: element i of word w is item
    /// `4 (first + i) + w` of a new stream.
    #[inline(always)]
    pub fn blocks<const N: usize>(&self, first: u64) -> [[u32; N]; 4] {
        let position = |i: usize| first.wrapping_add(i as u64);
        let counters = [
            std::array::from_fn(|i| position(i) as u32),
            std::array::from_fn(|i| (position(i) >> 32) as u32),
            [self.stream_key as u32; N],
            [(self.stream_key >> 32) as u32; N],
        ];
        rounds(counters, self.key)
    }

    /// The next 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            let (p, l) = (self.position, self.stream_key);
            self.buffer =
                philox([p as u32, (p >> 32) as u32, l as u32, (l >> 32) as u32], self.key);
            self.position = self.position.wrapping_add(1);
            self.used = 0;
        }
        let value = self.buffer[self.used & 3];
        self.used += 1;
        value
    }

    /// The same bits as calling [`Stream::next_u32`] for each item in turn, but faster.
    pub fn fill(&mut self, out: &mut [u32]) {
        let buffered = out.len().min(4 - self.used);
        let (head, rest) = out.split_at_mut(buffered);
        head.iter_mut().for_each(|item| *item = self.next_u32());
        let (blocks, tail) = rest.as_chunks_mut::<4>();
        for block in blocks {
            *block = self.block();
        }
        tail.iter_mut().for_each(|item| *item = self.next_u32());
    }

    fn block(&mut self) -> [u32; 4] {
        let (p, l) = (self.position, self.stream_key);
        self.position = self.position.wrapping_add(1);
        philox([p as u32, (p >> 32) as u32, l as u32, (l >> 32) as u32], self.key)
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
    }

    /// Uniform in [0, 1), 24 bits.
    pub fn uniform(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform in [0, 1), 53 bits.
    pub fn uniform_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Standard normal (Box and Muller, 1958, in f64).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform_f64()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform_f64()).cos()
    }

    /// Standard normal redrawn until it lies within two standard deviations.
    pub fn truncated_normal(&mut self) -> f64 {
        loop {
            let value = self.normal();
            if value.abs() <= 2.0 {
                return value;
            }
        }
    }

    /// Uniform in 0..bound without modulo bias (Lemire, 2019); 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        loop {
            let wide = u128::from(self.next_u64()) * u128::from(bound);
            if wide as u64 >= bound.wrapping_neg() % bound.max(1) {
                return (wide >> 64) as u64;
            }
        }
    }

    /// As [`Stream::below`], from 32 random bits.
    pub fn below_u32(&mut self, bound: u32) -> u32 {
        loop {
            let wide = u64::from(self.next_u32()) * u64::from(bound);
            // The remainder is less than the bound, so most draws need no division.
            if wide as u32 >= bound || wide as u32 >= bound.wrapping_neg() % bound.max(1) {
                return (wide >> 32) as u32;
            }
        }
    }

    /// Fisher and Yates's shuffle, in place.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            // Half the random bits do for every list that fits in memory today.
            let place = match u32::try_from(i + 1) {
                Ok(bound) => self.below_u32(bound) as usize,
                Err(_) => self.below(i as u64 + 1) as usize,
            };
            items.swap(i, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers published with Random123 (kat_vectors, philox4x32 10).
    #[test]
    fn philox_known_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]
        );
        assert_eq!(
            philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
            [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]
        );
    }

    #[test]
    fn filling_equals_drawing_one_by_one() {
        let (mut filled, mut drawn) = (Stream::named(5, "fill"), Stream::named(5, "fill"));
        for length in [0, 1, 3, 32, 131, 2, 64] {
            let mut out = vec![0; length];
            filled.fill(&mut out);
            assert!(out.iter().all(|item| *item == drawn.next_u32()), "{length}");
        }
        assert_eq!(filled.next_u64(), drawn.next_u64());
    }

    #[test]
    fn blocks_are_the_items_by_position() {
        let mut items = [0; 4 * 21];
        Stream::named(5, "blocks").fill(&mut items);
        let words = Stream::named(5, "blocks").blocks::<16>(5);
        for (i, item) in items[4 * 5..].iter().enumerate() {
            assert_eq!(words[i % 4][i / 4], *item, "{i}");
        }
        let last = Stream::new(3, 4).blocks::<2>(u64::MAX);
        assert_eq!(last.map(|word| word[1]), Stream::new(3, 4).blocks::<1>(0).map(|[word]| word));
    }

    #[test]
    fn normal_has_its_moments() {
        let mut stream = Stream::named(7, "normal");
        let values: Vec<f64> = (0..100_000).map(|_| stream.normal()).collect();
        let mean = values.iter().sum::<f64>() / 1e5;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn shuffle_is_a_permutation_and_repeats() {
        let draw = || {
            let mut items: Vec<u32> = (0..1000).collect();
            Stream::named(3, "shuffle").shuffle(&mut items);
            items
        };
        let mut sorted = draw();
        assert_eq!(sorted, draw());
        assert_ne!(sorted, (0..1000).collect::<Vec<_>>());
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
    }
}
