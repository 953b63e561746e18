/**
 * One JSON line of the log as a line for people:
 *
 *     21:04:02.123 info  checkpoint-shown upTo=52 lagMs=3
 */
export function formatLogLine(json: string): string {
  const { time, level, event, ...fields }: { [name: string]: unknown } = JSON.parse(json)
  const clock = String(time).slice(11, 23)
  const words = Object.entries(fields).map(([name, value]) => `${name}=${formatValue(value)}`)
  return `${[clock, String(level).padEnd(5), String(event), ...words].join(' ')}\n`
}

function formatValue(value: unknown): string {
  if (isError(value)) return formatText(`${value.code === undefined ? '' : `[${value.code}] `}${value.message}`)
  if (typeof value === 'string') return formatText(value)
  return JSON.stringify(value)
}

/** Quoted only where it would not read as one word. */
function formatText(text: string): string {
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)
}

function isError(value: unknown): value is { readonly message: string; readonly code?: string } {
  return typeof value === 'object' && value !== null && 'stack' in value && 'message' in value
}
