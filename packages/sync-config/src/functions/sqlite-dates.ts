import type { SqliteValue } from '../types.ts'
import { dateOf, daysFrom1970, digits, modulo } from './dates.ts'
import type { ScalarFunction } from './functions.ts'
import { parseSqliteNumber } from './sqlite-number.ts'
import { textOf } from './sqlite-text.ts'

/** Modifiers behind a time. Others of SQLite's do not exist here. */
export const TIME_MODIFIERS: readonly string[] = ['unixepoch', 'subsec', 'subsecond']

/** `date(x, modifiers…)`: `2024-01-02`. NULL for what is no time. */
export const dateText: ScalarFunction = (x = null, ...modifiers) => {
  const moment = readMoment(x, modifiers)
  return moment === undefined ? null : printDate(moment)
}

/** `time(x, modifiers…)`: `03:04:05`, with milliseconds for `subsec`. */
export const timeText: ScalarFunction = (x = null, ...modifiers) => {
  const moment = readMoment(x, modifiers)
  if (moment === undefined) return null
  return printTime(moment) + (moment.subsec ? `.${digits(moment.ms % SECOND_MS, 3)}` : '')
}

/** `strftime(format, x, modifiers…)`. NULL where the format has a letter that means nothing. */
export const formatTime: ScalarFunction = (format = null, x = null, ...modifiers) => {
  const moment = format === null ? undefined : readMoment(x, modifiers)
  if (format === null || moment === undefined) return null
  const [text = ''] = textOf(format).split('\0', 1)
  const pieces = text.match(/%[^]?|[^%]+/g) ?? []
  const printed = pieces.map((piece) => {
    if (!piece.startsWith('%')) return piece
    const letter = piece.slice(1)
    return Object.hasOwn(FORMATS, letter) ? FORMATS[letter]?.(moment) : undefined
  })
  return printed.includes(undefined) ? null : printed.join('')
}

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
/** 1970-01-01 in milliseconds of Julian days, which begin at noon. */
const UNIX_EPOCH_MS = 210_866_760_000_000
/** Behind 9999-12-31 in the same. */
const JULIAN_MS_MAX = 464_269_060_800_000
const JULIAN_DAY_MAX = 5_373_484.5

/** `days` since 1970, `ms` of that day. */
type Moment = { readonly days: number; readonly ms: number; readonly subsec: boolean }

function readMoment(x: SqliteValue, modifiers: readonly SqliteValue[]): Moment | undefined {
  if (x === null) return undefined
  const words = modifiers.map((modifier) => (modifier === null ? '' : textOf(modifier).toLowerCase()))
  if (words.some((word) => !TIME_MODIFIERS.includes(word)) || words.lastIndexOf('unixepoch') > 0) return undefined
  const ms = readMs(x, words[0] === 'unixepoch')
  // The first Julian day begins 4713 years before our era.
  if (ms === undefined || ms + UNIX_EPOCH_MS < 0 || ms + UNIX_EPOCH_MS >= JULIAN_MS_MAX) return undefined
  const subsec = words.some((word) => word !== 'unixepoch')
  return { days: Math.floor(ms / DAY_MS), ms: modulo(ms, DAY_MS), subsec }
}

/** Since 1970. A number, in a text too, is a Julian day unless it counts seconds. */
function readMs(x: Exclude<SqliteValue, null>, isUnix: boolean): number | undefined {
  const text = typeof x === 'bigint' || typeof x === 'number' ? undefined : textOf(x)
  const parsed = text === undefined || isUnix ? undefined : parseTime(text)
  if (parsed !== undefined) return parsed
  const number = typeof x === 'bigint' || typeof x === 'number' ? x : parseSqliteNumber(textOf(x))
  if (number === undefined) return undefined
  const real = Number(number)
  if (isUnix) return Math.trunc(real * SECOND_MS + UNIX_EPOCH_MS + 0.5) - UNIX_EPOCH_MS
  return real >= 0 && real < JULIAN_DAY_MAX ? Math.trunc(real * DAY_MS + 0.5) - UNIX_EPOCH_MS : undefined
}

const DATE = /^(-?\d{4})-(\d\d)-(\d\d)(?:[\t-\r T]*|[\t-\r T]*(?=\d)([^]*))$/
const CLOCK = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?[\t-\r ]*(?:[Zz]|([+-])(\d\d):(\d\d))?[\t-\r ]*$/
/** 24:00 is the beginning of the next day, as is a day too many of its month; SQLite may print both as they are. */
const HOURS_MAX = 24
/** The day of a time without one. */
const DAY_DEFAULT = daysFrom1970(2000, 1, 1)

function parseTime(text: string): number | undefined {
  const date = DATE.exec(text)
  if (date === null) {
    const time = parseClock(text)
    return time === undefined ? undefined : DAY_DEFAULT * DAY_MS + time
  }
  const [, year, month, day, clock] = date
  if (Number(month) < 1 || Number(month) > 12 || Number(day) < 1 || Number(day) > 31) return undefined
  const time = clock === undefined ? 0 : parseClock(clock)
  // A day that its month does not have, like February 30, is that many days after the month's first.
  const days = daysFrom1970(Number(year), Number(month), 1) + Number(day) - 1
  return time === undefined ? undefined : days * DAY_MS + time
}

const OFFSET_HOURS_MAX = 14

function parseClock(text: string): number | undefined {
  const match = CLOCK.exec(text)
  if (match === null) return undefined
  const [, hours, minutes, seconds = '0', fraction = '0', sign, offsetHours = '0', offsetMinutes = '0'] = match
  const isClock = Number(hours) <= HOURS_MAX && Number(minutes) <= 59 && Number(seconds) <= 59
  if (!isClock || Number(offsetHours) > OFFSET_HOURS_MAX || Number(offsetMinutes) > 59) return undefined
  const ms = Math.min(999, Math.round(Number(`0.${fraction}`) * SECOND_MS))
  const offset = Number(offsetHours) * HOUR_MS + Number(offsetMinutes) * MINUTE_MS
  const time = Number(hours) * HOUR_MS + Number(minutes) * MINUTE_MS + Number(seconds) * SECOND_MS + ms
  return time - (sign === '-' ? -offset : offset)
}

function printDate({ days }: Moment): string {
  const { year, month, day } = dateOf(days)
  return `${year < 0 ? '-' : ''}${digits(Math.abs(year), 4)}-${digits(month, 2)}-${digits(day, 2)}`
}

/** Four places, of which a minus takes one. */
function yearText(year: number): string {
  return year < 0 ? `-${digits(-year, 3)}` : digits(year, 4)
}

function printTime(moment: Moment): string {
  return `${printMinutes(moment)}:${digits(secondOf(moment), 2)}`
}

function printMinutes(moment: Moment): string {
  return `${digits(hourOf(moment), 2)}:${digits(minuteOf(moment), 2)}`
}

function hourOf({ ms }: Moment): number {
  return Math.floor(ms / HOUR_MS)
}

/** On a clock of twelve hours. */
function halfDayHour(moment: Moment): number {
  return ((hourOf(moment) + 11) % 12) + 1
}

function minuteOf({ ms }: Moment): number {
  return Math.floor(ms / MINUTE_MS) % 60
}

function secondOf({ ms }: Moment): number {
  return Math.floor(ms / SECOND_MS) % 60
}

/** From 0. */
function dayOfYear({ days }: Moment): number {
  return days - daysFrom1970(dateOf(days).year, 1, 1)
}

/** From 0, Monday. 1970 began on a Thursday. */
function weekday({ days }: Moment): number {
  return modulo(days + 3, 7)
}

/** Weeks belong to the year that has their Thursday. */
function thursday(moment: Moment): Moment {
  return { ...moment, days: moment.days + 3 - weekday(moment) }
}

function padded(value: number): string {
  return String(value).padStart(2)
}

function unixSeconds({ days, ms, subsec }: Moment): string {
  const seconds = (days * DAY_MS + ms) / SECOND_MS
  return subsec ? seconds.toFixed(3) : String(Math.floor(seconds))
}

function julianDay({ days, ms }: Moment): string {
  const day = (days * DAY_MS + ms + UNIX_EPOCH_MS) / DAY_MS
  return String(Number(day.toPrecision(16)))
}

const FORMATS: { readonly [letter: string]: (moment: Moment) => string } = {
  '%': () => '%',
  d: ({ days }) => digits(dateOf(days).day, 2),
  e: ({ days }) => padded(dateOf(days).day),
  f: (moment) => `${digits(secondOf(moment), 2)}.${digits(moment.ms % SECOND_MS, 3)}`,
  F: ({ days }) => {
    const { year, month, day } = dateOf(days)
    return `${yearText(year)}-${digits(month, 2)}-${digits(day, 2)}`
  },
  G: (moment) => yearText(dateOf(thursday(moment).days).year),
  g: (moment) => digits(dateOf(thursday(moment).days).year % 100, 2),
  H: (moment) => digits(hourOf(moment), 2),
  I: (moment) => digits(halfDayHour(moment), 2),
  j: (moment) => digits(dayOfYear(moment) + 1, 3),
  J: julianDay,
  k: (moment) => padded(hourOf(moment)),
  l: (moment) => padded(halfDayHour(moment)),
  m: ({ days }) => digits(dateOf(days).month, 2),
  M: (moment) => digits(minuteOf(moment), 2),
  p: (moment) => (hourOf(moment) < 12 ? 'AM' : 'PM'),
  P: (moment) => (hourOf(moment) < 12 ? 'am' : 'pm'),
  R: printMinutes,
  s: unixSeconds,
  S: (moment) => digits(secondOf(moment), 2),
  T: printTime,
  u: (moment) => String(weekday(moment) + 1),
  U: (moment) => digits(Math.floor((dayOfYear(moment) - ((weekday(moment) + 1) % 7) + 7) / 7), 2),
  V: (moment) => digits(Math.floor(dayOfYear(thursday(moment)) / 7) + 1, 2),
  w: (moment) => String((weekday(moment) + 1) % 7),
  W: (moment) => digits(Math.floor((dayOfYear(moment) - weekday(moment) + 7) / 7), 2),
  Y: ({ days }) => yearText(dateOf(days).year),
}
