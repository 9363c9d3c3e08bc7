"use strict";
// Finds the answer to a puzzle: eight hex digits N for which SHA-256(seed || N) begins with so many zero bits. The seed's
// 64 characters are SHA-256's first block (FIPS 180-4), so its state is worked out once, and an attempt is one block.

const K = new Int32Array(64);
const START = new Int32Array(8);
{
  // FIPS 180-4 §4.2.2, §5.3.3: the first 32 bits of the fractional parts of cube and square roots of the first primes.
  const fraction = (root) => ((root - Math.floor(root)) * 2 ** 32) | 0;
  let found = 0;
  for (let n = 2; found < 64; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
    if (!prime) continue;
    if (found < 8) START[found] = fraction(Math.sqrt(n));
    K[found++] = fraction(Math.cbrt(n));
  }
}

const W = new Int32Array(64);

// One block, whose 16 words stand in W: the state after it, into `out`.
function compress(state, out) {
  for (let i = 16; i < 64; i++) {
    const x = W[i - 15];
    const y = W[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    W[i] = (W[i - 16] + s0 + W[i - 7] + s1) | 0;
  }
  let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + W[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g; g = f; f = e; e = (d + t1) | 0; d = c; c = b; b = a; a = (t1 + t2) | 0;
  }
  out[0] = (state[0] + a) | 0; out[1] = (state[1] + b) | 0; out[2] = (state[2] + c) | 0; out[3] = (state[3] + d) | 0;
  out[4] = (state[4] + e) | 0; out[5] = (state[5] + f) | 0; out[6] = (state[6] + g) | 0; out[7] = (state[7] + h) | 0;
}

// The state after the seed, 64 characters of ASCII.
function absorb(seed) {
  for (let i = 0; i < 16; i++) {
    W[i] = (seed.charCodeAt(4 * i) << 24) | (seed.charCodeAt(4 * i + 1) << 16)
      | (seed.charCodeAt(4 * i + 2) << 8) | seed.charCodeAt(4 * i + 3);
  }
  const state = new Int32Array(8);
  compress(START, state);
  return state;
}

const PAIRS = Int32Array.from({ length: 256 }, (_, byte) => {
  const digits = byte.toString(16).padStart(2, "0");
  return (digits.charCodeAt(0) << 8) | digits.charCodeAt(1);
});

// SHA-256(seed || n as eight hex digits), into `out`; `state` is the seed's.
function attempt(state, n, out) {
  W[0] = (PAIRS[n >>> 24] << 16) | PAIRS[(n >>> 16) & 255];
  W[1] = (PAIRS[(n >>> 8) & 255] << 16) | PAIRS[n & 255];
  W[2] = 0x80000000 | 0; // the padding's first bit, then zeros, then the length in bits
  W.fill(0, 3, 15);
  W[15] = 8 * (64 + 8);
  compress(state, out);
}

const BATCH = 1 << 14; // attempts between two looks at the clock

function solve(seed, bits, tell) {
  const state = absorb(seed);
  const out = new Int32Array(8);
  let told = performance.now();
  for (let n = 0; n < 2 ** 32; n++) {
    attempt(state, n, out);
    if (out[0] >>> (32 - bits) === 0) return n.toString(16).padStart(8, "0");
    if (n % BATCH === BATCH - 1 && performance.now() - told > 100) {
      told = performance.now();
      tell(n);
    }
  }
  throw new Error("no answer");
}

onmessage = ({ data: { seed, bits } }) => {
  postMessage({ answer: solve(seed, bits, (tried) => postMessage({ tried })) });
};
