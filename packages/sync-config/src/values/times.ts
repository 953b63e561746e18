/** How dates and times are written. */
export type TimeFormat = {
  /** `2024-03-01T10:00:00.000000` instead of what Postgres prints. */
  readonly iso: boolean
  /** Digits behind the point, cut or filled up; only where `iso`. Postgres knows at most 6. */
  readonly fractionDigits: number
}

export function formatDate(text: string): string {
  if (text === 'infinity') return '9999-12-31'
  return text === '-infinity' ? '0000-01-01' : text
}

export function formatTime(text: string, format: TimeFormat): string {
  if (!format.iso) return text
  const [whole = '', fraction = ''] = text.split('.')
  return whole + isoFraction(fraction, format)
}

/** Undefined for a time before the year 1, which clients could not read. */
export function formatTimestamp(text: string, format: TimeFormat): string | undefined {
  const infinite = formatInfinity(text, format)
  if (infinite !== undefined) return infinite
  if (text.endsWith(' BC')) return undefined
  if (!format.iso) return text
  const [whole = '', fraction = ''] = text.split('.')
  return whole.replace(' ', 'T') + isoFraction(fraction, format)
}

const ZONED = /^(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d+))?([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?( BC)?$/

/** In UTC, ending in `Z`. Undefined for years before 1 and after 9999. Text of another form is passed on as it is. */
export function formatTimestamptz(text: string, format: TimeFormat): string | undefined {
  const infinite = formatInfinity(text, format)
  if (infinite !== undefined) return `${infinite}Z`
  // What a session in UTC prints for years of four digits: by far the most, and quicker without the pattern.
  if (text.endsWith('+00') && text.charAt(4) === '-') return `${formatTimestamp(text.slice(0, -3), format)}Z`
  const match = ZONED.exec(text)
  if (match === null) return text
  const [, year = '', month = '', day = '', hour = '', minute = '', second = '', fraction = ''] = match
  const [sign, hours = '0', minutes = '0', seconds = '0', beforeChrist] = match.slice(8)
  if (beforeChrist !== undefined) return undefined
  const offsetSeconds = (sign === '-' ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds))
  const separator = format.iso ? 'T' : ' '
  const printedFraction = format.iso ? isoFraction(fraction, format) : fraction === '' ? '' : `.${fraction}`
  const moment = new Date(0)
  moment.setUTCFullYear(Number(year), Number(month) - 1, Number(day))
  moment.setUTCHours(Number(hour), Number(minute), Number(second) - offsetSeconds)
  const utcYear = moment.getUTCFullYear()
  if (!(utcYear >= 1 && utcYear <= 9999)) return undefined
  const [date = '', time = ''] = moment.toISOString().split('T')
  return `${date}${separator}${time.slice(0, 8)}${printedFraction}Z`
}

function formatInfinity(text: string, format: TimeFormat): string | undefined {
  if (text !== 'infinity' && text !== '-infinity') return undefined
  const date = formatDate(text)
  const time = text === 'infinity' ? '23:59:59' : '00:00:00'
  return format.iso ? `${date}T${time}${isoFraction('', format)}` : `${date} ${time}`
}

function isoFraction(digits: string, format: TimeFormat): string {
  if (format.fractionDigits === 0) return ''
  return `.${digits.slice(0, format.fractionDigits).padEnd(format.fractionDigits, '0')}`
}
