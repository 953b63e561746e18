import { BSON_DEPTH_MAX, HeadwaterError } from '@headwater/protocol'
import { JSON_DEPTH_MAX } from '@headwater/sync-config'

/** How a client encodes what it sends. */
export type PayloadEncoding = 'json' | 'bson'

const LEVELS_MAX = { json: JSON_DEPTH_MAX, bson: BSON_DEPTH_MAX } as const

/** What is told when reading `what` has failed with `cause`, which stays in the log. */
export function unreadable(what: string, encoding: PayloadEncoding, cause: unknown): HeadwaterError {
  return new HeadwaterError(
    'bad-request',
    `Cannot read the ${what}: it is not ${encoding.toUpperCase()}, or nested deeper than ${LEVELS_MAX[encoding]} levels`,
    { cause },
  )
}
