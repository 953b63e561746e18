import type { SqliteValue } from '../types.ts'
import type { ScalarFunction } from './functions.ts'

/** `unixepoch(x, modifiers…)`: whole seconds since 1970, or a real with milliseconds for `subsec`. */
export const unixepoch: ScalarFunction = (x = null, ...modifiers) => {
  const moment = readMoment(x, modifiers)
  if (moment === undefined) return null
  return moment.subsec ? moment.ms / 1000 : BigInt(Math.floor(moment.ms / 1000))
}

/** `datetime(x, modifiers…)`: `2024-01-02 03:04:05`, with milliseconds for `subsec`. */
export const datetime: ScalarFunction = (x = null, ...modifiers) => {
  const moment = readMoment(x, modifiers)
  if (moment === undefined || moment.ms < YEAR_0_MS || moment.ms >= YEAR_10000_MS) return null
  const text = formatMoment(moment.ms)
  return moment.subsec ? `${text}.${digits(modulo(moment.ms, 1000), 3)}` : text
}

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
/** 1970-01-01 as a Julian day. */
const UNIX_EPOCH_JULIAN = 2_440_587.5
/** As far as dates of JavaScript reach from 1970. */
const MOMENT_MAX_MS = 8.64e15
/** Years of four digits: from 0000-01-01, and before 10000-01-01. */
const YEAR_0_MS = -719_528 * DAY_MS
const YEAR_10000_MS = 2_932_897 * DAY_MS

type Moment = { readonly ms: number; readonly subsec: boolean }

/** Undefined for what is no time, and for modifiers that do not exist. */
function readMoment(x: SqliteValue, modifiers: readonly SqliteValue[]): Moment | undefined {
  const [first, second] = modifiers
  const isUnix = first === 'unixepoch'
  const precision = isUnix ? second : first
  const subsec = precision === 'subsec' || precision === 'subsecond'
  if (!(precision === undefined || subsec) || (!isUnix && second !== undefined)) return undefined
  const ms = readMs(x, isUnix)
  if (ms === undefined || !(Math.abs(ms) <= MOMENT_MAX_MS)) return undefined
  return { ms, subsec }
}

const JULIAN_DAY = /^\d+(?:\.\d+)?$/

/** `isUnix` says what a number is; digits in a text are a Julian day always. */
function readMs(x: SqliteValue, isUnix: boolean): number | undefined {
  if (typeof x === 'bigint' || typeof x === 'number') {
    return isUnix ? Math.round(Number(x) * SECOND_MS) : julianToMs(Number(x))
  }
  if (typeof x !== 'string') return undefined
  return JULIAN_DAY.test(x) ? julianToMs(Number(x)) : parseMoment(x)
}

function julianToMs(day: number): number {
  return Math.round((day - UNIX_EPOCH_JULIAN) * DAY_MS)
}

const MOMENT = /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?:[Zz]|([+-])(\d\d):(\d\d))?)?$/

/** `2024-01-02`, or with a time behind a space or `T`; in UTC unless an offset says otherwise. Digits below milliseconds are cut. */
function parseMoment(text: string): number | undefined {
  const match = MOMENT.exec(text)
  if (match === null) return undefined
  const [, , , , hours, minutes = '0', seconds = '0', fraction = '', sign, offsetHours = '0', offsetMinutes = '0'] =
    match
  const month = Number(match[2])
  const day = Number(match[3])
  if (month < 1 || month > 12 || day < 1 || day > 31) return undefined
  // A day that its month does not have, like February 30, is that many days after the month's first.
  const dayMs = (daysFrom1970(Number(match[1]), month, 1) + day - 1) * DAY_MS
  if (hours === undefined) return dayMs
  const offset = timeMs(offsetHours, offsetMinutes, '0')
  const time = hours === '24' && !/[1-9]/.test(minutes + seconds + fraction) ? DAY_MS : timeMs(hours, minutes, seconds)
  if (time === undefined || offset === undefined) return undefined
  const ms = Number(fraction.slice(0, 3).padEnd(3, '0'))
  return dayMs + time + ms - (sign === '-' ? -offset : offset)
}

/** Undefined for what no clock shows. */
function timeMs(hours: string, minutes: string, seconds: string): number | undefined {
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59) return undefined
  return Number(hours) * HOUR_MS + Number(minutes) * MINUTE_MS + Number(seconds) * SECOND_MS
}

const DAYS_IN_400_YEARS = 146_097
/** From 0000-03-01, where the years of this count begin, to 1970-01-01. */
const DAYS_BEFORE_1970 = 719_468

/** In the Gregorian calendar, also before it was in use. Years here begin in March, so that leap days come last. */
export function daysFrom1970(year: number, month: number, day: number): number {
  const marchYear = month <= 2 ? year - 1 : year
  const dayOfYear = Math.floor((153 * modulo(month - 3, 12) + 2) / 5) + day - 1
  const leapDays = Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400)
  return marchYear * 365 + leapDays + dayOfYear - DAYS_BEFORE_1970
}

function formatMoment(ms: number): string {
  const days = Math.floor(ms / DAY_MS)
  const seconds = Math.floor(modulo(ms, DAY_MS) / SECOND_MS)
  const { year, month, day } = dateOf(days)
  const date = `${digits(year, 4)}-${digits(month, 2)}-${digits(day, 2)}`
  return `${date} ${digits(Math.floor(seconds / 3600), 2)}:${digits(Math.floor(seconds / 60) % 60, 2)}:${digits(seconds % 60, 2)}`
}

/** The inverse of `daysFrom1970`. */
export function dateOf(days: number): { readonly year: number; readonly month: number; readonly day: number } {
  const shifted = days + DAYS_BEFORE_1970
  const era = Math.floor(shifted / DAYS_IN_400_YEARS)
  const dayOfEra = modulo(shifted, DAYS_IN_400_YEARS)
  const leapDays = Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096)
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365)
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const fromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const month = ((fromMarch + 2) % 12) + 1
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  return { year, month, day: dayOfYear - Math.floor((153 * fromMarch + 2) / 5) + 1 }
}

export function modulo(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor
}

export function digits(value: number, count: number): string {
  return String(value).padStart(count, '0')
}
