import type { LineFormat } from '@headwater/protocol'

export type ContentEncoding = 'zstd' | 'gzip' | 'identity'

/** The response's `Content-Type` must be exactly one of these: clients compare the whole value. */
export const STREAM_CONTENT_TYPES = {
  ndjson: 'application/x-ndjson',
  bson: 'application/vnd.powersync.bson-stream',
} as const satisfies Record<LineFormat, string>

/** BSON for those who ask for it by preference; NDJSON for everybody else, whatever they accept. */
export function negotiateFormat(accept: string | undefined): LineFormat {
  if (accept === undefined) return 'ndjson'
  const ranges = parseQualities(accept)
  return qualityOfType(ranges, STREAM_CONTENT_TYPES.bson) > qualityOfType(ranges, STREAM_CONTENT_TYPES.ndjson)
    ? 'bson'
    : 'ndjson'
}

/** At equal quality zstd before gzip before nothing. Without the header nothing. */
export function negotiateEncoding(acceptEncoding: string | undefined): ContentEncoding {
  if (acceptEncoding === undefined) return 'identity'
  const codings = parseQualities(acceptEncoding)
  const wildcard = codings.get('*') ?? 0
  // Sending things as they are is always allowed; unless named, it is what is left when nothing else is.
  let best: ContentEncoding = 'identity'
  let bestQuality = codings.get('identity') ?? 0
  for (const coding of ['gzip', 'zstd'] as const) {
    const quality = codings.get(coding) ?? wildcard
    if (quality > 0 && quality >= bestQuality) {
      best = coding
      bestQuality = quality
    }
  }
  return best
}

/** `a;q=0.5, b` as names in lower case with their quality values, 0 … 1. Other parameters are passed over. */
function parseQualities(header: string): ReadonlyMap<string, number> {
  const qualities = new Map<string, number>()
  for (const item of header.split(',')) {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase())
    if (name === '') continue
    const quality = parameters.find((parameter) => parameter.startsWith('q='))
    qualities.set(name, quality === undefined ? 1 : clampQuality(Number(quality.slice(2))))
  }
  return qualities
}

function clampQuality(value: number): number {
  return Number.isNaN(value) ? 0 : Math.min(1, Math.max(0, value))
}

/** The most specific range decides, as HTTP says. */
function qualityOfType(ranges: ReadonlyMap<string, number>, type: string): number {
  return ranges.get(type) ?? ranges.get('application/*') ?? ranges.get('*/*') ?? 0
}
