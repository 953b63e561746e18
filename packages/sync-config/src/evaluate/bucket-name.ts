import { type BucketName, toBucketName } from '@headwater/protocol'
import type { PlanBody, PlanBucket, PlanEvaluator } from '../plan.ts'

/** Characters of a bucket's name that say what it holds. */
const READABLE_NAME_MAX = 64

/** Number of the build of a bucket definition, by its hash. */
export type GenerationOf = (hash: string) => number

/**
 * Makes names of the form `todos|1.4f2a9c01be["u1"]`: what clients call its tables, generation, hash, parameters as a
 * JSON array.
 *
 * All of it follows from what the bucket does, so that a name outlives changes of other streams and of the stream's own
 * name. The hash is of the whole definition, so nothing is lost where the readable part is cut or cleaned; and the first
 * `[` begins the parameters, so no two buckets share a name.
 */
export function bucketNamer(
  bucket: PlanBucket,
  { evaluators }: Pick<PlanBody, 'evaluators'>,
  generationOf: GenerationOf,
): (keys: string) => BucketName {
  const outputs = bucket.evaluators.flatMap((index) => evaluators[index] ?? []).map(outputName)
  const readable = [...new Set(outputs)]
    .toSorted()
    .join('.')
    .slice(0, READABLE_NAME_MAX)
    .replaceAll(/[^\w.-]/g, '_')
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

function outputName({ output, table }: PlanEvaluator): string {
  return output ?? table.name
}
