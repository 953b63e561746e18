import { type BucketName, toBucketName } from '@headwater/protocol'
import type { PlanBucket } from '../plan.ts'

/** Characters of a definition's name that go into bucket names. */
const READABLE_NAME_MAX = 64

/** Number of the build of a bucket definition, by its hash. */
export type GenerationOf = (hash: string) => number

/**
 * Makes names of the form `todos|1.4f2a9c01be["u1"]`: readable name, generation, hash, parameters as a JSON array.
 *
 * The hash is of the whole definition with its exact name, so nothing is lost where the readable part is cut or
 * cleaned; and the first `[` begins the parameters, so no two buckets share a name.
 */
export function bucketNamer(bucket: PlanBucket, generationOf: GenerationOf): (keys: string) => BucketName {
  const readable = bucket.name.slice(0, READABLE_NAME_MAX).replaceAll(/[^\w.-]/g, '_')
  const prefix = `${readable}|${generationOf(bucket.hash)}.${bucket.hash}[`
  // Rows of one bucket often follow each other; the same string is then used again.
  let lastKeys: string | undefined
  let lastName = toBucketName('')
  return (keys) => {
    if (keys !== lastKeys) {
      lastKeys = keys
      lastName = toBucketName(`${prefix}${keys}]`)
    }
    return lastName
  }
}
