/** SHA-256, synchronous and without a platform: plans are hashed in browsers too, where the built-in one is asynchronous. */
export function sha256Hex(text: string): string {
  const blocks = padded(new TextEncoder().encode(text))
  const state = Uint32Array.from(INITIAL)
  const schedule = new Uint32Array(64)
  for (let at = 0; at < blocks.byteLength; at += 64) {
    for (let i = 0; i < 16; i++) schedule[i] = blocks.getUint32(at + i * 4)
    expand(schedule)
    compress(state, schedule)
  }
  return Array.from(state, (word) => word.toString(16).padStart(8, '0')).join('')
}

/** Fractional parts of the square and cube roots of primes (FIPS 180-4, 4.2.2 and 5.3.3). */
const PRIMES = firstPrimes(64)
const INITIAL = PRIMES.slice(0, 8).map((prime) => fraction32(Math.sqrt(prime)))
const ROUND = Uint32Array.from(PRIMES, (prime) => fraction32(Math.cbrt(prime)))

/** Text with its trailing 1 bit, zeros, and its length in bits, in whole blocks of 64 bytes. */
function padded(bytes: Uint8Array): DataView {
  const view = new DataView(new ArrayBuffer(Math.ceil((bytes.length + 9) / 64) * 64))
  new Uint8Array(view.buffer).set(bytes)
  view.setUint8(bytes.length, 0x80)
  view.setBigUint64(view.byteLength - 8, BigInt(bytes.length) * 8n)
  return view
}

function expand(w: Uint32Array): void {
  for (let i = 16; i < 64; i++) {
    const a = at(w, i - 15)
    const b = at(w, i - 2)
    const small0 = rotate(a, 7) ^ rotate(a, 18) ^ (a >>> 3)
    const small1 = rotate(b, 17) ^ rotate(b, 19) ^ (b >>> 10)
    w[i] = at(w, i - 16) + small0 + at(w, i - 7) + small1
  }
}

function compress(state: Uint32Array, w: Uint32Array): void {
  const v = Uint32Array.from(state)
  for (let i = 0; i < 64; i++) {
    const a = at(v, 0)
    const e = at(v, 4)
    const choice = (e & at(v, 5)) ^ (~e & at(v, 6))
    const majority = (a & at(v, 1)) ^ (a & at(v, 2)) ^ (at(v, 1) & at(v, 2))
    const big1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
    const big0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
    const first = (at(v, 7) + big1 + choice + at(ROUND, i) + at(w, i)) >>> 0
    v.copyWithin(1, 0, 7)
    v[4] = at(v, 4) + first
    v[0] = first + big0 + majority
  }
  for (let i = 0; i < 8; i++) state[i] = at(state, i) + at(v, i)
}

function at(words: Uint32Array, index: number): number {
  return words[index] ?? 0
}

function rotate(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits))
}

function fraction32(root: number): number {
  return Math.floor((root - Math.floor(root)) * 2 ** 32)
}

function firstPrimes(count: number): readonly number[] {
  const primes: number[] = []
  for (let n = 2; primes.length < count; n++) {
    if (primes.every((prime) => n % prime !== 0)) primes.push(n)
  }
  return primes
}
