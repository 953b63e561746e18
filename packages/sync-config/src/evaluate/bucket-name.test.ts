import { toBucketName } from '@headwater/protocol'
import { readSeed } from '@headwater/testkit'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileSyncConfig } from '../compile.ts'
import { loadPlan } from '../load.ts'
import { sourceTable } from '../testing/builders.ts'

/** Printed with a failure; set SEED to run one again. */
const SEED = readSeed(process.env)

test('names of buckets never begin with the sign that clients keep for themselves', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.string(), (name, key) => {
      const config = JSON.stringify({
        config: { edition: 3 },
        streams: { [name]: { query: 'SELECT id FROM t WHERE a = auth.user_id()' } },
      })
      const result = compileSyncConfig(config)
      if (result.kind === 'refused') return
      const plan = loadPlan(result.plan, { generation: 7, bucketsMax: 1 })
      const [object] = plan.forTable(sourceTable('t', 'id, a'))?.evaluate(['k', key]).objects ?? []
      expect(object?.bucket).toMatch(/^[\w.-]*\|7\.[0-9a-f]+\[/)
      expect(toBucketName(object?.bucket.slice(object.bucket.indexOf('[')) ?? '')).toBe(JSON.stringify([key]))
    }),
    { seed: SEED, numRuns: 100 },
  )
})
