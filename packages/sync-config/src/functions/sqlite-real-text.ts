/** Reals as SQLite prints them since 3.53: 17 digits, or fewer where fewer stand for the same number. */

const PRINTED_DIGITS = 17
/** Above this power of ten, and below the other, there is an exponent. */
const PLAIN_EXPONENT_MAX = 16
const PLAIN_EXPONENT_MIN = -4

/** `1.0`, `2.5`, `1.0e+17`, `Inf`; never without a point or a word. */
export function printReal(value: number): string {
  if (value === 0) return '0.0'
  if (!Number.isFinite(value)) return value > 0 ? 'Inf' : '-Inf'
  const sign = value < 0 ? '-' : ''
  const { digits, point } = roundDigits(manyDigits(Math.abs(value)), Math.abs(value))
  const exponent = point - 1
  if (exponent < PLAIN_EXPONENT_MIN || exponent > PLAIN_EXPONENT_MAX) {
    const power = String(Math.abs(exponent)).padStart(2, '0')
    return `${sign}${digits.charAt(0)}.${digits.slice(1) || '0'}e${exponent < 0 ? '-' : '+'}${power}`
  }
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  return `${sign}${digits.slice(0, point).padEnd(point, '0')}.${digits.slice(point) || '0'}`
}

/** `point`: how many digits stand before the decimal point; may be negative or beyond the digits. */
export type Decimal = { readonly digits: string; readonly point: number }

/** Without zeros at the end. */
function roundDigits({ digits, point }: Decimal, value: number): Decimal {
  const kept = digitsToKeep({ digits, point }, value)
  const head = digits.slice(0, kept)
  const rounded = digits.charAt(kept) >= '5' ? String(BigInt(head) + 1n) : head
  return { digits: rounded.replace(/0+$/, ''), point: point + rounded.length - kept }
}

/** Where the digits end in nines or zeros, fewer may be the same number: 49.47 instead of 49.469999999999999. */
function digitsToKeep({ digits, point }: Decimal, value: number): number {
  if (digits.startsWith('99', 14)) {
    const head = digits.slice(0, 14).replace(/9+$/, '')
    const isSame = Number(`${Number(head) + 1}e${point - head.length}`) === value
    return isSame ? head.length + 1 : PRINTED_DIGITS
  }
  if (point >= digits.length || digits.startsWith('000', 13)) {
    const head = digits.slice(0, 13).replace(/0+$/, '')
    const isSame = Number(`${head}e${point - head.length}`) === value
    return isSame ? head.length + 1 : PRINTED_DIGITS
  }
  return PRINTED_DIGITS
}

/**
 * 18 digits, or 19 where the estimate of the logarithm is one too low. The last one is off now and then, as powers of
 * ten have 64 bits; what is printed shows it, so it has to be off here in the same way.
 */
export function manyDigits(value: number): Decimal {
  const { significand, exponent } = takeApart(value)
  const power = PRINTED_DIGITS - log10Floor(exponent + 63)
  const product = (significand * powerOfTen(power)) >> 64n
  const doubled = product >> BigInt(-(exponent + log2Floor(power) + 2))
  const digits = String((doubled + (doubled & 1n)) >> 1n)
  return { digits, point: digits.length - power }
}

const FRACTION_BITS = 52n
/** Exponent of the lowest bit of a significand that fills 64 bits, where the exponent field is 0. */
const EXPONENT_BIAS = 1086

/** Positive and finite: significand × 2^exponent, the significand filling 64 bits. */
function takeApart(value: number): { readonly significand: bigint; readonly exponent: number } {
  const [bits = 0n] = new BigUint64Array(new Float64Array([value]).buffer)
  const field = Number(bits >> FRACTION_BITS)
  if (field > 0)
    return { significand: BigInt.asUintN(64, (bits << 11n) | (1n << 63n)), exponent: field - EXPONENT_BIAS }
  const missing = 64 - bitLength(bits)
  return { significand: bits << BigInt(missing), exponent: -1074 - missing }
}

/** Of 2 to the power. */
function log10Floor(power: number): number {
  return (power * 78_913) >> 18
}

/** Of 10 to the power. */
function log2Floor(power: number): number {
  return (power * 108_853) >> 15
}

/** Powers that are multiplied exactly; those of 10^27 between them have 96 bits. */
const STEP = 27

/** The first 64 bits. */
function powerOfTen(power: number): bigint {
  if (power === -1) return TENTH >> 32n
  if (power >= 0 && power < STEP) return leadingBits(10n ** BigInt(power), 1n, 64)
  const coarse = Math.floor(power / STEP)
  const fine = power - coarse * STEP
  if (fine === 0) return coarsePower(coarse) >> 32n
  const product = coarsePower(coarse) * leadingBits(10n ** BigInt(fine), 1n, 64)
  return product >> BigInt(bitLength(product) - 64)
}

/** 96 bits, not rounded like the others. */
const TENTH = 0xcccc_cccc_cccc_cccc_cccc_ccccn

const COARSE_POWERS = new Map<number, bigint>()

/** The first 96 bits, rounded, of 10^27 to the power; made when first needed. There are 26 that reals need. */
function coarsePower(power: number): bigint {
  const known = COARSE_POWERS.get(power)
  if (known !== undefined) return known
  const size = 10n ** BigInt(STEP * Math.abs(power))
  const made = power < 0 ? leadingBits(1n, size, 96) : leadingBits(size, 1n, 96)
  COARSE_POWERS.set(power, made)
  return made
}

/** Of a fraction, rounded half up. */
function leadingBits(numerator: bigint, denominator: bigint, count: number): bigint {
  const shift = count + 1 + bitLength(denominator) - bitLength(numerator)
  const scaled = shift > 0 ? (numerator << BigInt(shift)) / denominator : (numerator >> BigInt(-shift)) / denominator
  const extra = BigInt(bitLength(scaled) - count)
  return ((scaled >> (extra - 1n)) + 1n) >> 1n
}

function bitLength(value: bigint): number {
  return value.toString(2).length
}
