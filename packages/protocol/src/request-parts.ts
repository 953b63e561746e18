import { HeadwaterError } from './errors.ts'
import type { RequestValue } from './request.ts'

/** The arrays of a sync request that can be very long, by where they are. */
export type LongArray = 'buckets' | 'streams.subscriptions'

/** Some elements of one of them, in order. A request is read in such parts, so that others run in between. */
export type RequestPart = {
  readonly array: LongArray
  /** What came of this array before does not count: of a key that stands twice the last value does. */
  readonly isFirst: boolean
  readonly elements: readonly RequestValue[]
  /** As they were sent. */
  readonly bytes: number
}

/** As many are read at once, in some tenths of a millisecond. */
export const REQUEST_PART_BYTES = 16 * 1024

/**
 * Of one element, and of all that is not in these arrays. It is read at once, in some ten milliseconds at worst, and yet
 * apps may send whole lists in `parameters`: as much as the original service takes.
 */
export const REQUEST_VALUE_BYTES_MAX = 1024 * 1024

export function elementTooLong(array: LongArray): HeadwaterError {
  return new HeadwaterError(
    'request-too-large',
    `Cannot read the request: expected at most ${REQUEST_VALUE_BYTES_MAX} bytes for each element of ${array}, got more`,
  )
}

/** `field` is the one with which it became too much, if that has a name. */
export function restTooLong(field: string | undefined): HeadwaterError {
  const last = field === undefined ? '' : ` with ${JSON.stringify(field.slice(0, 60))}`
  return new HeadwaterError(
    'request-too-large',
    `Cannot read the request: expected at most ${REQUEST_VALUE_BYTES_MAX} bytes for all fields but the elements of ` +
      `buckets and streams.subscriptions, got more${last}`,
  )
}
