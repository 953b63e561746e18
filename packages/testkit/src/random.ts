import { randomInt } from 'node:crypto'

/**
 * Everything random in a test comes from here, so that a printed seed repeats it.
 * The generator is xoshiro128**, seeded through splitmix32: good enough for tests, useless for secrets.
 */
export type Random = {
  readonly seed: number
  /** At least 0, below 1. */
  readonly fraction: () => number
  /** An integer from 0 to `below` - 1. */
  readonly integer: (below: number) => number
  /** An integer from `first` to `last`, both included. */
  readonly between: (first: number, last: number) => number
  /** True with this probability, 0 … 1. */
  readonly chance: (probability: number) => boolean
  /** Throws when there is nothing to choose from. */
  readonly pick: <T>(from: readonly T[]) => T
  /** One of the names, in proportion to the weights. */
  readonly weighted: <Name extends string>(weights: Readonly<Record<Name, number>>) => Name
  readonly uuid: () => string
  /** `length` characters: mostly letters, with quotes, line ends, emoji and other bad company among them. */
  readonly text: (length: number) => string
  /** A generator of its own, so that what one actor does leaves the others' numbers alone. */
  readonly fork: () => Random
}

const SEED_LIMIT = 2 ** 32

/** Characters that break naive quoting, splitting or encoding. */
const AWKWARD = ['"', "'", '\\', '\n', '\t', '\u0085', '\u2028', '\u{1F6D2}', 'ß', '日', '%', '{', '}', ',', '\u0001']

export function seededRandom(seed: number): Random {
  const next = xoshiro128(seed >>> 0)
  const fraction = (): number => next() / SEED_LIMIT
  const integer = (below: number): number => Math.floor(fraction() * below)
  const chance = (probability: number): boolean => fraction() < probability
  const pick = <T>(from: readonly T[]): T => {
    const chosen = from[integer(from.length)]
    if (chosen === undefined) throw new RangeError('Cannot pick from an empty list')
    return chosen
  }
  return {
    seed: seed >>> 0,
    fraction,
    integer,
    between: (first, last) => first + integer(last - first + 1),
    chance,
    pick,
    weighted: <Name extends string>(weights: Readonly<Record<Name, number>>) => pickWeighted(weights, fraction()),
    uuid: () => formatUuid([next(), next(), next(), next()]),
    text: (length) => {
      let text = ''
      while (text.length < length) text += chance(0.05) ? pick(AWKWARD) : String.fromCodePoint(97 + integer(26))
      return text
    },
    fork: () => seededRandom(next()),
  }
}

/** `SEED=7` in the environment asks for seed 7; without it one is drawn, so print it. */
export function readSeed(environment: NodeJS.ProcessEnv): number {
  const seed = environment['SEED'] === undefined ? randomInt(1_000_000_000) : Number(environment['SEED'])
  if (!Number.isSafeInteger(seed)) throw new RangeError('Cannot read SEED: expected a whole number')
  return seed
}

/** `SEED=7 SEEDS=20` in the environment asks for seeds 7 … 26. */
export function readSeeds(environment: NodeJS.ProcessEnv, seedsDefault: number): readonly number[] {
  const first = readSeed(environment)
  const count = environment['SEEDS'] === undefined ? seedsDefault : Number(environment['SEEDS'])
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new RangeError('Cannot read SEEDS: expected a whole number, at least 1')
  }
  return Array.from({ length: count }, (_, index) => first + index)
}

function pickWeighted<Name extends string>(weights: Readonly<Record<Name, number>>, fraction: number): Name {
  const names = Object.keys(weights) as Name[]
  const total = names.reduce((sum, name) => sum + weights[name], 0)
  let left = fraction * total
  for (const name of names) {
    left -= weights[name]
    if (left < 0) return name
  }
  throw new RangeError('Cannot pick by weight: the weights must be positive')
}

function xoshiro128(seed: number): () => number {
  const seeding = splitmix32(seed)
  let a = seeding()
  let b = seeding()
  let c = seeding()
  let d = seeding()
  return () => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = rotateLeft(d, 11)
    return result
  }
}

function splitmix32(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x9e37_79b9) | 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0_aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a_2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}

function formatUuid(words: readonly number[]): string {
  const hex = words.map((word) => word.toString(16).padStart(8, '0')).join('')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`
}
