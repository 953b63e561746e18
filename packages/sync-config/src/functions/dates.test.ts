import { describe, expect, test } from 'vitest'
import type { SqliteValue } from '../types.ts'
import { datetime, unixepoch } from './dates.ts'

describe('times as text', () => {
  test.each([
    ['2024-01-02', '2024-01-02 00:00:00.000'],
    ['2024-01-02 03:04', '2024-01-02 03:04:00.000'],
    ['2024-01-02T03:04', '2024-01-02 03:04:00.000'],
    ['2024-01-02 03:04:05', '2024-01-02 03:04:05.000'],
    ['2024-01-02T03:04:05.6', '2024-01-02 03:04:05.600'],
    ['2024-01-02T03:04:05.678912Z', '2024-01-02 03:04:05.678'],
    ['2024-01-02 03:04:05z', '2024-01-02 03:04:05.000'],
    ['2024-01-02T03:04:05+02:00', '2024-01-02 01:04:05.000'],
    ['2024-01-02T03:04-05:30', '2024-01-02 08:34:00.000'],
    ['2024-12-31T24:00:00', '2025-01-01 00:00:00.000'],
    ['2024-02-29', '2024-02-29 00:00:00.000'],
    ['2023-02-30', '2023-03-02 00:00:00.000'],
    ['0000-01-01', '0000-01-01 00:00:00.000'],
    ['0000-02-29', '0000-02-29 00:00:00.000'],
    ['1582-10-10', '1582-10-10 00:00:00.000'],
    ['9999-12-31T23:59:59.999999Z', '9999-12-31 23:59:59.999'],
    ['2460000.5', '2023-02-25 00:00:00.000'],
    ['2460000', '2023-02-24 12:00:00.000'],
  ])('%s is %s', (text, moment) => {
    expect(datetime(text, 'subsec')).toBe(moment)
    expect(datetime(text)).toBe(moment.slice(0, -4))
    const seconds = Number(unixepoch(text, 'subsecond'))
    expect(datetime(seconds, 'unixepoch', 'subsec')).toBe(moment)
    expect(unixepoch(text)).toBe(BigInt(Math.floor(seconds)))
    if (!text.includes('.5') && !text.startsWith('24600'))
      expect(seconds * 1000).toBe(Date.parse(`${moment.replace(' ', 'T')}Z`))
  })

  test.each([
    '',
    'now',
    'x',
    ' 2024-01-02',
    '2024-01-02 ',
    '2024-1-2',
    '2024-01',
    '2024',
    '20240102',
    '2024-13-01',
    '2024-00-01',
    '2024-01-00',
    '2024-01-32',
    '2024-01-02Z',
    '2024-01-02 3:04',
    '2024-01-02 24:00:01',
    '2024-01-02 24:00:00.5',
    '2024-01-02 25:00',
    '2024-01-02 03:60',
    '2024-01-02 03:04:60',
    '2024-01-02 03:04:05.',
    '2024-01-02 03:04:05 Z',
    '2024-01-02 03:04:05+02',
    '2024-01-02 03:04:05+0200',
    '2024-01-02 03:04:05+24:00',
    '2024-01-02t03:04:05',
    '03:04:05',
    'Jan 2, 2024',
    '2024/01/02',
    '-2460000.5',
    '2460000.',
    '+012024-01-02',
    '2024-01-02 00:00:00 BC',
    '2024-01-02\n',
    '9'.repeat(400),
  ])('%j is none', (text) => {
    // A number of eight digits is a Julian day, far beyond what can be told as a date.
    expect(datetime(text)).toBeNull()
    if (text !== '20240102' && text !== '2024') expect(unixepoch(text)).toBeNull()
  })
})

test.each<readonly [SqliteValue, SqliteValue, SqliteValue]>([
  [2460000.5, 1677283200n, '2023-02-25 00:00:00'],
  [2440587.5, 0n, '1970-01-01 00:00:00'],
  [2440588n, 43200n, '1970-01-01 12:00:00'],
  [0n, -210866760000n, null],
  [new Uint8Array([0x32]), null, null],
  [Number.NaN, null, null],
  [Infinity, null, null],
  [1e300, null, null],
  [null, null, null],
])('the Julian day %s is second %s and %s', (day, seconds, text) => {
  expect(unixepoch(day)).toBe(seconds)
  expect(datetime(day)).toBe(text)
})

test.each<readonly [readonly SqliteValue[], SqliteValue]>([
  [['unixepoch'], '2023-11-14 22:13:20'],
  [['unixepoch', 'subsec'], '2023-11-14 22:13:20.250'],
  [['unixepoch', 'subsecond'], '2023-11-14 22:13:20.250'],
  [['unixepoch', 'subsec', 'ignored'], '2023-11-14 22:13:20.250'],
  [['subsec', 'unixepoch'], null],
  [['unixepoch', 'unixepoch'], null],
  [['subsec', 'subsec'], null],
  [['UNIXEPOCH'], null],
  [['unixepoch', 'localtime'], null],
  [['unixepoch', null], null],
  [['+1 day'], null],
  [['auto'], null],
  [['utc'], null],
  [[null], null],
  [[''], null],
])('the modifiers %o give %s', (modifiers, text) => {
  expect(datetime(1700000000.25, ...modifiers)).toBe(text)
})

test('seconds are rounded down, milliseconds to the nearest', () => {
  expect(unixepoch('1969-12-31 23:59:59.5')).toBe(-1n)
  expect(unixepoch('1969-12-31 23:59:59.5', 'subsec')).toBe(-0.5)
  expect(datetime('1969-12-31 23:59:59.5', 'subsec')).toBe('1969-12-31 23:59:59.500')
  expect(unixepoch(1700000000.001, 'unixepoch', 'subsec')).toBe(1700000000.001)
  expect(unixepoch(2460310.627835648, 'subsec')).toBe(1704078245)
})

test('the modifier does not change what digits in a text are', () => {
  expect(unixepoch('1700000000', 'unixepoch')).toBeNull()
  expect(unixepoch('2460000.5', 'unixepoch')).toBe(1677283200n)
})

test('dates agree with the calendar of the host over three thousand years', () => {
  for (let day = -600_000; day < 600_000; day += 97) {
    expect(datetime(day * 86_400, 'unixepoch')).toBe(
      new Date(day * 86_400_000).toISOString().slice(0, 19).replace('T', ' '),
    )
  }
})
