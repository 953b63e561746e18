import { loadPlan } from '../load.ts'
import { planOf, requestOf } from './builders.ts'
import type { Request } from '../types.ts'

/**
 * For tests: the values that an expression over the request has as a key of a bucket, in canonical JSON (`"ann"`, `1`);
 * none where it is NULL. In edition 3 it stands in a stream, before that in a parameter query.
 */
export async function requestValues(
  expression: string,
  request: Partial<Request> = {},
  edition: 1 | 2 | 3 = 3,
  flags: { readonly [key: string]: boolean } = {},
): Promise<readonly string[]> {
  const body =
    edition === 3
      ? { streams: { s: { auto_subscribe: true, query: `SELECT id FROM t WHERE k = ${expression}` } } }
      : {
          bucket_definitions: {
            s: { parameters: `SELECT ${expression} AS p`, data: ['SELECT id FROM t WHERE k = bucket.p'] },
          },
        }
  const plan = loadPlan(planOf(JSON.stringify({ config: { edition, ...flags }, ...body })), {
    generation: 1,
    bucketsMax: 1000,
  })
  const { buckets, streams } = await plan.resolve({ ...requestOf({}), ...request }, () => Promise.resolve([]))
  const failed = streams.flatMap(({ errors }) => errors.map(() => 'error'))
  return [...failed, ...buckets.map(({ bucket }) => bucket.slice(bucket.indexOf('[') + 1, -1))].toSorted()
}
